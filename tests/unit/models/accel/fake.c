// SPDX-License-Identifier: MIT
#include "tests/unit/models/accel/fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "models/common/log.h"
#include "models/common/worker.h"

#define MAX_COUNTERS 128
#define MAX_FAULTS   16
#define MAX_WINDOWS  16
#define MAX_WORKERS  8
#define PIECE	     65536u /* visits are split here, to have splits at all */

struct fault {
	enum mdl_fault_action action;
	uint64_t arg;
	unsigned count;
};

struct mdl_device {
	struct mdl_device_desc desc;
	void *priv;
	char name[MDL_NAME_MAX];
	uint64_t gen;
	bool bus_master, link_up;
	struct mdl_device *peer;
	uint64_t bar_addr[MDL_MAX_BARS];
	unsigned irqs[MDL_MAX_VECTORS];
	uint64_t counters[MAX_COUNTERS];
	struct fault faults[MAX_FAULTS];
};

struct mdl_worker {
	mdl_work_fn fn;
	void *arg;
	bool kicked;
	uint64_t at_ns;
};

static struct window {
	uint64_t base, len;
	uint8_t *mem;
	bool writable;
	int err;
} windows[MAX_WINDOWS];
static unsigned n_windows;
static uint64_t data_bytes;
static struct mdl_worker *workers[MAX_WORKERS];

uint64_t fake_visit_max = MDL_SLICE;
uint64_t fake_now_ns = 1000;
void (*fake_hook)(void *arg);
void *fake_hook_arg;

static void die(const char *what)
{
	fprintf(stderr, "fake door: %s\n", what);
	abort();
}

static void hook(void)
{
	if (fake_hook)
		fake_hook(fake_hook_arg);
}

/* ---- device ---- */

int mdl_device_create(struct mdl_node *node, const char *name, const struct mdl_device_desc *desc,
		      void *priv, struct mdl_device **ret_dev)
{
	struct mdl_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return -ENOMEM;
	if (desc->n_counters > MAX_COUNTERS || desc->n_faults > MAX_FAULTS)
		die("too many counters or faults");
	dev->desc = *desc;
	dev->priv = priv;
	dev->bus_master = true;
	memset(dev->bar_addr, 0xff, sizeof(dev->bar_addr));
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	*ret_dev = dev;
	return 0;
}

void mdl_device_destroy(struct mdl_device *dev)
{
	struct mdl_bar *bar;
	unsigned i;

	if (!dev)
		return;
	dev->desc.ops->destroy(dev);
	for (i = 0; i < MDL_MAX_BARS; i++) {
		bar = &dev->desc.bars[i];
		if (bar->size && bar->mem)
			mdl_mem_destroy(bar->fd, bar->mem, bar->size);
	}
	free(dev);
}

void *mdl_device_priv(const struct mdl_device *dev)
{
	return dev->priv;
}

const char *mdl_device_name(const struct mdl_device *dev)
{
	return dev->name;
}

const char *mdl_device_model(const struct mdl_device *dev)
{
	return dev->desc.model;
}

/* Memory of destroyed devices, kept for the next: a fuzzer makes many. */
static struct {
	void *mem;
	uint64_t size;
} spare[2];

int mdl_mem_create(const char *name, uint64_t size, int *ret_fd, void **ret_mem)
{
	unsigned i;

	*ret_fd = 0;
	for (i = 0; i < 2; i++) {
		if (spare[i].mem && spare[i].size == size) {
			*ret_mem = spare[i].mem;
			spare[i].mem = NULL;
			return 0;
		}
	}
	*ret_mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return *ret_mem == MAP_FAILED ? -errno : 0;
}

void mdl_mem_destroy(int fd, void *mem, uint64_t size)
{
	unsigned i = spare[0].mem ? 1 : 0;

	if (spare[i].mem || madvise(mem, size, MADV_REMOVE)) {
		munmap(mem, size);
		return;
	}
	spare[i].mem = mem;
	spare[i].size = size;
}

void mdl_irq_raise(struct mdl_device *dev, unsigned vec)
{
	if (vec >= dev->desc.n_vectors)
		die("vector out of range");
	dev->irqs[vec]++;
}

void mdl_irq_raise_for(const struct mdl_dma *d, unsigned vec)
{
	if (mdl_dma_valid(d))
		mdl_irq_raise(d->dev, vec);
}

uint64_t mdl_device_bar_addr(struct mdl_device *dev, unsigned bar)
{
	return dev->bar_addr[bar];
}

void mdl_count_add(struct mdl_device *dev, unsigned idx, uint64_t n)
{
	if (idx >= dev->desc.n_counters)
		die("counter out of range");
	dev->counters[idx] += n;
}

bool mdl_fault(struct mdl_device *dev, unsigned idx, struct mdl_fault_hit *ret_hit)
{
	struct fault *f = &dev->faults[idx];

	if (idx >= dev->desc.n_faults)
		die("fault point out of range");
	if (f->action == MDL_FAULT_NONE)
		return false;
	*ret_hit = (struct mdl_fault_hit){ .action = f->action, .arg = f->arg };
	if (f->count && !--f->count)
		f->action = MDL_FAULT_NONE;
	return true;
}

struct mdl_device *mdl_link_peer(const struct mdl_device *dev)
{
	return dev->peer;
}

bool mdl_link_is_up(const struct mdl_device *dev)
{
	return dev->link_up;
}

void mdl_log(struct mdl_device *dev, enum mdl_level level, const char *fmt, ...)
{
}

/* ---- worker and clock ---- */

uint64_t mdl_now_ns(void)
{
	return fake_now_ns;
}

int mdl_worker_create(const char *name, mdl_work_fn fn, void *arg, struct mdl_worker **ret_w)
{
	struct mdl_worker *w = calloc(1, sizeof(*w));
	unsigned i;

	for (i = 0; i < MAX_WORKERS && workers[i]; i++)
		;
	if (!w || i == MAX_WORKERS)
		die("too many workers");
	w->fn = fn;
	w->arg = arg;
	*ret_w = workers[i] = w;
	return 0;
}

void mdl_worker_kick(struct mdl_worker *w)
{
	w->kicked = true;
}

void mdl_worker_after(struct mdl_worker *w, uint64_t ns)
{
	uint64_t at = fake_now_ns + ns;

	if (!w->at_ns || at < w->at_ns)
		w->at_ns = at;
}

void mdl_worker_destroy(struct mdl_worker *w)
{
	unsigned i;

	for (i = 0; i < MAX_WORKERS; i++)
		if (workers[i] == w)
			workers[i] = NULL;
	free(w);
}

/* ---- door ---- */

void mdl_dma_begin(struct mdl_dma *d, struct mdl_device *dev)
{
	*d = (struct mdl_dma){ .dev = dev, .gen = dev->gen };
}

bool mdl_dma_valid(const struct mdl_dma *d)
{
	return d->dev && d->gen == d->dev->gen;
}

static int local(const struct mdl_device *dev, uint64_t addr, uint64_t *len, uint8_t **ret_mem)
{
	if (addr > dev->desc.local_size || *len > dev->desc.local_size - addr)
		die("access outside the device's memory");
	*ret_mem = (uint8_t *)dev->desc.local_mem + addr;
	return 0;
}

static int bus(const struct mdl_device *dev, uint64_t addr, uint64_t *len, bool write,
	       uint8_t **ret_mem)
{
	unsigned i;

	if (!dev->bus_master)
		return -EACCES;
	for (i = 0; i < n_windows; i++) {
		const struct window *w = &windows[i];

		if (addr < w->base || addr - w->base >= w->len)
			continue;
		if (w->err)
			return w->err;
		if (write && !w->writable)
			return -EACCES;
		if (*len > w->len - (addr - w->base))
			*len = w->len - (addr - w->base);
		*ret_mem = w->mem + (addr - w->base);
		return 0;
	}
	return -EFAULT;
}

/* Memory at an address; *len is cut to what lies together. */
static int resolve(struct mdl_dma *d, enum mdl_space space, uint64_t addr, uint64_t *len,
		   bool write, uint8_t **ret_mem)
{
	int err = -ECANCELED;

	if (*len && *len - 1 > UINT64_MAX - addr)
		die("range wraps");
	if (mdl_dma_valid(d)) {
		if (space == MDL_SPACE_LOCAL)
			err = local(d->dev, addr, len, ret_mem);
		else if (space == MDL_SPACE_BUS)
			err = bus(d->dev, addr, len, write, ret_mem);
		else if (space != MDL_SPACE_LINK)
			die("unknown space");
		else
			err = d->dev->peer && d->dev->link_up ?
				      local(d->dev->peer, addr, len, ret_mem) :
				      -EREMOTEIO;
	}
	if (err)
		d->fault_addr = addr;
	return err;
}

static int move(struct mdl_dma *d, enum mdl_space space, uint64_t addr, uint8_t *buf, uint64_t len,
		enum mdl_class cls, bool write)
{
	uint64_t n;
	uint8_t *mem;
	int err;

	hook();
	for (; len; len -= n, addr += n, buf += n) {
		n = len;
		err = resolve(d, space, addr, &n, write, &mem);
		if (err)
			return err;
		memmove(write ? mem : buf, write ? buf : mem, n);
		data_bytes += cls == MDL_DATA ? n : 0;
	}
	return 0;
}

int mdl_dma_read(struct mdl_dma *d, enum mdl_space space, uint64_t addr, void *buf, size_t len,
		 enum mdl_class cls)
{
	return move(d, space, addr, buf, len, cls, false);
}

int mdl_dma_write(struct mdl_dma *d, enum mdl_space space, uint64_t addr, const void *buf,
		  size_t len, enum mdl_class cls)
{
	return move(d, space, addr, (uint8_t *)(uintptr_t)buf, len, cls, true);
}

static uint64_t total(const struct mdl_seg *seg, unsigned n)
{
	uint64_t sum = 0;

	while (n--)
		sum += seg++->len;
	return sum;
}

int mdl_dma_copyv(struct mdl_dma *ddst, const struct mdl_seg *dst, unsigned n_dst,
		  struct mdl_dma *dsrc, const struct mdl_seg *src, unsigned n_src,
		  enum mdl_class cls, uint64_t *ret_done)
{
	uint64_t d_off = 0, s_off = 0, n;
	uint8_t *from, *to;
	int err;

	*ret_done = 0;
	if (total(dst, n_dst) != total(src, n_src))
		die("lists of different length");
	if (total(dst, n_dst) > MDL_SLICE)
		die("more than a slice");
	hook();
	while (n_dst && n_src) {
		n = dst->len - d_off < src->len - s_off ? dst->len - d_off : src->len - s_off;
		err = resolve(dsrc, src->space, src->addr + s_off, &n, false, &from);
		if (!err)
			err = resolve(ddst, dst->space, dst->addr + d_off, &n, true, &to);
		if (err)
			return err;
		memmove(to, from, n);
		data_bytes += 2 * n;
		*ret_done += n;
		d_off += n;
		s_off += n;
		if (d_off == dst->len) {
			dst++;
			n_dst--;
			d_off = 0;
		}
		if (s_off == src->len) {
			src++;
			n_src--;
			s_off = 0;
		}
	}
	return 0;
}

int mdl_dma_visit(struct mdl_dma *d, const struct mdl_seg *seg, bool write, enum mdl_class cls,
		  mdl_visit_fn fn, void *arg)
{
	uint64_t addr = seg->addr, left = seg->len, n;
	uint8_t *mem;
	int err = 0;

	if (left > fake_visit_max)
		die("more than a slice");
	hook();
	for (; left && !err; left -= n, addr += n) {
		n = PIECE - addr % PIECE;
		n = n < left ? n : left;
		err = resolve(d, seg->space, addr, &n, write, &mem);
		if (err)
			return err;
		err = fn(arg, mem, n);
		data_bytes += err ? 0 : n;
	}
	return err;
}

int mdl_dma_store(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size, uint64_t val)
{
	uint64_t n = size;
	uint8_t *mem;
	int err;

	if ((size != 4 && size != 8) || addr % size)
		return -EINVAL;
	hook();
	err = resolve(d, space, addr, &n, true, &mem);
	if (!err)
		memcpy(mem, &val, size);
	return err;
}

/* ---- what tests use ---- */

/* Of several the one that serves the queues, which is created last. */
static struct mdl_worker *worker_of(const struct mdl_device *dev)
{
	struct mdl_worker *found = NULL;
	unsigned i;

	for (i = 0; i < MAX_WORKERS; i++)
		if (workers[i] && workers[i]->arg == dev->priv)
			found = workers[i];
	if (!found)
		die("no worker");
	return found;
}

void fake_write(struct mdl_device *dev, uint64_t off, uint64_t val, size_t len)
{
	dev->desc.ops->bar_write(dev, 0, off, &val, len);
}

uint64_t fake_read(struct mdl_device *dev, uint64_t off, size_t len)
{
	uint64_t val = 0;

	dev->desc.ops->bar_read(dev, 0, off, &val, len);
	return val;
}

void fake_map(uint64_t base, void *mem, uint64_t len, bool writable, int err)
{
	if (n_windows == MAX_WINDOWS)
		die("too many windows");
	windows[n_windows++] = (struct window){ base, len, mem, writable, err };
}

void fake_unmap_all(void)
{
	n_windows = 0;
}

void fake_bus_master(struct mdl_device *dev, bool on)
{
	dev->bus_master = on;
}

bool fake_step(struct mdl_device *dev)
{
	bool busy = false;
	unsigned i;

	for (i = 0; i < MAX_WORKERS; i++) {
		struct mdl_worker *w = workers[i];

		if (!w || w->arg != dev->priv)
			continue;
		w->at_ns = 0;
		busy |= w->fn(w->arg);
	}
	return busy;
}

unsigned fake_run(struct mdl_device *dev, unsigned max)
{
	unsigned n = 0;

	while (n < max) {
		n++;
		if (!fake_step(dev))
			break;
	}
	return n;
}

uint64_t fake_wakeup(const struct mdl_device *dev)
{
	return worker_of(dev)->at_ns;
}

bool fake_kicked(struct mdl_device *dev)
{
	struct mdl_worker *w = worker_of(dev);
	bool kicked = w->kicked;

	w->kicked = false;
	return kicked;
}

void fake_place_bar(struct mdl_device *dev, unsigned bar, uint64_t addr)
{
	dev->bar_addr[bar] = addr;
}

void fake_reset(struct mdl_device *dev, enum mdl_reset kind)
{
	dev->gen++;
	dev->desc.ops->reset(dev, kind);
}

void fake_link(struct mdl_device *a, struct mdl_device *b)
{
	a->peer = b;
	b->peer = a;
	a->link_up = b->link_up = true;
}

void fake_link_set(struct mdl_device *dev, bool up)
{
	dev->link_up = dev->peer->link_up = up;
	dev->desc.ops->link_changed(dev, up);
	dev->peer->desc.ops->link_changed(dev->peer, up);
}

unsigned fake_irqs(const struct mdl_device *dev, unsigned vec)
{
	return dev->irqs[vec];
}

static unsigned index_of(const char *const *names, unsigned n, const char *name)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return i;
	die(name);
	return 0;
}

uint64_t fake_counter(const struct mdl_device *dev, const char *name)
{
	return dev->counters[index_of(dev->desc.counter_names, dev->desc.n_counters, name)];
}

void fake_arm(struct mdl_device *dev, const char *name, enum mdl_fault_action action, uint64_t arg,
	      unsigned count)
{
	dev->faults[index_of(dev->desc.fault_names, dev->desc.n_faults, name)] =
		(struct fault){ action, arg, count };
}

void fake_snapshot(struct mdl_device *dev, struct json_object *obj)
{
	dev->desc.ops->snapshot(dev, obj);
}

void *fake_local(const struct mdl_device *dev)
{
	return dev->desc.local_mem;
}

uint64_t fake_data_bytes(void)
{
	return data_bytes;
}
