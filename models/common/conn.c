// SPDX-License-Identifier: MIT
#include "models/common/conn.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "models/common/proto.h"
#include "models/common/spin.h"
#include "models/common/worker.h"
#include "util/unix_listen.h"

#define RX_SIZE (64u * 1024u)
/* Clients that wait for the present one to go */
#define BACKLOG		  4
#define REQUEST_TIMEOUT_S 10

/* One request of ours; lives on the stack of the thread that waits for it. */
struct request {
	TAILQ_ENTRY(request) entry;
	uint16_t id, cmd;
	size_t skip, len;
	void *buf;
	int result;
	bool done;
};

struct mdl_conn {
	const struct mdl_conn_ops *ops;
	void *arg;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int listen_fd, stop_fd;
	pthread_t thread;
	atomic_bool stop;
	struct mdl_spin spin; /* socket thread only */

	/* receive side, socket thread only; [start, end) of rx is not yet handled */
	uint8_t *rx;
	size_t rx_size, start, end;
	int fds[MDL_MAX_FDS];
	unsigned n_fds;
	size_t fds_at; /* index in rx of the last byte that came with them */

	pthread_mutex_t send_lock; /* keeps messages whole; taken before lock */
	pthread_mutex_t lock;	   /* the rest */
	pthread_cond_t answered;
	int fd; /* the client, or -1; changed by the socket thread with both locks held */
	uint16_t next_id;
	TAILQ_HEAD(, request) requests;
	atomic_uint in_flight;
};

static int send_all(int fd, struct iovec *iov, int n_iov, int pass_fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n_iov };
	ssize_t n;

	if (pass_fd >= 0) {
		struct cmsghdr *c = &ctl.align;

		memset(&ctl, 0, sizeof(ctl));
		m.msg_control = &ctl;
		m.msg_controllen = sizeof(ctl);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
	}
	while (m.msg_iovlen) {
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		m.msg_control = NULL;
		m.msg_controllen = 0;
		while (m.msg_iovlen && (size_t)n >= m.msg_iov->iov_len) {
			n -= (ssize_t)m.msg_iov->iov_len;
			m.msg_iov++;
			m.msg_iovlen--;
		}
		if (m.msg_iovlen) {
			m.msg_iov->iov_base = (char *)m.msg_iov->iov_base + n;
			m.msg_iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static int send_message(struct mdl_conn *c, const struct vfu_header *h, const void *a, size_t a_len,
			const void *b, size_t b_len, int pass_fd)
{
	struct iovec iov[3] = {
		{ .iov_base = (void *)(uintptr_t)h, .iov_len = sizeof(*h) },
		{ .iov_base = (void *)(uintptr_t)a, .iov_len = a_len },
		{ .iov_base = (void *)(uintptr_t)b, .iov_len = b_len },
	};
	int err;

	pthread_mutex_lock(&c->send_lock);
	err = c->fd < 0 ? -ENOTCONN : send_all(c->fd, iov, b_len ? 3 : a_len ? 2 : 1, pass_fd);
	pthread_mutex_unlock(&c->send_lock);
	return err;
}

int mdl_conn_reply(struct mdl_conn *c, const struct mdl_msg *msg, const void *payload, size_t len,
		   int fd)
{
	struct vfu_header h = { .id = msg->id,
				.cmd = msg->cmd,
				.size = (uint32_t)(sizeof(h) + len),
				.flags = VFU_TYPE_REPLY };

	return msg->no_reply ? 0 : send_message(c, &h, payload, len, NULL, 0, fd);
}

int mdl_conn_error(struct mdl_conn *c, const struct mdl_msg *msg, int err)
{
	struct vfu_header h = { .id = msg->id,
				.cmd = msg->cmd,
				.size = sizeof(h),
				.flags = VFU_TYPE_REPLY | VFU_ERROR,
				.error = (uint32_t)-err };

	return msg->no_reply ? 0 : send_message(c, &h, NULL, 0, NULL, 0, -1);
}

static int wait_answer_locked(struct mdl_conn *c, const struct request *r)
{
	struct timespec end;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += REQUEST_TIMEOUT_S;
	while (!r->done && !err)
		err = pthread_cond_timedwait(&c->answered, &c->lock, &end);
	return r->done ? r->result : -ETIMEDOUT;
}

/* mdl_conn_destroy() may be waiting for the last one: nothing of c is touched after the unlock. */
static void release_locked(struct mdl_conn *c)
{
	if (!--c->in_flight)
		pthread_cond_broadcast(&c->answered);
}

int mdl_conn_request(struct mdl_conn *c, uint16_t cmd, const void *head, size_t head_len,
		     const void *body, size_t body_len, size_t skip, void *buf, size_t len)
{
	struct request r = { .cmd = cmd, .skip = skip, .buf = buf, .len = len };
	struct vfu_header h = { .cmd = cmd, .size = (uint32_t)(sizeof(h) + head_len + body_len) };
	int err;

	if (!c)
		return -ENOTCONN;
	pthread_mutex_lock(&c->lock);
	if (c->fd < 0) {
		pthread_mutex_unlock(&c->lock);
		return -ENOTCONN;
	}
	h.id = r.id = c->next_id++;
	TAILQ_INSERT_TAIL(&c->requests, &r, entry);
	c->in_flight++;
	pthread_mutex_unlock(&c->lock);

	err = send_message(c, &h, head, head_len, body, body_len, -1);

	pthread_mutex_lock(&c->lock);
	/* What can't be sent has nobody to read it: the socket thread is about to notice, too. */
	err = err ? -ENOTCONN : wait_answer_locked(c, &r);
	if (!r.done)
		TAILQ_REMOVE(&c->requests, &r, entry);
	release_locked(c);
	pthread_mutex_unlock(&c->lock);
	return err;
}

void mdl_conn_hold(struct mdl_conn *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->in_flight++;
	pthread_mutex_unlock(&c->lock);
}

void mdl_conn_release(struct mdl_conn *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	release_locked(c);
	pthread_mutex_unlock(&c->lock);
}

unsigned mdl_conn_in_flight(const struct mdl_conn *c)
{
	return c->in_flight;
}

static void finish_locked(struct mdl_conn *c, struct request *r, int result)
{
	TAILQ_REMOVE(&c->requests, r, entry);
	r->result = result;
	r->done = true;
	pthread_cond_broadcast(&c->answered);
}

/* A reply to a request nobody waits for (any more) is dropped. */
static void take_reply(struct mdl_conn *c, const struct vfu_header *h, const uint8_t *p, size_t len)
{
	struct request *r;

	pthread_mutex_lock(&c->lock);
	TAILQ_FOREACH(r, &c->requests, entry)
		if (r->id == h->id && r->cmd == h->cmd)
			break;
	if (r && (h->flags & VFU_ERROR || len < r->skip || len - r->skip != r->len)) {
		finish_locked(c, r, -EIO);
	} else if (r) {
		if (r->len)
			memcpy(r->buf, p + r->skip, r->len);
		finish_locked(c, r, 0);
	}
	pthread_mutex_unlock(&c->lock);
}

static void close_fds(struct mdl_conn *c)
{
	unsigned i;

	for (i = 0; i < c->n_fds; i++)
		if (c->fds[i] >= 0)
			close(c->fds[i]);
	c->n_fds = 0;
}

static int handle_command(struct mdl_conn *c, const struct vfu_header *h, bool has_fds)
{
	struct mdl_msg msg = { .id = h->id,
			       .cmd = h->cmd,
			       .no_reply = h->flags & VFU_NO_REPLY,
			       .payload = c->rx + c->start + sizeof(*h),
			       .len = h->size - sizeof(*h) };

	if (has_fds) {
		msg.fds = c->fds;
		msg.n_fds = c->n_fds;
	}
	return c->ops->command(c->arg, c, &msg);
}

/* Handle every whole message in the buffer. */
static int handle_buffer(struct mdl_conn *c)
{
	struct vfu_header h;
	bool has_fds;
	int err = 0;

	while (!err && c->end - c->start >= sizeof(h)) {
		memcpy(&h, c->rx + c->start, sizeof(h));
		if (h.size < sizeof(h) || h.size > MDL_MAX_MSG)
			return -EPROTO;
		if (c->end - c->start < h.size)
			break;
		has_fds = c->n_fds && c->fds_at < c->start + h.size;
		if ((h.flags & VFU_TYPE_MASK) == VFU_TYPE_COMMAND)
			err = handle_command(c, &h, has_fds);
		else if ((h.flags & VFU_TYPE_MASK) == VFU_TYPE_REPLY)
			take_reply(c, &h, c->rx + c->start + sizeof(h), h.size - sizeof(h));
		else
			err = -EPROTO;
		/* Also those of a reply, which has no use for them: the next command must not. */
		if (has_fds)
			close_fds(c);
		c->start += h.size;
	}
	return err;
}

/* Make room behind end for at least one more byte of the message at start. */
static int make_room(struct mdl_conn *c)
{
	struct vfu_header h = { 0 };
	size_t have = c->end - c->start, want = RX_SIZE;
	uint8_t *bigger;

	if (have >= sizeof(h)) {
		memcpy(&h, c->rx + c->start, sizeof(h));
		if (h.size > want)
			want = h.size;
	}
	if (c->start) {
		memmove(c->rx, c->rx + c->start, have);
		c->fds_at -= c->start;
		c->start = 0;
		c->end = have;
	}
	if (want <= c->rx_size)
		return 0;
	bigger = realloc(c->rx, want);
	if (!bigger)
		return -ENOMEM;
	c->rx = bigger;
	c->rx_size = want;
	return 0;
}

static int take_fds(struct mdl_conn *c, struct msghdr *m)
{
	struct cmsghdr *cm;
	int err = m->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (cm = CMSG_FIRSTHDR(m); cm; cm = CMSG_NXTHDR(m, cm)) {
		size_t n, i;
		int fd;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
			if (c->n_fds == MDL_MAX_FDS) {
				close(fd);
				err = -EPROTO;
			} else {
				c->fds[c->n_fds++] = fd;
			}
		}
	}
	return err;
}

/*
 * Read what there is. The kernel ends a read at the end of a piece that carries fds, so fds
 * belong to the message that holds the last byte read.
 */
static ssize_t receive(struct mdl_conn *c)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(MDL_MAX_FDS * sizeof(int))];
	} ctl;
	struct iovec iov = { .iov_base = c->rx + c->end, .iov_len = c->rx_size - c->end };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl)
	};
	unsigned had = c->n_fds;
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (take_fds(c, &m))
		return -EPROTO;
	c->end += (size_t)n;
	if (c->n_fds != had) {
		if (had)
			return -EPROTO;
		c->fds_at = c->end - 1;
	}
	return n ? n : -EPIPE;
}

static void sleep_until_ready(struct mdl_conn *c)
{
	struct pollfd p[2] = { { .fd = c->fd, .events = POLLIN },
			       { .fd = c->stop_fd, .events = POLLIN } };
	uint64_t slept = mdl_now_ns();

	poll(p, 2, -1);
	mdl_spin_slept(&c->spin, mdl_now_ns() - slept);
}

static int serve_client(struct mdl_conn *c)
{
	ssize_t n;
	int err;

	while (!atomic_load(&c->stop)) {
		err = make_room(c);
		if (err)
			return err;
		n = receive(c);
		if (n == -EAGAIN) {
			if (!mdl_spin_again(&c->spin, mdl_now_ns()))
				sleep_until_ready(c);
			continue;
		}
		if (n < 0)
			return (int)n;
		mdl_spin_found(&c->spin);
		err = handle_buffer(c);
		if (err)
			return err;
	}
	return 0;
}

static void set_client(struct mdl_conn *c, int fd)
{
	struct request *r;

	pthread_mutex_lock(&c->send_lock);
	pthread_mutex_lock(&c->lock);
	if (fd < 0)
		close(c->fd);
	c->fd = fd;
	while (fd < 0 && (r = TAILQ_FIRST(&c->requests)))
		finish_locked(c, r, -ENOTCONN);
	pthread_mutex_unlock(&c->lock);
	pthread_mutex_unlock(&c->send_lock);
}

static int wait_client(struct mdl_conn *c)
{
	struct pollfd p[2] = { { .fd = c->listen_fd, .events = POLLIN },
			       { .fd = c->stop_fd, .events = POLLIN } };

	poll(p, 2, -1);
	if (atomic_load(&c->stop) || !(p[0].revents & POLLIN))
		return -1;
	return accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

static void *conn_main(void *arg)
{
	struct mdl_conn *c = arg;
	int fd;

	while (!atomic_load(&c->stop)) {
		fd = wait_client(c);
		if (fd < 0) {
			/* Out of fds: the client stays queued; do not burn a core over it. */
			if (!atomic_load(&c->stop) && (errno == EMFILE || errno == ENFILE))
				poll(NULL, 0, 10);
			continue;
		}
		c->start = c->end = 0;
		mdl_spin_init(&c->spin);
		set_client(c, fd);
		c->ops->attached(c->arg);
		serve_client(c);
		/* Wake a sender stuck on a client that does not read, then take the fd away. */
		shutdown(fd, SHUT_RDWR);
		set_client(c, -1);
		close_fds(c);
		c->ops->detached(c->arg);
	}
	return NULL;
}

static void conn_free(struct mdl_conn *c)
{
	if (c->listen_fd >= 0) {
		close(c->listen_fd);
		unlink(c->path);
	}
	if (c->stop_fd >= 0)
		close(c->stop_fd);
	free(c->rx);
	free(c);
}

static int conn_init(struct mdl_conn *c, const char *path)
{
	pthread_condattr_t ca;

	c->fd = c->listen_fd = c->stop_fd = -1;
	pthread_mutex_init(&c->send_lock, NULL);
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&c->answered, &ca);
	pthread_condattr_destroy(&ca);
	TAILQ_INIT(&c->requests);
	c->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (c->stop_fd < 0)
		return -errno;
	c->listen_fd = util_unix_listen(path, BACKLOG);
	if (c->listen_fd < 0)
		return c->listen_fd;
	strcpy(c->path, path);
	return 0;
}

int mdl_conn_create(const char *path, const char *thread_name, const struct mdl_conn_ops *ops,
		    void *arg, struct mdl_conn **ret_conn)
{
	struct mdl_conn *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->ops = ops;
	c->arg = arg;
	err = conn_init(c, path);
	if (!err) {
		*ret_conn = c;
		err = -pthread_create(&c->thread, NULL, conn_main, c);
	}
	if (err) {
		*ret_conn = NULL;
		conn_free(c);
		return err;
	}
	pthread_setname_np(c->thread, thread_name);
	return 0;
}

void mdl_conn_destroy(struct mdl_conn *c)
{
	uint64_t one = 1;

	if (!c)
		return;
	atomic_store(&c->stop, true);
	if (write(c->stop_fd, &one, sizeof(one)) < 0)
		perror("eventfd");
	pthread_mutex_lock(&c->lock);
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	/* Their requests have failed, but the threads that made them may still be here. */
	pthread_mutex_lock(&c->lock);
	while (c->in_flight)
		pthread_cond_wait(&c->answered, &c->lock);
	pthread_mutex_unlock(&c->lock);
	conn_free(c);
}
