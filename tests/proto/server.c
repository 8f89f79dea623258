// SPDX-License-Identifier: MIT
#include "tests/proto/server.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "models/common/device.h"
#include "models/common/dma.h"
#include "models/common/internal.h"
#include "models/common/worker.h"

struct tiny {
	struct mdl_device *dev;
	struct mdl_worker *worker;
	/* under the MMIO lock */
	uint64_t regs[512];
	/* handed to the worker */
	pthread_mutex_t lock;
	struct mdl_dma dma;
	uint64_t addr, len, local, go;
	_Atomic uint64_t done, result, old;
};

static void tiny_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len)
{
	struct tiny *t = mdl_device_priv(dev);

	memset(buf, 0xff, len);
	if (bar != 0 || off > sizeof(t->regs) || len > sizeof(t->regs) - off)
		return;
	t->regs[S_DONE / 8] = t->done;
	t->regs[S_RESULT / 8] = t->result;
	t->regs[S_OLD / 8] = t->old;
	memcpy(buf, (uint8_t *)t->regs + off, len);
}

static void tiny_go(struct tiny *t)
{
	pthread_mutex_lock(&t->lock);
	t->addr = t->regs[S_ADDR / 8];
	t->len = t->regs[S_LEN / 8];
	t->local = t->regs[S_LOCAL / 8];
	t->go = t->regs[S_GO / 8];
	mdl_dma_begin(&t->dma, t->dev);
	pthread_mutex_unlock(&t->lock);
	mdl_worker_kick(t->worker);
}

static void tiny_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf,
		       size_t len)
{
	struct tiny *t = mdl_device_priv(dev);

	if (bar != 0 || off > sizeof(t->regs) || len > sizeof(t->regs) - off)
		return;
	t->regs[S_WRITES / 8]++;
	if (off != S_WRITES)
		memcpy((uint8_t *)t->regs + off, buf, len);
	if (off == S_GO)
		tiny_go(t);
	if (off == S_RAISE)
		mdl_irq_raise(dev, (unsigned)t->regs[S_RAISE / 8]);
}

static void tiny_reset(struct mdl_device *dev, enum mdl_reset kind)
{
	struct tiny *t = mdl_device_priv(dev);
	uint64_t resets = t->regs[S_RESETS / 8];

	memset(t->regs, 0, sizeof(t->regs));
	t->regs[S_RESETS / 8] = resets + 1;
	t->regs[S_KIND / 8] = kind;
}

static bool tiny_work(void *arg)
{
	struct tiny *t = arg;
	struct mdl_seg bus = { .space = MDL_SPACE_BUS }, own = { .space = MDL_SPACE_LOCAL };
	uint64_t go, old = 0;
	struct mdl_dma d;
	int err = 0;

	pthread_mutex_lock(&t->lock);
	go = t->go;
	t->go = 0;
	d = t->dma;
	bus.addr = t->addr;
	bus.len = own.len = t->len;
	own.addr = t->local;
	pthread_mutex_unlock(&t->lock);
	if (!go)
		return false;
	if (go == 1)
		err = mdl_dma_copyv(&d, &own, 1, &d, &bus, 1, MDL_DATA, NULL);
	else if (go == 2)
		err = mdl_dma_copyv(&d, &bus, 1, &d, &own, 1, MDL_DATA, NULL);
	else
		err = mdl_dma_fetch_add(&d, MDL_SPACE_BUS, bus.addr, 8, 1, &old);
	t->old = old;
	t->result = (uint64_t)(int64_t)err;
	t->done++;
	return true;
}

static void tiny_destroy(struct mdl_device *dev)
{
	struct tiny *t = mdl_device_priv(dev);

	mdl_worker_destroy(t->worker);
}

static const struct mdl_device_ops tiny_ops = {
	.bar_read = tiny_read,
	.bar_write = tiny_write,
	.reset = tiny_reset,
	.destroy = tiny_destroy,
};

static int tiny_create(struct tiny *t, struct mdl_node *node)
{
	struct mdl_device_desc d = {
		.model = "tiny",
		.ops = &tiny_ops,
		.id = { 0x1234, 0x7d00, 0x1234, 0x7d00, 0x120000, 1 },
		.n_vectors = S_VECTORS,
		.msix_bar = 4,
		.msix_pba_off = 0x800,
		.local_size = S_VRAM,
	};
	int err = mdl_mem_create("vram", S_VRAM, &d.bars[2].fd, &d.bars[2].mem);

	if (err)
		return err;
	d.bars[0] = (struct mdl_bar){ .size = 4096, .fd = -1 };
	d.bars[2].size = S_VRAM;
	d.bars[2].is_64bit = d.bars[2].prefetch = true;
	d.bars[4] = (struct mdl_bar){ .size = 4096, .fd = -1 };
	d.local_mem = d.bars[2].mem;
	pthread_mutex_init(&t->lock, NULL);
	err = mdl_device_create(node, "dev0", &d, t, &t->dev);
	return err ? err : mdl_worker_create("tiny", tiny_work, t, &t->worker);
}

static uint64_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* The limit is one on numbers, and there are gaps: the number after the next n free ones. */
static uint64_t limit_fds(unsigned n)
{
	int fd[S_ANY_FDS];
	struct rlimit lim;
	unsigned i;

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	for (i = 0; n < S_ANY_FDS && i <= n; i++) {
		fd[i] = dup(0);
		lim.rlim_cur = (rlim_t)fd[i];
	}
	while (i)
		close(fd[--i]);
	return (uint64_t)(int64_t)setrlimit(RLIMIT_NOFILE, &lim);
}

static uint64_t windows(struct tiny *t)
{
	uint64_t n;

	pthread_rwlock_rdlock(&t->dev->node->lock);
	n = t->dev->windows.n;
	pthread_rwlock_unlock(&t->dev->node->lock);
	return n;
}

/* A question is two numbers, the answer one. */
static uint64_t obey(struct tiny *t, const uint64_t ask[2])
{
	switch (ask[0]) {
	case 'F':
		return count_fds();
	case 'L':
		return limit_fds((unsigned)ask[1]);
	case 'R':
		mdl_device_reset(t->dev, MDL_RESET_CONTROL);
		return 0;
	case 'W':
		return windows(t);
	case 'B':
		return t->dev->dma[MDL_DATA][ask[1] / 2][ask[1] % 2].bytes;
	case 'M':
		return t->dev->bad_messages;
	}
	return UINT64_MAX;
}

static int child_main(int ctl, const char *path)
{
	struct mdl_node_cfg cfg = { .name = "a" };
	struct mdl_node *node = NULL;
	struct tiny *t = calloc(1, sizeof(*t));
	uint64_t ask[2], ret;
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mdl_log_set_level(MDL_ERROR);
	err = mdl_node_create(&cfg, &node);
	if (!err)
		err = tiny_create(t, node);
	if (!err)
		err = mdl_device_listen(t->dev, path);
	ret = (uint64_t)(int64_t)err;
	while (write(ctl, &ret, sizeof(ret)) == sizeof(ret) && !err &&
	       read(ctl, ask, sizeof(ask)) == sizeof(ask))
		ret = obey(t, ask);
	mdl_device_destroy(t->dev);
	mdl_node_destroy(node);
	free(t);
	close(ctl);
	return err ? 1 : 0;
}

int server_start(struct server *s)
{
	const char *tmp = getenv("TMPDIR");
	uint64_t ret = 1;
	int sv[2];

	snprintf(s->dir, sizeof(s->dir), "%.40s/pdma-proto-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(s->dir) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return -errno;
	snprintf(s->path, sizeof(s->path), "%s/dev0", s->dir);
	fflush(NULL);
	s->pid = fork();
	if (!s->pid) {
		close(sv[0]);
		exit(child_main(sv[1], s->path));
	}
	close(sv[1]);
	s->ctl = sv[0];
	if (s->pid < 0 || read(s->ctl, &ret, sizeof(ret)) != sizeof(ret) || ret)
		return -EIO;
	return 0;
}

int server_stop(struct server *s)
{
	int status = 0;

	close(s->ctl);
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	rmdir(s->dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static uint64_t ask_server(struct server *s, uint64_t what, uint64_t arg)
{
	uint64_t ask[2] = { what, arg }, ret = UINT64_MAX;

	if (write(s->ctl, ask, sizeof(ask)) != sizeof(ask) ||
	    read(s->ctl, &ret, sizeof(ret)) != sizeof(ret))
		return UINT64_MAX;
	return ret;
}

unsigned server_fds(struct server *s)
{
	return (unsigned)ask_server(s, 'F', 0);
}

void server_limit_fds(struct server *s, unsigned n)
{
	ask_server(s, 'L', n);
}

void server_reset(struct server *s)
{
	ask_server(s, 'R', 0);
}

unsigned server_windows(struct server *s)
{
	return (unsigned)ask_server(s, 'W', 0);
}

uint64_t server_bytes(struct server *s, unsigned target, int write)
{
	return ask_server(s, 'B', target * 2 + (unsigned)write);
}

uint64_t server_bad_messages(struct server *s)
{
	return ask_server(s, 'M', 0);
}
