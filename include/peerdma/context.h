/* SPDX-License-Identifier: MIT */
/*
 * Contexts and errors of libpeerdma.
 *
 * Functions return 0 or -errno unless they say otherwise, write their outputs only on success, and
 * leave one sentence for a person in pdma_error() when they fail. Nothing prints, exits, raises a
 * signal or starts a thread.
 */
#ifndef PEERDMA_CONTEXT_H
#define PEERDMA_CONTEXT_H

#include <stddef.h>

#if defined(__GNUC__)
#define PDMA_API __attribute__((visibility("default")))
#else
#define PDMA_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What all objects of one user of the library hang on: the machine it sees, devices it opened. */
struct pdma_ctx;

/* Zero what is not used; later versions grow at the end and know older callers by the size. */
struct pdma_ctx_options {
	size_t size; /* sizeof(struct pdma_ctx_options) */
	/*
	 * Directory that holds sys/ and proc/ of the machine to look at; NULL: "/". With a captured
	 * tree everything that reads works, and what opens devices gives -EOPNOTSUPP. Copied.
	 */
	const char *sysroot;
};

/*
 * Make a context. Nothing is opened or read yet.
 * opt: in, may be NULL for the defaults; read during the call only.
 * ret_ctx: out, owned by the caller until pdma_ctx_destroy().
 * Threads: any. Objects of different contexts are independent of each other; the header of each
 * object says what may be done to it by several threads. Never blocks.
 * Return: 0; -EINVAL: opt->size is smaller than the first version's or unknown bytes behind it are
 * not zero, or sysroot is empty; -ENOMEM; -ENFILE, -EMFILE: no file descriptor for events is left.
 */
PDMA_API int pdma_ctx_create(const struct pdma_ctx_options *opt, struct pdma_ctx **ret_ctx);

/*
 * Give a context back. Every object made from it must be closed before; events not taken are lost.
 * ctx: NULL is allowed. Threads: no other thread may use the context any more, but in a
 * pdma_region_open() that began before: that fails with -ECANCELED, and is waited for, which may
 * take as long as the open.
 */
PDMA_API void pdma_ctx_destroy(struct pdma_ctx *ctx);

/*
 * The directory the context looks at, "/" by default, without a slash at its end otherwise.
 * Valid as long as the context.
 */
PDMA_API const char *pdma_ctx_sysroot(const struct pdma_ctx *ctx);

/*
 * Why the last call of this thread that failed did so: one sentence without a full stop or newline,
 * "" before the first failure. Valid until the next failure on this thread.
 */
PDMA_API const char *pdma_error(void);

/* Version of the library that runs, as "0.1.0". Static. */
PDMA_API const char *pdma_version(void);

#ifdef __cplusplus
}
#endif

#endif
