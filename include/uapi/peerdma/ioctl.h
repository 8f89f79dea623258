/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * /dev/peerdma: what the kernel thinks of peer-to-peer DMA, and who uses memory of which device.
 * Everybody may open it; what needs more is said below.
 *
 * Every structure begins with its size, set by user space. A larger one than the kernel knows is
 * taken if what the kernel does not know is zero (else E2BIG), a smaller one is completed with
 * zeroes. Reserved fields must be zero.
 *
 * errno     of every request here
 * ENOTTY    no such request
 * EFAULT    the argument cannot be read or written
 * EINVAL    size below that of the first version, or a reserved field or unknown flag is not zero
 * E2BIG     fields unknown to this kernel module are not zero
 */
#ifndef PEERDMA_UAPI_IOCTL_H
#define PEERDMA_UAPI_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define PEERDMA_IOCTL_TYPE 0xb5

/* A PCI function. */
struct peerdma_pci {
	__u32 domain;
	__u8 bus;
	__u8 devfn; /* device << 3 | function */
	__u16 reserved;
};

/* How the initiator reaches the target. */
enum peerdma_mapping {
	PEERDMA_MAPPING_NONE = 0,     /* it does not */
	PEERDMA_MAPPING_BUS_ADDR = 1, /* by the address of the BAR on the bus */
	PEERDMA_MAPPING_IOVA = 2,     /* by an address of the initiator's IOMMU */
};

/* A mapping was tried: mapping, map_errno and dma_addr are what the kernel does. */
#define PEERDMA_PATH_MAPPED (1u << 0)
/* The functions are below a common bridge, see common; else only the host bridge joins them. */
#define PEERDMA_PATH_COMMON (1u << 1)

/*
 * The kernel's verdict on DMA by initiator to a range of a BAR of target.
 *
 * distance is the number of hops as the kernel counts them, -1 where it refuses. Where both
 * functions have a driver the range is mapped for the initiator, looked at, and unmapped: nothing
 * is accessed.
 *
 * ENODEV    no such initiator or target
 * ENXIO     the BAR is not memory, or the range is empty, not whole pages or not inside it
 * EPERM     no CAP_SYS_ADMIN
 * EINTR     a signal came while waiting for a driver that binds or unbinds
 */
struct peerdma_path {
	__u32 size;
	__u32 flags; /* in: 0; out: PEERDMA_PATH_... */
	struct peerdma_pci initiator;
	struct peerdma_pci target;
	struct peerdma_pci common; /* out */
	__u64 off;		   /* in: bytes in the BAR */
	__u64 len;		   /* in: bytes */
	__u64 bus_addr;		   /* out: of off */
	__u64 dma_addr;		   /* out: for the initiator */
	__u32 bar;		   /* in: 0 to 5 */
	__s32 distance;		   /* out */
	__u32 mapping;		   /* out: enum peerdma_mapping */
	__s32 map_errno;	   /* out: positive errno of a mapping that was refused */
};
#define PEERDMA_PATH_SIZE_V1 80u

#define PEERDMA_IOC_PATH _IOWR(PEERDMA_IOCTL_TYPE, 0, __u32)

/*
 * PEERDMA_IOC_WHERE: where in a BAR of function a mapping of the calling process lies that has page
 * frames and no pages, as drivers map registers and device memory: memory of a NIC, say. It holds
 * at the moment of the request; whoever made the mapping says until when. Addresses that do not
 * lead into a BAR of function are not told.
 *
 * ENODEV    no such function
 * EINVAL    len is 0, or the range passes the end of the address space
 * EFAULT    part of it is not mapped, has pages, or was not touched since it was mapped
 * ENXIO     it is not one range of one memory BAR of the function
 * EPERM     no CAP_SYS_ADMIN
 * EINTR     the caller is being killed
 */
struct peerdma_where {
	__u32 size;
	__u32 flags; /* 0 */
	struct peerdma_pci function;
	__u64 address;	/* in: of the calling process */
	__u64 len;	/* in: bytes */
	__u64 off;	/* out: in the BAR */
	__u64 bus_addr; /* out: of off */
	__u32 bar;	/* out: 0 to 5 */
	__u32 reserved;
};
#define PEERDMA_WHERE_SIZE_V1 56u

/*
 * Lists: providers, pins, limits.
 *
 * The kernel writes rows from cursor on, in ascending order of a number that is never used again,
 * so that with each row's end as the next start no row comes twice and none that exists all the
 * time is missed. Only what the caller may see is there, and counted.
 *
 * A row is written to the length the caller knows: what the kernel knows beyond is left out, what
 * the caller knows beyond is zero.
 *
 * EINVAL    row_size below that of the first version, or scope where there is none, or none
 * E2BIG     row_size above 4096
 * EFAULT    rows cannot be written; some may have been
 * EINTR     the caller is being killed
 */
struct peerdma_list {
	__u32 size;
	__u32 flags;	/* in: 0 */
	__u64 rows;	/* in: address */
	__u32 row_size; /* in: bytes from row to row */
	__u32 n_rows;	/* in: room, may be 0; out: written */
	__u64 cursor;	/* in: 0, or what the last request gave; out: where to go on, 0: nowhere */
	__u64 n_total;	/* out: rows from cursor on, at this moment */
	__u32 scope;	/* in: enum peerdma_scope for limits, else 0 */
	__u32 reserved;
};
#define PEERDMA_LIST_SIZE_V1 48u

/* A driver that gives out memory of a function. Everybody may see it. */
struct peerdma_provider_row {
	__u64 id;
	struct peerdma_pci function;
	char driver[16];
	__u64 bytes;	     /* that can be given out */
	__u64 charged_bytes; /* of all pins, where bytes count more than once */
	__u32 flags;	     /* 0 */
	__u32 reserved;
};
#define PEERDMA_PROVIDER_ROW_SIZE_V1 56u

enum peerdma_pin_kind {
	PEERDMA_PIN_CPU_MAPPING = 1, /* pages or a BAR in an address space */
	PEERDMA_PIN_EXPORT = 2,	     /* a dma-buf */
	PEERDMA_PIN_ATTACHMENT = 3,  /* a device that may map a dma-buf */
	PEERDMA_PIN_IMPORT = 4,	     /* a dma-buf mapped for a device */
	PEERDMA_PIN_HELD = 5,	     /* pages held by transfers under way */
};

/* The exporter can end it without help of the owner. */
#define PEERDMA_PIN_REVOCABLE (1u << 0)
/* The owner was not asked whether limits allow it. */
#define PEERDMA_PIN_FORCED (1u << 1)
/* The process has ended, and something else keeps the pin. */
#define PEERDMA_PIN_OWNER_GONE (1u << 2)
/* The provider is gone, and something keeps the pin. */
#define PEERDMA_PIN_PROVIDER_GONE (1u << 3)

/*
 * Something that keeps or uses device memory. Seen by its user, and with CAP_SYS_ADMIN by all.
 *
 * Of kind PEERDMA_PIN_HELD there is at most one for a provider, found out at the moment of the
 * request: what pages have more references than mappings explain. Its owner is the most likely one.
 */
struct peerdma_pin_row {
	__u64 id;
	__u32 kind;
	__u32 flags;
	__s32 pid;    /* of the process, 0 where it is not in the caller's namespace or not known */
	__u32 uid;    /* in the caller's namespace */
	__u64 cgroup; /* when it began: inode number of its directory */
	__u64 provider; /* its id */
	struct peerdma_pci exporter;
	__u64 bytes;
	__u64 age_ns;	   /* 0 for PEERDMA_PIN_HELD */
	char driver[16];   /* of the exporter */
	char command[16];  /* of the process, when it began */
	char importer[32]; /* device that accesses, empty: processors */
};
#define PEERDMA_PIN_ROW_SIZE_V1 128u

enum peerdma_scope {
	PEERDMA_SCOPE_USER = 1,	  /* id is a uid, of the caller's user namespace */
	PEERDMA_SCOPE_CGROUP = 2, /* id is the inode number of a directory of cgroup2 */
};
#define PEERDMA_NO_LIMIT 0xffffffffffffffffull

/*
 * What a user, or a control group with all groups below, has and may have: the sum of the bytes of
 * all pins of the kinds CPU_MAPPING, EXPORT and IMPORT. So memory counts once for being exported
 * and once for each device it is mapped for. A pin counts for the group its process was in when it
 * began.
 *
 * Where a pin would exceed max, or the max of a group above, whoever asked for it gets EDQUOT and
 * nothing else happens. root is no exception. A max below what is used takes nothing away: it
 * refuses until enough has ended. Limits are forgotten when the module goes.
 *
 * PEERDMA_IOC_LIMIT_SET, _GET, _CLEAR:
 * EINVAL    no such scope, or no such uid in the caller's namespace; max is PEERDMA_NO_LIMIT (SET)
 *	     or not 0 (GET, CLEAR); used or refused is not 0
 * EPERM     no CAP_SYS_ADMIN. GET needs it only for another user, or a group the caller is not in
 * ENOENT    no such control group, or none below the root of the caller's cgroup namespace (SET,
 *	     GET); no limit is set (CLEAR)
 * ENOMEM    no memory (SET)
 *
 * As rows of PEERDMA_IOC_LIMITS these are all with a limit or some use, size is that of the row,
 * and the caller sees those for which GET is allowed.
 */
struct peerdma_limit {
	__u32 size;
	__u32 scope;   /* in: enum peerdma_scope */
	__u64 id;      /* in */
	__u64 max;     /* in: bytes, for SET; out: bytes or PEERDMA_NO_LIMIT */
	__u64 used;    /* in: 0; out: bytes */
	__u64 refused; /* in: 0; out: how often */
	__u32 flags;   /* 0 */
	__u32 reserved;
};
#define PEERDMA_LIMIT_SIZE_V1 48u

enum peerdma_event_type {
	PEERDMA_EVENT_PROVIDER_ADDED = 1,
	PEERDMA_EVENT_PROVIDER_REMOVED = 2,
	PEERDMA_EVENT_LIMIT = 3, /* somebody was refused, told at most once a second for each */
	PEERDMA_EVENT_REVOKE_BEGIN = 4, /* memory is being taken away from those who use it */
	PEERDMA_EVENT_REVOKE_END = 5,
	PEERDMA_EVENT_REVOKE_TIMEOUT = 6, /* in place of END: somebody did not let go */
};
#define PEERDMA_EVENTS_ALL 0x7eu /* 1 << type of each */

/*
 * Listen by this descriptor: read() gives records from now on, as many as the buffer has room for,
 * and poll() tells when there are some. A reader who does not keep up loses the oldest, and learns
 * how many. Without CAP_SYS_ADMIN one sees refusals of oneself only.
 *
 * EINVAL    no type, or an unknown one
 * EBUSY     the descriptor listens already
 * EUSERS    no CAP_SYS_ADMIN, and the user has 16 such descriptors
 * ENOMEM    no memory
 *
 * errno of read():
 * ENOTCONN  the descriptor does not listen
 * EINVAL    the buffer is shorter than a record
 * EAGAIN    there is nothing, and the descriptor has O_NONBLOCK
 * EINTR     a signal came first
 * EFAULT    the buffer cannot be written; no record is lost by it
 */
struct peerdma_listen {
	__u32 size;
	__u32 types;	/* in: 1 << type */
	__u32 n_queued; /* out: records that are kept for a slow reader */
	__u32 reserved;
};
#define PEERDMA_LISTEN_SIZE_V1 16u

struct peerdma_event {
	__u64 lost;    /* records lost between the one before and this */
	__u64 time_ns; /* of the clock that counts from boot */
	__u32 type;
	__s32 error; /* REVOKE_END and _TIMEOUT: positive, 0: everybody let go */
	struct peerdma_pci function;
	__u64 provider;
	__u64 bytes; /* LIMIT: asked for; PROVIDER_ADDED: that can be given out */
	__u64 id;    /* LIMIT, as are all that follow: whose, uid in the reader's namespace */
	__u64 used;
	__u64 max;
	__u32 scope;
	__u32 reserved;
};
#define PEERDMA_EVENT_SIZE 80u

#define PEERDMA_IOC_PROVIDERS	_IOWR(PEERDMA_IOCTL_TYPE, 1, __u32)
#define PEERDMA_IOC_PINS	_IOWR(PEERDMA_IOCTL_TYPE, 2, __u32)
#define PEERDMA_IOC_LIMITS	_IOWR(PEERDMA_IOCTL_TYPE, 3, __u32)
#define PEERDMA_IOC_LIMIT_SET	_IOWR(PEERDMA_IOCTL_TYPE, 4, __u32)
#define PEERDMA_IOC_LIMIT_GET	_IOWR(PEERDMA_IOCTL_TYPE, 5, __u32)
#define PEERDMA_IOC_LIMIT_CLEAR _IOWR(PEERDMA_IOCTL_TYPE, 6, __u32)
#define PEERDMA_IOC_LISTEN	_IOWR(PEERDMA_IOCTL_TYPE, 7, __u32)
#define PEERDMA_IOC_WHERE	_IOWR(PEERDMA_IOCTL_TYPE, 8, __u32)

#endif
