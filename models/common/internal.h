/* SPDX-License-Identifier: MIT */
/*
 * Shared inside models/common only.
 *
 * Locks, in the order in which they may be taken:
 *   node->lock (read: use addresses; write: change windows, routes, gates). Two nodes: by address.
 *   dev->mmio  serialises bar_read, bar_write and reset of one device.
 *   conn locks (conn.c), irq lock: leaves.
 * The socket thread never holds dev->mmio while it takes node->lock.
 */
#ifndef PEERDMA_MODELS_COMMON_INTERNAL_H
#define PEERDMA_MODELS_COMMON_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "models/common/conn.h"
#include "models/common/device.h"
#include "models/common/dma.h"
#include "models/common/fault.h"
#include "models/common/log.h"
#include "models/common/node.h"
#include "models/common/window.h"

#define MDL_CONFIG_SIZE 4096
#define MDL_MAX_ROUTES	128

/* Fault points of the door; a device's own follow from MDL_DOOR_FAULTS on. */
enum mdl_door_fault {
	MDL_F_HOST_READ,
	MDL_F_HOST_WRITE,
	MDL_F_PEER_READ,
	MDL_F_PEER_WRITE,
	MDL_F_LINK,
	MDL_F_IRQ,
	MDL_DOOR_FAULTS
};

struct mdl_fault_point {
	const char *name;
	_Atomic uint32_t action; /* enum mdl_fault_action; the rest under fault_lock */
	uint64_t arg, after, left, hits;
	bool endless;
	unsigned permille;
};

struct mdl_dma_count {
	_Atomic uint64_t bytes, ops;
};

/* One enabled BAR on the node's bus. */
struct mdl_route {
	uint64_t base, last;
	struct mdl_device *dev;
	unsigned bar;
};

/* A piece of guest RAM: guest physical [gpa, gpa + len) at offset off of its file. */
struct mdl_ram {
	uint64_t gpa, len, off;
};
#define MDL_MAX_RAM 16

struct mdl_node {
	char name[MDL_NAME_MAX];
	struct mdl_node_cfg cfg;
	pthread_rwlock_t lock;
	TAILQ_HEAD(, mdl_device) devs;
	struct mdl_route routes[MDL_MAX_ROUTES]; /* sorted by base */
	unsigned n_routes;
	struct mdl_backings backings;
	struct mdl_ram ram[MDL_MAX_RAM]; /* learnt from the first client's windows */
	unsigned n_ram;
	struct mdl_backing *ram_backing;
};

struct mdl_irq {
	pthread_mutex_t lock;
	int fd[MDL_MAX_VECTORS]; /* -1 = not armed */
	uint64_t pending[MDL_MAX_VECTORS / 64];
	int err_fd;
	_Atomic uint64_t raised, delivered, bad_vector;
};

struct mdl_device {
	char name[MDL_NAME_MAX];
	struct mdl_device_desc desc;
	void *priv;
	struct mdl_node *node;
	TAILQ_ENTRY(mdl_device) entry;

	/* under node->lock */
	struct mdl_windows windows;
	bool bus_master;
	bool attached; /* a client is connected */
	int switch_id;
	bool acs_redirect;
	struct mdl_iommu_root iommu; /* valid if iommu_known */
	bool iommu_known;
	_Atomic uint64_t gen; /* changed under the write lock, read anywhere */
	_Atomic uint64_t resets;

	/* socket thread; read by others under node->lock where said */
	uint8_t config[MDL_CONFIG_SIZE];
	uint8_t wmask[MDL_CONFIG_SIZE];
	uint8_t config_init[MDL_CONFIG_SIZE];
	unsigned pcie_cap, pm_cap, msix_cap;
	bool negotiated;      /* the version message came */
	bool sent_info;	      /* the client asked for the device's shape */
	atomic_bool settling; /* reset with requests of ours still at the client */

	pthread_mutex_t mmio;
	struct mdl_irq irq;
	struct mdl_conn *conn;

	pthread_mutex_t link_lock;
	struct mdl_device *_Atomic link_peer;
	atomic_bool link_up;

	struct mdl_dma_count dma[MDL_CLASS_COUNT][MDL_T_COUNT][2]; /* [..][..][is write] */
	_Atomic uint64_t *counters;
	_Atomic uint64_t bad_messages, atomics_by_message;

	struct mdl_fault_point *faults;
	unsigned n_faults;
	atomic_uint faults_armed;
	pthread_mutex_t fault_lock;
	uint64_t fault_rng;

	pthread_mutex_t log_lock;
	uint64_t log_second;
	unsigned log_lines, log_dropped;
};

/* device.c */
void mdl_reset(struct mdl_device *dev, enum mdl_reset kind);
void mdl_client_gone(struct mdl_device *dev);

/* config.c */
void mdl_config_init(struct mdl_device *dev);
void mdl_config_reset(struct mdl_device *dev, enum mdl_reset kind);
void mdl_config_read(struct mdl_device *dev, unsigned off, void *buf, size_t len);
void mdl_config_write(struct mdl_device *dev, unsigned off, const void *buf, size_t len);
uint64_t mdl_config_bar_addr(const struct mdl_device *dev, unsigned bar);
bool mdl_config_decodes(const struct mdl_device *dev);

/* route.c; the node's lock is held, for write where it changes something */
void mdl_routes_update_locked(struct mdl_device *dev);
const struct mdl_route *mdl_route_find_locked(const struct mdl_node *node, uint64_t addr);

/* Where a bus address leads. mem NULL: a register BAR (peer set) or QEMU must be asked. */
struct mdl_span {
	uint8_t *mem;
	uint64_t len;
	enum mdl_target target;
	struct mdl_device *peer;
	unsigned peer_bar;
	uint64_t peer_off;
	bool want_iommu; /* ask QEMU, or learn the IOMMU's root first and try again */
};
int mdl_resolve_locked(struct mdl_device *dev, enum mdl_space space, uint64_t addr, uint64_t len,
		       bool write, struct mdl_span *ret_span);
/* With no lock held: find the IOMMU's tables. Return true when it is worth trying again. */
bool mdl_iommu_learn(struct mdl_device *dev);

/* irq.c */
void mdl_irq_init(struct mdl_device *dev);
void mdl_irq_reset(struct mdl_device *dev);
void mdl_irq_disarm_all(struct mdl_device *dev);
bool mdl_irq_fd_ok(int fd);
int mdl_irq_set(struct mdl_device *dev, unsigned start, unsigned count, const int *fds,
		unsigned n_fds);
int mdl_irq_trigger(struct mdl_device *dev, unsigned start, unsigned count);
void mdl_irq_read_pba(struct mdl_device *dev, uint64_t off, void *buf, size_t len);

/* fault.c */
int mdl_faults_init(struct mdl_device *dev);
bool mdl_fault_point(struct mdl_device *dev, unsigned point, struct mdl_fault_hit *ret_hit);

/* server.c: the socket thread's message handler */
extern const struct mdl_conn_ops mdl_server_ops;

/* MMIO with the checks of device.h; any thread. The range must lie inside the BAR. */
void mdl_mmio_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len);
void mdl_mmio_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf,
		    size_t len);

#endif
