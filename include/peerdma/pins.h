/* SPDX-License-Identifier: MIT */
/*
 * Who uses memory of which device, and how much he may: asked of the kernel module peerdma.
 *
 * Seen are the pins of the caller, and with CAP_SYS_ADMIN those of everybody.
 */
#ifndef PEERDMA_PINS_H
#define PEERDMA_PINS_H

#include <stddef.h>
#include <stdint.h>

#include <peerdma/context.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pdma_pin_kind {
	PDMA_PIN_UNKNOWN,     /* of a kernel module that is newer */
	PDMA_PIN_CPU_MAPPING, /* in an address space */
	PDMA_PIN_EXPORT,      /* a dma-buf */
	PDMA_PIN_ATTACHMENT,  /* a device that may map a dma-buf */
	PDMA_PIN_IMPORT,      /* a dma-buf mapped for a device */
	PDMA_PIN_HELD,	      /* pages held by transfers under way */
};

#define PDMA_PIN_REVOCABLE     (1u << 0) /* the exporter can end it alone */
#define PDMA_PIN_FORCED	       (1u << 1) /* began without asking the limits */
#define PDMA_PIN_OWNER_GONE    (1u << 2) /* the process has ended */
#define PDMA_PIN_PROVIDER_GONE (1u << 3) /* the driver of the exporter has gone */

struct pdma_pin {
	uint64_t id; /* ascending, never used again */
	enum pdma_pin_kind kind;
	uint32_t flags; /* PDMA_PIN_... */
	int pid;	/* of the process that began it, 0: not known here */
	uint32_t uid;
	uint64_t cgroup; /* inode number of its directory in cgroup2 */
	uint64_t bytes;
	uint64_t age_ns;   /* 0 for PDMA_PIN_HELD */
	char exporter[16]; /* address of the function whose memory it is */
	char driver[16];   /* of the exporter */
	char command[16];  /* of the process, when it began */
	char importer[32]; /* device that accesses; empty: processors */
};

struct pdma_pins;

/*
 * Take a list of all pins the caller may see. A pin that exists all the time is in it once.
 * ret_pins: out, the caller's until pdma_pins_destroy(); in the order of their beginning, what is
 * held comes last.
 * Threads: any. Does not block.
 * Return: 0; -ENOENT: the module is not loaded; -EOPNOTSUPP: ctx looks at a captured tree, or the
 * module is too old; -ENOMEM; -EACCES.
 * Source: PEERDMA_IOC_PINS.
 */
PDMA_API int pdma_pins_read(struct pdma_ctx *ctx, struct pdma_pins **ret_pins);
PDMA_API size_t pdma_pins_count(const struct pdma_pins *pins);
/* The i-th, valid as long as the list; NULL behind the last. */
PDMA_API const struct pdma_pin *pdma_pins_get(const struct pdma_pins *pins, size_t i);
/* NULL is allowed. */
PDMA_API void pdma_pins_destroy(struct pdma_pins *pins);
/* "import", for people and for JSON. Never NULL. */
PDMA_API const char *pdma_pin_kind_name(enum pdma_pin_kind kind);

enum pdma_scope {
	PDMA_SCOPE_USER = 1,   /* id is a uid */
	PDMA_SCOPE_CGROUP = 2, /* id is the inode number of a directory in cgroup2 */
};

#define PDMA_NO_LIMIT UINT64_MAX

struct pdma_limit {
	enum pdma_scope scope;
	uint64_t id;
	uint64_t max;	  /* bytes, or PDMA_NO_LIMIT */
	uint64_t used;	  /* bytes */
	uint64_t refused; /* how often, since the limit was set */
};

struct pdma_limits;

/*
 * Set the limit of a user, or of a control group with all groups below it. Nothing that exists is
 * taken away. max: bytes, not PDMA_NO_LIMIT. Needs CAP_SYS_ADMIN. Threads: any.
 * Return: 0; -ENOENT: the module is not loaded; -ESRCH: no such control group; -EINVAL: no such
 * scope or user, or max; -EPERM; -ENOMEM; -EOPNOTSUPP as above.
 * Source: PEERDMA_IOC_LIMIT_SET, and PEERDMA_IOC_LIMIT_CLEAR and _GET for what follows.
 */
PDMA_API int pdma_limit_set(struct pdma_ctx *ctx, enum pdma_scope scope, uint64_t id, uint64_t max);
/* As above, and -ESRCH: no limit is set. */
PDMA_API int pdma_limit_clear(struct pdma_ctx *ctx, enum pdma_scope scope, uint64_t id);
/*
 * ret_limit: out; without a limit and without use, max is PDMA_NO_LIMIT. Others than the caller's
 * own need CAP_SYS_ADMIN, else -EPERM.
 */
PDMA_API int pdma_limit_get(struct pdma_ctx *ctx, enum pdma_scope scope, uint64_t id,
			    struct pdma_limit *ret_limit);
/*
 * All users and control groups with a limit or some use, as far as the caller may see them.
 * ret_limits: out, the caller's until pdma_limits_destroy(); users first, ascending ids.
 * Return: as pdma_pins_read(). Source: PEERDMA_IOC_LIMITS.
 */
PDMA_API int pdma_limits_read(struct pdma_ctx *ctx, struct pdma_limits **ret_limits);
PDMA_API size_t pdma_limits_count(const struct pdma_limits *limits);
/* The i-th, valid as long as the list; NULL behind the last. */
PDMA_API const struct pdma_limit *pdma_limits_get(const struct pdma_limits *limits, size_t i);
/* NULL is allowed. */
PDMA_API void pdma_limits_destroy(struct pdma_limits *limits);

#ifdef __cplusplus
}
#endif

#endif
