/* SPDX-License-Identifier: MIT */
/*
 * The PCI functions of a machine as sysfs and config space show them: a snapshot, of this machine
 * or of a captured tree (pdma_ctx_options.sysroot), with what decides about peer-to-peer traffic.
 *
 * A snapshot never changes; any number of threads may read it.
 */
#ifndef PEERDMA_TOPO_H
#define PEERDMA_TOPO_H

#include <stdbool.h>
#include <stdint.h>

#include <peerdma/context.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pdma_topo;

/* "No function" where an index is expected. */
#define PDMA_NO_FUNCTION UINT32_MAX

#define PDMA_BDF_LEN 16 /* "10000:e0:00.0" and some */
#define PDMA_BARS    6
#define PDMA_WINDOWS 4

enum pdma_function_kind {
	PDMA_FUNCTION_ENDPOINT,
	PDMA_FUNCTION_ROOT_PORT,
	PDMA_FUNCTION_UPSTREAM,	  /* port of a switch towards the processor */
	PDMA_FUNCTION_DOWNSTREAM, /* port of a switch towards a device */
	PDMA_FUNCTION_BRIDGE,	  /* PCI bridge, or a port whose type could not be read */
};

/* What a function is there for, by its class and driver. */
enum pdma_role {
	PDMA_ROLE_OTHER,
	PDMA_ROLE_PORT, /* or bridge; its kind says which */
	PDMA_ROLE_NIC,
	PDMA_ROLE_ACCELERATOR,
	PDMA_ROLE_NVME,
};

/* Type of the default domain of an IOMMU group. */
enum pdma_iommu {
	PDMA_IOMMU_NONE,     /* in no group: there is no IOMMU, or it is off */
	PDMA_IOMMU_IDENTITY, /* passes addresses on as they are */
	PDMA_IOMMU_DMA,	     /* translates */
	PDMA_IOMMU_BLOCKED,
	PDMA_IOMMU_UNKNOWN, /* a group whose type could not be read */
};

/* A register that could not be read is told from one that is zero. */
enum pdma_known { PDMA_OFF, PDMA_ON, PDMA_NOT_READ };

/* Bits of acs_control: PCI Express Base, ACS Control Register. */
#define PDMA_ACS_SOURCE_VALIDATION   0x01
#define PDMA_ACS_TRANSLATION_BLOCK   0x02
#define PDMA_ACS_REQUEST_REDIRECT    0x04
#define PDMA_ACS_COMPLETION_REDIRECT 0x08
#define PDMA_ACS_UPSTREAM_FORWARDING 0x10
#define PDMA_ACS_EGRESS_CONTROL	     0x20
#define PDMA_ACS_DIRECT_TRANSLATED   0x40

struct pdma_bar {
	uint64_t addr;	  /* as placed, CPU physical; 0 with a length: not placed */
	uint64_t len;	  /* 0: there is none */
	uint64_t max_len; /* the largest a resizable BAR can have; len of others */
	bool is_mem;
	bool is_64;
	bool prefetch;
};

struct pdma_window {
	uint64_t first, last;
};

/* Zero what is not known; -1 for ids. */
struct pdma_function {
	size_t size;		/* set by the caller: sizeof(struct pdma_function) */
	char bdf[PDMA_BDF_LEN]; /* "0000:01:00.0" */
	uint32_t parent;	/* bridge above; PDMA_NO_FUNCTION on a root bus */
	uint32_t host;		/* number of the host bridge, pdma_topo_host() */
	uint16_t vendor, device;
	uint32_t class_code; /* 24 bits */
	enum pdma_function_kind kind;
	enum pdma_role role;
	bool is_importer; /* can be made to read and write memory of others */
	bool is_exporter; /* has memory that others may want */
	char driver[32];  /* "" for none */
	char name[32];	  /* what the driver made of it: "mlx5_0", "nvme0", "eth0"; "" for none */
	int numa_node;
	int iommu_group;
	enum pdma_iommu iommu;
	unsigned dma_mask_bits; /* set by the driver; 0: not known */
	struct pdma_bar bar[PDMA_BARS];
	struct pdma_window window[PDMA_WINDOWS]; /* memory a bridge forwards; last 0: none */
	unsigned config_len;			 /* bytes of config space that could be read */
	enum pdma_known decode, master;
	enum pdma_known acs; /* is there an ACS capability? */
	uint16_t acs_capability, acs_control;
	enum pdma_known relaxed_ordering, ats;
	unsigned speed_mts, max_speed_mts; /* link, million transfers a second; 0: none */
	unsigned width, max_width;
	char power[16];		      /* "D0", "D3cold"; "" not known */
	uint64_t p2pmem, p2pmem_free; /* memory its driver offers to peers in the kernel */
	bool is_vfio;		      /* bound to a VFIO driver: programs can open it */
};

struct pdma_host {
	size_t size;	/* set by the caller: sizeof(struct pdma_host) */
	char name[24];	/* "pci0000:00" */
	uint32_t first; /* function by which the kernel knows the bridge; may be none */
	uint16_t vendor, device;
	int numa_node;
};

struct pdma_system {
	size_t size;		   /* set by the caller: sizeof(struct pdma_system) */
	char kernel[64];	   /* release, "" if not known */
	char cpu_vendor[16];	   /* "AuthenticAMD" */
	unsigned cpu_family;	   /* as /proc/cpuinfo tells, 23 is 0x17 */
	char cpu_model[64];	   /* name */
	unsigned address_bits;	   /* physical, 0 if not known */
	bool is_virtual;	   /* a hypervisor is below */
	unsigned functions, hosts; /* how many */
};

/*
 * Take a snapshot of the machine that ctx looks at.
 * ret_topo: out, the caller's until pdma_topo_destroy(); independent of ctx from then on.
 * Reads files only; as an ordinary user much of config space is not readable, and the snapshot says
 * so. Threads: any. Blocks as long as the kernel takes for sysfs.
 * Return: 0; -ENOENT: there is no sys/bus/pci/devices; -EINVAL: the tree contradicts itself;
 * -ENOMEM; or of reading the directory.
 */
PDMA_API int pdma_topo_load(struct pdma_ctx *ctx, struct pdma_topo **ret_topo);

/* NULL is allowed. */
PDMA_API void pdma_topo_destroy(struct pdma_topo *topo);

/*
 * What is true of the whole machine. Return: 0; -EINVAL: ret_system->size is smaller than the first
 * version's.
 */
PDMA_API int pdma_topo_system(const struct pdma_topo *topo, struct pdma_system *ret_system);

/*
 * One function. Indices run from 0 in the order of the tree: a bridge comes before what is below
 * it. Return: 0; -EINVAL: no such index, or ret_function->size is too small.
 */
PDMA_API int pdma_topo_function(const struct pdma_topo *topo, uint32_t index,
				struct pdma_function *ret_function);

/* One host bridge. Return: as pdma_topo_function(). */
PDMA_API int pdma_topo_host(const struct pdma_topo *topo, uint32_t index,
			    struct pdma_host *ret_host);

/* "nic", "accelerator", "nvme", "root port", "switch up", "switch down", "bridge", "device". */
PDMA_API const char *pdma_role_name(const struct pdma_function *function);

/* Number of the largest memory BAR: where a device's memory is taken to be. -1: there is none. */
PDMA_API int pdma_function_largest_bar(const struct pdma_function *function);

/*
 * How an initiator takes memory of others in this kernel: "dma-buf, moving", "dma-buf, pinned",
 * "vfio", "p2pmem" (its block layer takes pages of peers), "driver" (an accelerator's driver has
 * ways of its own), "none". Static.
 */
PDMA_API const char *pdma_import_name(const struct pdma_topo *topo, uint32_t index);

/*
 * Find a function by its address ("0000:01:00.0", "01:00.0") or by what its driver made of it
 * ("mlx5_0", "nvme0"). Return: 0 with *ret_index; -ENODEV: there is none; -EINVAL: name is empty.
 */
PDMA_API int pdma_topo_find(const struct pdma_topo *topo, const char *name, uint32_t *ret_index);

/*
 * Copy what pdma_topo_load() and pdma_doctor_run() look at into a directory that serves as sysroot
 * later, without root. dir must not exist; its parent must. Serial numbers are left out; addresses
 * and config space are not. On failure what was written stays, for the caller to remove.
 * Return: 0; -EEXIST; -ENOENT: there is no sys/bus/pci/devices; or of reading and writing.
 */
PDMA_API int pdma_topo_save(struct pdma_ctx *ctx, const char *dir);

#ifdef __cplusplus
}
#endif

#endif
