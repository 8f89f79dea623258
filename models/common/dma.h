/* SPDX-License-Identifier: MIT */
/*
 * The DMA door: the only way a model touches memory that is not its own C objects.
 *
 * Every call checks the whole range, decides the route the way the node's switches, host bridge
 * and IOMMU would, counts bytes by initiator, target and direction, honours fault points, and is
 * cut off by a reset. Calls block only for the copy itself, or for QEMU's answer on the slow
 * route. Not for the socket thread (device.h).
 *
 * Errors, the same for every call:
 *   -ECANCELED  the device was reset since mdl_dma_begin(), or the client is gone
 *   -EACCES     bus mastering is off, or the mapping does not allow this direction
 *   -EFAULT     nothing is mapped at the address (the IOMMU or the root complex rejects it)
 *   -EREMOTEIO  a peer's BAR the topology does not let this device reach, or a link that is down
 *   -EIO        QEMU answered with an error, or a fault point said so
 *   -ENOMEM     no buffer for a route that needs one
 * On error d->fault_addr holds the first address that failed. Bytes before it may have moved.
 */
#ifndef PEERDMA_MODELS_COMMON_DMA_H
#define PEERDMA_MODELS_COMMON_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mdl_device;

/* What memory a transfer touched, as counted. */
enum mdl_target {
	MDL_T_HOST,	   /* guest RAM */
	MDL_T_OWN,	   /* the device's own memory */
	MDL_T_PEER_SWITCH, /* a peer's BAR, turned round inside the switch */
	MDL_T_PEER_BRIDGE, /* a peer's BAR through the host bridge (after the IOMMU, if any) */
	MDL_T_PEER_QEMU,   /* a BAR of one of QEMU's own devices, or reached by asking QEMU */
	MDL_T_LINK,	   /* a linked device's memory over the private link */
	MDL_T_COUNT
};

/* Payload, or the device's own bookkeeping (descriptors, completions, doorbell records, tables). */
enum mdl_class { MDL_DATA, MDL_CTRL, MDL_CLASS_COUNT };

enum mdl_space {
	MDL_SPACE_BUS,	 /* a PCIe bus address as this device would put it on the wire */
	MDL_SPACE_LOCAL, /* offset into the device's own memory */
	MDL_SPACE_LINK,	 /* offset into the linked device's memory */
};

/* Permission to do DMA for one piece of work. Cheap; one per queue or job, one thread at a time. */
struct mdl_dma {
	struct mdl_device *dev;
	uint64_t gen; /* the device's reset count when begun */
	uint64_t fault_addr;
};

struct mdl_seg {
	uint64_t addr;
	uint64_t len; /* bytes; 0 is allowed and does nothing */
	enum mdl_space space;
};

/*
 * Begin: from now until the next reset d may be used. Take it when the work is accepted (under
 * the MMIO lock, in bar_write, or when a ring is enabled), not when it is run: that is what makes
 * a reset stop old work.
 */
void mdl_dma_begin(struct mdl_dma *d, struct mdl_device *dev);

/* True when d can still be used. */
bool mdl_dma_valid(const struct mdl_dma *d);

/* Between a buffer of the model and an address. */
int mdl_dma_read(struct mdl_dma *d, enum mdl_space space, uint64_t addr, void *buf, size_t len,
		 enum mdl_class cls);
int mdl_dma_write(struct mdl_dma *d, enum mdl_space space, uint64_t addr, const void *buf,
		  size_t len, enum mdl_class cls);

/*
 * Copy between two scatter lists, one memmove for each piece, no bounce unless QEMU must be asked.
 * The lists may belong to two devices (a NIC's cable: ddst is the receiving NIC's) and must have
 * the same total length, else -EINVAL. Lists that share memory do no harm, but what it holds
 * afterwards is only defined if they are one piece each. Long lists are done in slices; between
 * slices a reset can take effect. ret_done, if not NULL, gets the bytes whose copy certainly
 * finished.
 */
int mdl_dma_copyv(struct mdl_dma *ddst, const struct mdl_seg *dst, unsigned n_dst,
		  struct mdl_dma *dsrc, const struct mdl_seg *src, unsigned n_src,
		  enum mdl_class cls, uint64_t *ret_done);

/*
 * Visit memory in place: fn gets successive pieces in order, each writable if write is set, and
 * must finish with a piece before it returns; it must not call the door. A non-zero return stops
 * and is passed on. Pieces are at most MDL_SLICE bytes and never split an aligned 8-byte word
 * when the segment is 8-byte aligned.
 */
#define MDL_SLICE (256u * 1024u)
typedef int (*mdl_visit_fn)(void *arg, void *mem, size_t len);
int mdl_dma_visit(struct mdl_dma *d, const struct mdl_seg *seg, bool write, enum mdl_class cls,
		  mdl_visit_fn fn, void *arg);

/*
 * Atomics on naturally aligned 4- or 8-byte words (-EINVAL otherwise), atomic against guest CPUs
 * and other devices wherever the memory is mapped; through QEMU they are read-then-write and say
 * so in a counter. Values are in host byte order of the memory as it lies (no swapping).
 */
int mdl_dma_cmp_swap(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		     uint64_t compare, uint64_t swap, uint64_t *ret_old);
int mdl_dma_fetch_add(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		      uint64_t add, uint64_t *ret_old);
/* A load with acquire and a store with release meaning, for indices and ownership bits. */
int mdl_dma_load(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		 uint64_t *ret_val);
int mdl_dma_store(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		  uint64_t val);

const char *mdl_target_name(enum mdl_target t);

#endif
