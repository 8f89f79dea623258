/* SPDX-License-Identifier: MIT */
/*
 * A PCIe device model: what a model implements and what the common code does for it.
 *
 * The common code owns the vfio-user connection, config space, MSI-X, resets and the DMA door. A
 * model owns its registers and its work. Threads of a device:
 *
 *   socket thread   one per device, runs every mdl_device_ops callback except where stated. It
 *                   must return quickly (microseconds): QEMU gives a register read 5 s and, past
 *                   that, drops the device for good. It must not use the DMA door: kick a worker.
 *   workers         struct mdl_worker (worker.h), created by the model; all DMA happens there.
 *   peers           another device of the same node may reach a register BAR through the fabric
 *                   (a doorbell rung by a NIC, say): bar_read/bar_write are then called on that
 *                   device's worker. The common code serialises bar_read/bar_write of one device.
 *
 * bar_read, bar_write and reset may run under the node's lock: they must not call mdl_link_set(),
 * mdl_device_place() or mdl_device_reset(), nor wait for a thread that does DMA.
 */
#ifndef PEERDMA_MODELS_COMMON_DEVICE_H
#define PEERDMA_MODELS_COMMON_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;
struct mdl_device;
struct mdl_dma;
struct mdl_node;

#define MDL_MAX_BARS	6
#define MDL_MAX_VECTORS 256
#define MDL_NAME_MAX	32

enum mdl_reset {
	MDL_RESET_BUS,	      /* DEVICE_RESET message: start of the machine, secondary bus reset */
	MDL_RESET_FLR,	      /* function level reset from config space */
	MDL_RESET_PM,	      /* D3hot to D0 without No_Soft_Reset */
	MDL_RESET_DISCONNECT, /* the client went away */
	MDL_RESET_CONTROL,    /* asked for on the control socket */
};

/* One BAR. size is a power of two, or 0 for none. */
struct mdl_bar {
	uint64_t size; /* bytes */
	bool is_64bit; /* takes this index and the next */
	bool prefetch;
	/*
	 * Memory behind the whole BAR, or fd = -1 for a BAR of registers. The memfd is sealed
	 * against shrinking and mapped at mem by the model (mdl_mem_create); the client maps it.
	 * A BAR with memory never reaches bar_read/bar_write. Keep registers in another BAR: QEMU
	 * stops posting writes to a BAR that has a mappable part.
	 */
	int fd;
	void *mem;
};

struct mdl_pci_id {
	uint16_t vendor, device, subsys_vendor, subsys;
	uint32_t class_code; /* 24 bits */
	uint8_t revision;
};

struct mdl_device_ops {
	/*
	 * A read or write of a register BAR: len is 1 to 8 bytes for a CPU access and never
	 * crosses the BAR's end (checked). buf holds bytes in bus order (little-endian value of
	 * an x86 access). Reads must fill buf. A model answers what hardware would to a bad
	 * offset or size: zeroes or all-ones, and a counter. Runs under the device's MMIO lock.
	 */
	void (*bar_read)(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len);
	void (*bar_write)(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf,
			  size_t len);
	/*
	 * Called with all DMA of the device already stopped for good: every struct mdl_dma begun
	 * before is stale and its calls return -ECANCELED. The model drops its state; it must not
	 * wait for its workers. Runs under the MMIO lock.
	 */
	void (*reset)(struct mdl_device *dev, enum mdl_reset kind);
	/* Optional: the private link or the cable went up or down. Any thread. */
	void (*link_changed)(struct mdl_device *dev, bool up);
	/* Optional: add the model's state to obj, for the control socket. Any thread. */
	void (*snapshot)(struct mdl_device *dev, struct json_object *obj);
	/* Stop workers, free priv. Called once, with no client and no DMA. */
	void (*destroy)(struct mdl_device *dev);
};

/* What a model hands to mdl_device_create(). Strings and tables must outlive the device. */
struct mdl_device_desc {
	const char *model; /* "accel", "nic" */
	const struct mdl_device_ops *ops;
	struct mdl_pci_id id;
	struct mdl_bar bars[MDL_MAX_BARS]; /* fds are taken over on success */
	unsigned n_vectors;		   /* MSI-X, 1 to MDL_MAX_VECTORS */
	unsigned msix_bar;		   /* the table and PBA lie in this BAR ... */
	uint32_t msix_table_off;	   /* ... here (n_vectors * 16 bytes) ... */
	uint32_t msix_pba_off;		   /* ... and here; both 8-byte aligned */
	/* The device's own memory (space MDL_SPACE_LOCAL), usually a BAR's mem; or NULL, 0. */
	void *local_mem;
	uint64_t local_size;
	/* Counters of the model by name; bump with mdl_count(dev, index). */
	const char *const *counter_names;
	unsigned n_counters;
	/* Fault points of the model by name, beside the door's own; see fault.h. */
	const char *const *fault_names;
	unsigned n_faults;
};

/*
 * Create a device on a node. name is unique in the node ("acc0"). On success the device is known
 * to the node's routing and *ret_dev is set; it serves nobody until mdl_device_listen().
 * Return: 0; -EINVAL for a description that breaks a rule above; -EEXIST; -ENOMEM.
 */
int mdl_device_create(struct mdl_node *node, const char *name, const struct mdl_device_desc *desc,
		      void *priv, struct mdl_device **ret_dev);

/*
 * Listen on a Unix socket path (unlinked first if it is a socket) and serve one client at a time
 * on a new thread until mdl_device_destroy(). Return: 0 or -errno of socket, bind, thread.
 */
int mdl_device_listen(struct mdl_device *dev, const char *path);

/* Close the client, join the socket thread, call ops->destroy, free. NULL is allowed. */
void mdl_device_destroy(struct mdl_device *dev);

void *mdl_device_priv(const struct mdl_device *dev);
const char *mdl_device_name(const struct mdl_device *dev);  /* "acc0" */
const char *mdl_device_model(const struct mdl_device *dev); /* "accel" */
struct mdl_node *mdl_device_node(const struct mdl_device *dev);

/* Reset from the control socket or a test: as a function level reset. Any thread. */
void mdl_device_reset(struct mdl_device *dev, enum mdl_reset kind);

/*
 * Raise MSI-X vector vec (latched until the vector is armed). Any thread, no wait. A vector out
 * of range is counted and ignored.
 */
void mdl_irq_raise(struct mdl_device *dev, unsigned vec);
/*
 * The same for work that has permission d: nothing happens if the device was reset since
 * mdl_dma_begin(). Once a reset has returned nothing is raised for what was begun before it.
 */
void mdl_irq_raise_for(const struct mdl_dma *d, unsigned vec);

/*
 * The bus address at which the device answers for a BAR; UINT64_MAX while it does not. For workers:
 * takes the node's lock.
 */
uint64_t mdl_device_bar_addr(struct mdl_device *dev, unsigned bar);

/* Add n to counter idx of desc->counter_names. Any thread. */
void mdl_count_add(struct mdl_device *dev, unsigned idx, uint64_t n);
#define mdl_count(dev, idx) mdl_count_add((dev), (idx), 1)

/*
 * Anonymous shared memory for a BAR: size bytes, sparse, sealed against resizing, zeroed.
 * Return: 0 with *ret_fd and *ret_mem set, or -errno.
 */
int mdl_mem_create(const char *name, uint64_t size, int *ret_fd, void **ret_mem);
void mdl_mem_destroy(int fd, void *mem, uint64_t size);

/*
 * Join two devices by a private link (accelerators) or a cable (NICs): each may then address the
 * other's local memory as MDL_SPACE_LINK, and finds the other by mdl_link_peer(). Both nodes may
 * be the same. The link starts up. Return: 0, -EBUSY if either is linked already.
 */
int mdl_link(struct mdl_device *a, struct mdl_device *b);
/* The device at the other end, or NULL when unlinked. Stays valid until either is destroyed. */
struct mdl_device *mdl_link_peer(const struct mdl_device *dev);
bool mdl_link_is_up(const struct mdl_device *dev);
/* Take the link down or up at both ends; calls link_changed of both. */
void mdl_link_set(struct mdl_device *dev, bool up);

#endif
