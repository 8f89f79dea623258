/* SPDX-License-Identifier: MIT */
/*
 * Regions: memory of a device, of the machine or of another machine, named by a URI.
 *
 *   vfio:BDF/barN[+OFF[:LEN][,OFF:LEN...]]  ranges of a BAR of a function bound to vfio-pci
 *   accel:BDF[+OFF[:LEN]]                   memory of the lab's accelerator, with its copy engine
 *   cmb:BDF[+OFF[:LEN]]                     controller memory buffer of an NVMe drive
 *   dm:DEVICE:LEN                           memory of an RDMA NIC, newly allocated
 *   udmabuf:LEN                             host memory that is a dma-buf, newly allocated
 *   host:LEN                                host memory, newly allocated
 *   file:PATH[+OFF[:LEN]]                   part of a file or block device
 *   rdma://HOST[:PORT]/NAME[+OFF[:LEN]]     what "peerdma serve" publishes elsewhere
 *
 * BDF is [DOMAIN:]BUS:DEVICE.FUNCTION. OFF and LEN are decimal or 0x..., with K, M, G or T for
 * powers of 1024 behind. A path takes everything up to the last "+" that a number follows.
 *
 * Threads: functions on different regions may run at the same time, pdma_region_revoke() at any
 * time; closing a region excludes all else on it. All of a context may wait for one another
 * shortly.
 *
 * Revocation: after a revoke, by anybody, a region stays until its owner closes it, and everything
 * but info and close gives -ESTALE. See pdma_region_revoke() for what ends when, and
 * pdma_region_check() for what the kernel does not tell.
 */
#ifndef PEERDMA_REGION_H
#define PEERDMA_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <peerdma/context.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pdma_region;

enum pdma_kind {
	PDMA_KIND_VFIO = 1,
	PDMA_KIND_CMB = 2,
	PDMA_KIND_ACCEL = 3,
	PDMA_KIND_DM = 4,
	PDMA_KIND_UDMABUF = 5,
	PDMA_KIND_HOST = 6,
	PDMA_KIND_FILE = 7,
	PDMA_KIND_RDMA = 8,
	PDMA_KIND_POINTER = 9, /* pdma_region_from_pointer() */
	PDMA_KIND_DMABUF = 10, /* pdma_region_from_dmabuf() */
	PDMA_KIND_MIXED = 11,  /* pdma_region_join() of several */
};

/* What can be done with a region; found out when it is opened. */
enum pdma_region_flags {
	PDMA_REGION_MAP = 1 << 0,    /* pdma_region_map() */
	PDMA_REGION_DMABUF = 1 << 1, /* pdma_region_dmabuf() */
	PDMA_REGION_PAGES = 1 << 2,  /* its mapping has struct pages: O_DIRECT, on-demand paging */
	PDMA_REGION_RAM = 1 << 3,    /* host memory, may be pinned for long */
	PDMA_REGION_FILE = 1 << 4,   /* read and written through a file */
	PDMA_REGION_REMOTE = 1 << 5, /* on another machine */
	PDMA_REGION_READONLY = 1 << 6, /* writes give -EACCES */
	PDMA_REGION_DEVICE = 1 << 7,   /* in a BAR: bdf, bar and ranges tell which */
};

/* Flags of pdma_region_options. */
#define PDMA_OPEN_READONLY (1u << 0)
#define PDMA_OPEN_CREATE   (1u << 1) /* file: make it; it grows to OFF + LEN */

struct pdma_region_options {
	size_t size;	/* sizeof(struct pdma_region_options) */
	unsigned flags; /* PDMA_OPEN_... */
	void *cookie;	/* given back with events */
	/* rdma: path of the file with the token; NULL: none. */
	const char *token_file;
	/* rdma: RDMA device to use, "mlx5_0"; NULL: the first that works. dm: not used. */
	const char *nic;
};

/*
 * Open the memory a URI names. A PCI function is opened once for all regions of a context: memory
 * decode and bus mastering are switched on; an accelerator is reset by its first accel: region.
 * uri: in. opt: in, or NULL. Both are read during the call only.
 * ret_region: out, the caller's until pdma_region_close().
 * Blocks for the time a device needs to open (a vfio function may be reset by the kernel), or a
 * network connection (15 s at most). Other threads go on with the context meanwhile, except that
 * opening a PCI function holds up what needs others of them.
 * Return: 0; -ECANCELED: the context was closed meanwhile; -EINVAL: the URI is malformed (the
 * sentence names the column) or options unknown; -ENODEV: no such function or device, or not bound
 * to what the kind needs; -ENOENT: no such file or BAR; -ERANGE: the range is outside the memory;
 * -EBUSY: another process has the device; -EPERM, -EACCES: missing rights; -EOPNOTSUPP: this
 * kernel or device has no such memory, or the context looks at a captured tree; -ENOSPC: that much
 * memory is not free; -ENOMEM; -EROFS; or of the kernel.
 */
PDMA_API int pdma_region_open(struct pdma_ctx *ctx, const char *uri,
			      const struct pdma_region_options *opt,
			      struct pdma_region **ret_region);

/*
 * A region of memory the caller has mapped. It stays the caller's and must outlive the region.
 * vaddr: any alignment. len: bytes, not 0. flags: PDMA_REGION_RAM for ordinary memory;
 * PDMA_REGION_PAGES for device memory whose pages the kernel knows; 0 for a plain device mapping;
 * PDMA_REGION_READONLY besides.
 * Return: 0; -EINVAL: NULL, len 0, a wrap, other flags; -ENOMEM.
 */
PDMA_API int pdma_region_from_pointer(struct pdma_ctx *ctx, void *vaddr, uint64_t len,
				      unsigned flags, const struct pdma_region_options *opt,
				      struct pdma_region **ret_region);

/*
 * A region of len bytes at off of a dma-buf of another exporter. The descriptor is duplicated.
 * off, len: bytes, any alignment; len 0: to the end.
 * Return: 0; -EBADF: no descriptor; -EINVAL: no dma-buf; -ERANGE: not inside it; -EMFILE; -ENOMEM.
 */
PDMA_API int pdma_region_from_dmabuf(struct pdma_ctx *ctx, int fd, uint64_t off, uint64_t len,
				     const struct pdma_region_options *opt,
				     struct pdma_region **ret_region);

/*
 * Part of a region as a region of its own: the same memory, any alignment. Either may be closed
 * first. Revoking the parent revokes the part; revoking the part does not touch the parent.
 * off, len: bytes in parent; len not 0. cookie: as in the options.
 * Return: 0; -ERANGE: not inside parent; -EINVAL: len 0; -ESTALE; -ENOMEM.
 */
PDMA_API int pdma_region_slice(struct pdma_region *parent, uint64_t off, uint64_t len, void *cookie,
			       struct pdma_region **ret_region);

/*
 * Several regions of one context one behind the other as a new region. The parts stay regions of
 * their own; revoking any of them revokes the whole.
 * n: 1 to 4096. Return: 0; -EINVAL: n, or parts of different contexts; -EOVERFLOW: longer than
 * 2^63; -ESTALE; -ENOMEM.
 */
PDMA_API int pdma_region_join(struct pdma_region *const *parts, unsigned n, void *cookie,
			      struct pdma_region **ret_region);

/*
 * Give a region back. Memory regions, mappings and transfers of it must be gone. Its events are
 * dropped. dma-bufs handed out stay valid until their holders close them. NULL is allowed.
 */
PDMA_API void pdma_region_close(struct pdma_region *region);

struct pdma_region_info {
	size_t size; /* in: sizeof(struct pdma_region_info) */
	enum pdma_kind kind;
	unsigned flags;	   /* PDMA_REGION_... */
	uint64_t len;	   /* bytes */
	unsigned n_ranges; /* pieces of memory it is made of, see pdma_region_range() */
	bool revoked;
	char bdf[16]; /* "0000:03:00.0" of the first range, "" when it is in no PCI function */
	int bar;      /* of the first range, -1 when it is in none */
	void *cookie;
};

/* Return: 0; -EINVAL: size is wrong. */
PDMA_API int pdma_region_get_info(const struct pdma_region *region,
				  struct pdma_region_info *ret_info);

/* How the region is named, as a URI where there is one. Valid as long as the region. */
PDMA_API const char *pdma_region_uri(const struct pdma_region *region);
PDMA_API struct pdma_ctx *pdma_region_ctx(const struct pdma_region *region);
/* "vfio", "host", ...; "unknown" for others. Static. */
PDMA_API const char *pdma_kind_name(enum pdma_kind kind);

struct pdma_region_range {
	uint64_t len;	   /* bytes */
	uint64_t dev_off;  /* where it begins in its BAR, device memory, file or mapping */
	uint64_t bus_addr; /* of a BAR, as the host placed it; 0 when it is in none */
	char bdf[16];	   /* "" when it is in no PCI function */
	int bar;	   /* -1 when it is in none */
	enum pdma_kind kind;
};

/* Range idx of the region, in order. Return: 0; -ERANGE: it has fewer. */
PDMA_API int pdma_region_range(const struct pdma_region *region, unsigned idx,
			       struct pdma_region_range *ret_range);

/*
 * A dma-buf of exactly the region, of all its ranges in order.
 * ret_fd: out, close-on-exec, the caller's; it stays usable after the region is closed. What
 * revokes the memory for every importer is the exporter's: for vfio and accel a device reset or
 * decode off. pdma_region_revoke() of a region alone does not reach into descriptors handed out.
 * Return: 0; -EOPNOTSUPP: this kind, or this kernel, exports none (the sentence says which);
 * -EINVAL: not whole pages; -EXDEV: ranges of several devices or BARs; -ESTALE; or of the exporter.
 * Source: VFIO_DEVICE_FEATURE_DMA_BUF, UDMABUF_CREATE_LIST.
 */
PDMA_API int pdma_region_dmabuf(struct pdma_region *region, int *ret_fd);

/*
 * The region in the caller's address space, its ranges one behind the other. Counted: every call
 * gives the same address, and the mapping goes with the last pdma_region_unmap(). Device memory is
 * mapped uncached: access it in aligned words. Touching it after a revoke raises SIGSEGV or, while
 * the device's memory decode is off, SIGBUS; pdma_region_read() and _write() do not.
 * Return: 0; -EOPNOTSUPP: this kind has no mapping, or ranges that are not whole pages meet;
 * -ESTALE; -ENOMEM; or of the kernel.
 */
PDMA_API int pdma_region_map(struct pdma_region *region, void **ret_vaddr);
PDMA_API void pdma_region_unmap(struct pdma_region *region);

/*
 * Copy between a buffer and the region, by the CPU or what the kind has instead (files, remote
 * memory). For looking and small changes, not for speed.
 * off, len: bytes, any alignment. Blocks until done: what was written has arrived, so that a device
 * told to use it afterwards finds it. A failure leaves a prefix copied.
 * Return: 0; -ERANGE: not inside; -EACCES: write to a read-only region; -ESTALE: revoked;
 * -EFAULT: the memory did not answer (decode off); -EIO; -EOPNOTSUPP: no way for the CPU.
 */
PDMA_API int pdma_region_read(struct pdma_region *region, uint64_t off, void *buf, size_t len);
PDMA_API int pdma_region_write(struct pdma_region *region, uint64_t off, const void *buf,
			       size_t len);

/*
 * Revoke a region, and with it every slice and join of it, at any time, from any thread.
 * When it returns: memory regions of it are deregistered, so no local or remote access through them
 * lands any more; cached ones are forgotten; its CPU mappings fault; transfers of it fail with
 * -ESTALE; one event for each object is queued. Waits for the NIC to finish accesses under way.
 * why: a sentence for the events; NULL: "revoked by its owner".
 * Return: 0, also when it is revoked already; -EBUSY: a memory region could not be deregistered
 * (memory windows bound to it): all else is done, it stays accessible.
 */
PDMA_API int pdma_region_revoke(struct pdma_region *region, const char *why);

/*
 * Reset the function the region lies in. Every region of it in this context is revoked first, DMA
 * of the function has ended when it returns, and regions can be opened anew then.
 * Return: 0; -EOPNOTSUPP: in no function, or it has no reset; -EXDEV: in several; or of the kernel.
 * Source: VFIO_DEVICE_RESET; "reset" in sysfs.
 */
PDMA_API int pdma_region_reset(struct pdma_region *region);

/*
 * Look whether the memory can be reached now, and revoke it if not: memory decode switched off
 * behind our back, a function that fell off the bus, a file that became shorter. What cannot be
 * seen: a reset by another party that restored decode in the meantime.
 * Return: 0: it can; -ESTALE: it was revoked, now or before.
 */
PDMA_API int pdma_region_check(struct pdma_region *region);

/*
 * Is uri well formed? Opens nothing.
 * ret_column: out, may be NULL: on -EINVAL the column (from 1) at which it goes wrong.
 * Return: 0; -EINVAL.
 */
PDMA_API int pdma_uri_check(const char *uri, unsigned *ret_column);

/* A size as URIs have it: "4096", "0x1000", "4K". Return: 0; -EINVAL; -ERANGE: beyond 2^64. */
PDMA_API int pdma_size_parse(const char *text, uint64_t *ret_size);

#ifdef __cplusplus
}
#endif

#endif
