/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_LAB_FRAME_H
#define PEERDMA_LAB_FRAME_H

#include <stddef.h>
#include <stdint.h>

/*
 * What travels between the launcher and the agent of a guest, in both directions over one virtio-
 * serial port. Little endian. lab/peerdma_lab/frames.py is the other side; docs/lab.md describes
 * the conversation.
 *
 * One stream carries everything on purpose: a kernel log record that precedes the end of a command
 * arrives before the status of that command, and so a warning can never be missed by a run that
 * ends quickly.
 */

#define FRAME_PROTOCOL	 1
#define FRAME_HEADER_LEN 8
/* Longest payload towards the guest; the guest itself sends at most FRAME_CHUNK. */
#define FRAME_MAX   (256 * 1024)
#define FRAME_CHUNK (32 * 1024)
/*
 * Bytes of stdin which the launcher may have under way per job before it must wait for
 * FRAME_STDIN_TAKEN.
 */
#define FRAME_STDIN_WINDOW (64 * 1024)

enum frame_type {
	/* Launcher to guest. */
	FRAME_EXEC = 1, /* struct frame_exec, then cwd, argv and environment, each NUL-terminated */
	FRAME_STDIN = 2,    /* bytes; none: end of file */
	FRAME_SIGNAL = 3,   /* u32 signal number, to the whole process group */
	FRAME_WINSIZE = 4,  /* u16 rows, u16 columns */
	FRAME_SYNC = 5,	    /* answered by FRAME_SYNCED after the kernel log was sent up to now */
	FRAME_POWEROFF = 6, /* nothing is answered */

	/* Guest to launcher. */
	FRAME_HELLO = 16,	/* u32 FRAME_PROTOCOL, then the kernel release as text */
	FRAME_STDOUT = 17,	/* bytes */
	FRAME_STDERR = 18,	/* bytes */
	FRAME_EXIT = 19,	/* u32 enum frame_end, u32 exit status, signal or errno */
	FRAME_KLOG = 20,	/* one record of /dev/kmsg, as the kernel wrote it */
	FRAME_SYNCED = 21,	/* payload of FRAME_SYNC */
	FRAME_STDIN_TAKEN = 22, /* u32 bytes */
	FRAME_FATAL = 23,	/* text: why the guest cannot serve; it powers off afterwards */
};

enum frame_end {
	FRAME_END_EXITED = 0,
	FRAME_END_SIGNALLED = 1,
	FRAME_END_NOT_STARTED = 2,
};

#define FRAME_EXEC_PTY (1u << 0)
/* Kill what is left of the process group when its leader ends. */
#define FRAME_EXEC_KILL_GROUP (1u << 1)

struct frame_exec {
	uint32_t flags;
	uint16_t rows;
	uint16_t cols;
	uint32_t argc;
	uint32_t envc;
} __attribute__((packed));

struct frame_header {
	uint32_t len;
	uint16_t type;
	uint16_t job;
} __attribute__((packed));

_Static_assert(sizeof(struct frame_header) == FRAME_HEADER_LEN, "header without padding");

/* Sends one frame whole, however long the launcher takes to read. Return: 0, or -errno. */
int frame_send(int fd, enum frame_type type, uint16_t job, const void *data, size_t len);

struct frame_reader {
	int fd;
	size_t have;
	struct frame_header header;
	/* One more, so that text in a payload always ends. */
	uint8_t payload[FRAME_MAX + 1];
};

/*
 * Reads what has arrived of the next frame. Return: 1 when header and payload are complete (valid
 * until the next call), 0 when more is to come, -EPROTO for an impossible length, -EPIPE when the
 * launcher closed, or another -errno.
 */
int frame_read(struct frame_reader *r);

#endif
