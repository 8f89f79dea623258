/* SPDX-License-Identifier: MIT */
/*
 * What /dev/peerdma and the command show, against what a test knows to be there. Every difference
 * fails the test.
 */
#ifndef PEERDMA_TESTS_GUEST_KERNEL_SHOWN_H
#define PEERDMA_TESTS_GUEST_KERNEL_SHOWN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Typed from the header, not taken from it. */
enum kernel_pin_kind {
	KERNEL_CPU = 1,
	KERNEL_EXPORT = 2,
	KERNEL_ATTACH = 3,
	KERNEL_IMPORT = 4,
	KERNEL_HELD = 5,
};

struct kernel_want {
	enum kernel_pin_kind kind;
	uint64_t bytes;
	pid_t pid;
	const char *importer; /* NULL: processors */
	uint32_t flags;	      /* of the pin, without that it is revocable */
};
#define KERNEL_OWNER_GONE    4u
#define KERNEL_PROVIDER_GONE 8u

/* Exactly these pins of accelerator 0 are shown, in this order, by the kernel and the command. */
void kernel_shown(const struct kernel_want *want, size_t n);
#define KERNEL_SHOWN(...)                                                  \
	kernel_shown((const struct kernel_want[]){ __VA_ARGS__ },          \
		     sizeof((const struct kernel_want[]){ __VA_ARGS__ }) / \
			     sizeof(struct kernel_want))
void kernel_nothing_shown(void);
/* Of the one provider: bytes, and those that are charged. There is none if bytes is 0. */
void kernel_provider(uint64_t bytes, uint64_t charged);

/* The limit of a user, ~0 for none; and what is used. */
void kernel_limit(uid_t uid, uint64_t max);
uint64_t kernel_used(uid_t uid);

/* Listen to revocations. Return: a descriptor for kernel_revoked(). */
int kernel_listen(void);
/* The next two events are the begin of a revocation, and its end with this errno. */
void kernel_revoked(int fd, int error);
void kernel_no_event(int fd);

#endif
