// SPDX-License-Identifier: MIT
#include "tests/fuzz/nic_guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "models/common/node.h"
#include "models/nic/cmdq.h"
#include "models/nic/mmio.h"
#include "models/nic/nic.h"

#define MAX_WORKERS 8
#define FETCH	    0x80 /* read for bookkeeping: of a queue, or a list in a key's memory */

struct fault {
	enum mdl_fault_action action;
	uint64_t arg;
	unsigned count;
};

struct mdl_device {
	struct mdl_device_desc desc;
	void *priv;
	uint64_t gen;
	bool link_up;
	struct fault faults[NIC_F_COUNT];
};

struct mdl_worker {
	mdl_work_fn fn;
	void *arg;
	bool kicked;
	uint64_t at_ns;
};

struct nic *g_nic;
uint8_t g_mem[G_BLOCKS][G_BLOCK_SIZE];

static uint8_t given[G_BLOCKS][G_BLOCK_SIZE];
static bool touched[G_BLOCKS], all_given;
static struct mdl_device *the_dev;
static struct mdl_worker workers[MAX_WORKERS];
static unsigned n_workers;
static uint64_t now_ns;

/* ---- the input ---- */

uint64_t g_odd(struct fuzz_input *in)
{
	uint8_t kind = fuzz_u8(in);

	if (kind < 160)
		return kind;
	if (kind < 220)
		return fuzz_u16(in);
	if (kind < 245)
		return (1ull << (fuzz_u8(in) % 64)) + (uint64_t)(int64_t)(int8_t)fuzz_u8(in);
	return fuzz_u64(in);
}

/* ---- models/common: device, workers, clock ---- */

int mdl_device_create(struct mdl_node *node, const char *name, const struct mdl_device_desc *desc,
		      void *priv, struct mdl_device **ret_dev)
{
	struct mdl_device *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->desc = *desc;
	d->priv = priv;
	*ret_dev = d;
	return 0;
}

void mdl_device_destroy(struct mdl_device *dev)
{
	dev->desc.ops->destroy(dev);
	free(dev);
}

void *mdl_device_priv(const struct mdl_device *dev)
{
	return dev->priv;
}

const char *mdl_device_name(const struct mdl_device *dev)
{
	return "nic0";
}

struct mdl_node *mdl_device_node(const struct mdl_device *dev)
{
	return NULL;
}

const char *mdl_node_name(const struct mdl_node *node)
{
	return "guest";
}

int mdl_mem_create(const char *name, uint64_t size, int *ret_fd, void **ret_mem)
{
	*ret_fd = -1;
	*ret_mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return *ret_mem == MAP_FAILED ? -errno : 0;
}

void mdl_mem_destroy(int fd, void *mem, uint64_t size)
{
	munmap(mem, size);
}

void mdl_irq_raise_for(const struct mdl_dma *d, unsigned vec)
{
	fuzz_promise(vec < d->dev->desc.n_vectors, "interrupt vectors exist");
}

void mdl_count_add(struct mdl_device *dev, unsigned idx, uint64_t n)
{
	fuzz_promise(idx < dev->desc.n_counters, "counters exist");
}

bool mdl_fault(struct mdl_device *dev, unsigned idx, struct mdl_fault_hit *ret_hit)
{
	struct fault *f = &dev->faults[idx];

	if (!f->count)
		return false;
	f->count--;
	*ret_hit = (struct mdl_fault_hit){ f->action, f->arg };
	return true;
}

struct mdl_device *mdl_link_peer(const struct mdl_device *dev)
{
	return NULL;
}

bool mdl_link_is_up(const struct mdl_device *dev)
{
	return dev->link_up;
}

void mdl_log(struct mdl_device *dev, enum mdl_level level, const char *fmt, ...)
{
}

uint64_t mdl_now_ns(void)
{
	return now_ns;
}

int mdl_worker_create(const char *name, mdl_work_fn fn, void *arg, struct mdl_worker **ret_w)
{
	struct mdl_worker *w = &workers[n_workers];

	if (n_workers == MAX_WORKERS)
		return -EAGAIN;
	n_workers++;
	*w = (struct mdl_worker){ .fn = fn, .arg = arg };
	*ret_w = w;
	return 0;
}

void mdl_worker_kick(struct mdl_worker *w)
{
	w->kicked = true;
}

void mdl_worker_after(struct mdl_worker *w, uint64_t ns)
{
	uint64_t at = now_ns + ns;

	if (!w->at_ns || at < w->at_ns)
		w->at_ns = at;
}

void mdl_worker_destroy(struct mdl_worker *w)
{
}

/* ---- models/common: the door ---- */

void mdl_dma_begin(struct mdl_dma *d, struct mdl_device *dev)
{
	*d = (struct mdl_dma){ .dev = dev, .gen = dev->gen };
}

bool mdl_dma_valid(const struct mdl_dma *d)
{
	return d->dev && d->gen == d->dev->gen;
}

static int local(const struct mdl_dma *d, uint64_t addr, uint64_t len, uint8_t **ret)
{
	if (addr > d->dev->desc.local_size || len > d->dev->desc.local_size - addr)
		return -EFAULT;
	*ret = (uint8_t *)d->dev->desc.local_mem + addr;
	return 0;
}

static void check_given(unsigned block, uint64_t off, uint64_t len, uint8_t what)
{
	const uint8_t *p = &given[block][off];
	uint8_t all = what;

	if (all_given)
		return;
	for (; len; len--, p++)
		all &= what == FETCH ? (*p & (G_CTRL | G_READ) ? FETCH : 0) : *p;
	fuzz_promise(all == what, what == G_CTRL || what == FETCH ?
					  "the device keeps to the queues it was given" :
					  "the device keeps to the memory of the key");
}

/* What the door does: reach memory there is, or fail. */
static int resolve(struct mdl_dma *d, enum mdl_space space, uint64_t addr, uint64_t len,
		   uint8_t what, uint8_t **ret)
{
	uint64_t block = (addr >> G_SHIFT) - 1, off = addr & ((1ull << G_SHIFT) - 1);
	int err = -EFAULT;

	if (!mdl_dma_valid(d)) {
		err = -ECANCELED;
	} else if (space == MDL_SPACE_LOCAL) {
		err = local(d, addr, len, ret);
	} else if (block < G_BLOCKS && off <= G_BLOCK_SIZE && len <= G_BLOCK_SIZE - off) {
		check_given((unsigned)block, off, len, what);
		touched[block] = true;
		*ret = &g_mem[block][off];
		err = 0;
	}
	if (err)
		d->fault_addr = addr;
	return err;
}

static uint8_t kind(enum mdl_class cls, uint8_t what)
{
	if (cls == MDL_CTRL)
		return what == G_READ ? FETCH : G_CTRL;
	return what;
}

int mdl_dma_read(struct mdl_dma *d, enum mdl_space space, uint64_t addr, void *buf, size_t len,
		 enum mdl_class cls)
{
	uint8_t *m;
	int err = resolve(d, space, addr, len, kind(cls, G_READ), &m);

	if (!err)
		memcpy(buf, m, len);
	return err;
}

int mdl_dma_write(struct mdl_dma *d, enum mdl_space space, uint64_t addr, const void *buf,
		  size_t len, enum mdl_class cls)
{
	uint8_t *m;
	int err = resolve(d, space, addr, len, kind(cls, G_WRITE), &m);

	if (!err)
		memcpy(m, buf, len);
	return err;
}

static uint64_t total(const struct mdl_seg *s, unsigned n)
{
	uint64_t sum = 0;

	while (n--)
		sum += s++->len;
	return sum;
}

int mdl_dma_copyv(struct mdl_dma *dd, const struct mdl_seg *d, unsigned nd, struct mdl_dma *ds,
		  const struct mdl_seg *s, unsigned ns, enum mdl_class cls, uint64_t *ret_done)
{
	uint64_t off_d = 0, off_s = 0, n;
	uint8_t *to, *from;
	int err;

	if (total(d, nd) != total(s, ns))
		return -EINVAL;
	fuzz_promise(total(d, nd) <= MDL_SLICE, "work comes in slices");
	while (nd && ns) {
		n = d->len - off_d < s->len - off_s ? d->len - off_d : s->len - off_s;
		err = resolve(ds, s->space, s->addr + off_s, n, kind(cls, G_READ), &from);
		if (!err)
			err = resolve(dd, d->space, d->addr + off_d, n, kind(cls, G_WRITE), &to);
		if (err)
			return err;
		memmove(to, from, n);
		off_d += n;
		off_s += n;
		if (off_d == d->len) {
			d++;
			nd--;
			off_d = 0;
		}
		if (off_s == s->len) {
			s++;
			ns--;
			off_s = 0;
		}
	}
	return 0;
}

/* Return: 0 or -errno; as the door, refuses what is not aligned. */
static int word(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size, uint8_t what,
		uint8_t **ret)
{
	if ((size != 4 && size != 8) || addr % size)
		return -EINVAL;
	return resolve(d, space, addr, size, what, ret);
}

int mdl_dma_load(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		 uint64_t *ret_val)
{
	uint8_t *m;
	int err = word(d, space, addr, size, G_CTRL, &m);

	*ret_val = 0;
	if (!err)
		memcpy(ret_val, m, size);
	return err;
}

int mdl_dma_store(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size, uint64_t val)
{
	uint8_t *m;
	int err = word(d, space, addr, size, G_CTRL, &m);

	if (!err)
		memcpy(m, &val, size);
	return err;
}

int mdl_dma_cmp_swap(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		     uint64_t compare, uint64_t swap, uint64_t *ret_old)
{
	uint8_t *m;
	int err = word(d, space, addr, size, G_READ | G_WRITE, &m);

	*ret_old = 0;
	if (err)
		return err;
	memcpy(ret_old, m, size);
	if (*ret_old == compare)
		memcpy(m, &swap, size);
	return 0;
}

int mdl_dma_fetch_add(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		      uint64_t add, uint64_t *ret_old)
{
	uint8_t *m;
	int err = word(d, space, addr, size, G_READ | G_WRITE, &m);
	uint64_t sum;

	*ret_old = 0;
	if (err)
		return err;
	memcpy(ret_old, m, size);
	sum = *ret_old + add;
	memcpy(m, &sum, size);
	return 0;
}

/* ---- the machine ---- */

void g_give(unsigned block, uint32_t off, uint32_t len, uint8_t what)
{
	memset(&given[block][off], what, len);
	touched[block] = true;
}

static void scan_word(uint64_t v)
{
	uint64_t block = (v >> G_SHIFT) - 1, off = v & ((1ull << G_SHIFT) - 1) & ~0xfffull;

	if (block < G_BLOCKS && off < G_BLOCK_SIZE)
		g_give((unsigned)block, (uint32_t)off, G_BLOCK_SIZE - (uint32_t)off, G_ANY);
}

void g_scan(const void *p, size_t len)
{
	size_t i;

	for (i = 0; i + 8 <= len; i += 4)
		scan_word(mlx5_get64(p, (uint32_t)i));
}

void g_give_all(void)
{
	all_given = true;
}

static bool run_worker(struct mdl_worker *w)
{
	if (w->at_ns && w->at_ns <= now_ns) {
		w->at_ns = 0;
		w->kicked = true;
	}
	if (!w->kicked)
		return false;
	w->kicked = w->fn(w->arg);
	return true;
}

bool g_run(unsigned max)
{
	unsigned n = 0, i;
	bool any = true;

	while (any && n < max) {
		any = false;
		for (i = 0; i < n_workers; i++)
			any |= run_worker(&workers[i]);
		n++;
	}
	return !any;
}

void g_pass(uint64_t ns)
{
	now_ns += ns;
}

void g_fault(unsigned point, enum mdl_fault_action action, uint64_t arg, unsigned count)
{
	the_dev->faults[point] = (struct fault){ action, arg, count };
}

void g_reset(enum mdl_reset how)
{
	the_dev->gen++;
	the_dev->desc.ops->reset(the_dev, how);
}

void g_link(bool up)
{
	the_dev->link_up = up;
	the_dev->desc.ops->link_changed(the_dev, up);
}

void g_write(uint64_t off, const void *buf, size_t len)
{
	the_dev->desc.ops->bar_write(the_dev, 0, off, buf, len);
}

void g_write32(uint64_t off, uint32_t val)
{
	uint8_t b[4];

	mlx5_set32(b, 0, val);
	g_write(off, b, 4);
}

void g_write64(uint64_t off, uint64_t val)
{
	uint8_t b[8];

	mlx5_set64(b, 0, val);
	g_write(off, b, 8);
}

uint32_t g_read32(uint64_t off)
{
	uint8_t b[4] = { 0 };

	the_dev->desc.ops->bar_read(the_dev, 0, off, b, 4);
	return mlx5_get32(b, 0);
}

uint8_t g_exec(const uint8_t *in, uint32_t in_len, uint8_t *out, uint32_t out_len)
{
	struct nic_cmd c = {
		.nic = g_nic, .in = in, .in_len = in_len, .out = out, .out_len = out_len
	};

	memset(out, 0, out_len);
	mdl_dma_begin(&c.dma, the_dev);
	nic_cmd_execute(&c);
	g_saw_command((uint16_t)(in[0] << 8 | in[1]), out[0]);
	return out[0];
}

static void create(void)
{
	if (nic_create(NULL, "nic0", &the_dev))
		abort();
	g_nic = mdl_device_priv(the_dev);
	/* The same on every machine, whatever the number of its processors. */
	g_nic->n_dw = 1;
	g_run(16);
	g_reset(MDL_RESET_FLR);
	fuzz_promise(g_run(64), "a reset ends");
}

/* Numbers and doorbells an earlier input left behind must not steer this one. */
static void forget(void)
{
	uint32_t idx;
	unsigned i;

	for (i = 0; i < NIC_T_COUNT; i++)
		g_nic->table[i].next = 0;
	while (nic_dbset_take(&g_nic->dw[0].qps, &idx) || nic_dbset_take(&g_nic->dw[0].cqs, &idx) ||
	       nic_dbset_take(&g_nic->dw[0].moderated, &idx))
		;
	g_nic->dw[0].qps.next = g_nic->dw[0].cqs.next = g_nic->dw[0].moderated.next = 0;
	for (i = 0; i < n_workers; i++)
		workers[i].at_ns = 0;
	memset(the_dev->faults, 0, sizeof(the_dev->faults));
}

void g_begin(void)
{
	unsigned i;

	now_ns = 1000000000;
	if (!the_dev)
		create();
	for (i = 0; i < G_BLOCKS; i++) {
		if (!touched[i])
			continue;
		memset(g_mem[i], 0, G_BLOCK_SIZE);
		memset(given[i], 0, G_BLOCK_SIZE);
		touched[i] = false;
	}
	all_given = false;
	the_dev->link_up = true;
	forget();
}

void g_end(void)
{
	unsigned i;

	g_reset(MDL_RESET_FLR);
	fuzz_promise(g_run(64), "a reset ends");
	for (i = 0; i < NIC_T_COUNT; i++)
		fuzz_promise(!g_nic->table[i].used, "a reset leaves no object");
	fuzz_promise(!g_nic->mem_used, "a reset gives all memory back");
	for (i = 0; i < NIC_EV_MAX; i++)
		fuzz_promise(!atomic_load(&g_nic->event_eq[i]), "a reset leaves no subscription");
}

/* ---- how deep the inputs get ---- */

static uint32_t commands[0x1000][0x60], completions[0x10][0x30], requests[0x40];
static FILE *stats;

static void print_stats(void)
{
	unsigned i, j;

	for (i = 0; i < 0x1000; i++)
		for (j = 0; j < 0x60; j++)
			if (commands[i][j])
				fprintf(stats, "command 0x%03x status 0x%02x %u\n", i, j,
					commands[i][j]);
	for (i = 0; i < 0x40; i++)
		if (requests[i])
			fprintf(stats, "request 0x%02x %u\n", i, requests[i]);
	for (i = 0; i < 0x10; i++)
		for (j = 0; j < 0x30; j++)
			if (completions[i][j])
				fprintf(stats, "completion 0x%x syndrome 0x%02x %u\n", i, j,
					completions[i][j]);
	fclose(stats);
}

static bool counting(void)
{
	static bool asked;

	if (!asked && getenv("FUZZ_STATS")) {
		stats = fopen(getenv("FUZZ_STATS"), "w");
		if (stats)
			atexit(print_stats);
	}
	asked = true;
	return stats;
}

void g_saw_command(uint16_t opcode, uint8_t status)
{
	/* Unknown ones count as one. */
	if (counting() && status < 0x60)
		commands[status == NIC_BAD_OP || opcode > 0xfff ? 0xfff : opcode][status]++;
}

void g_saw_completion(uint8_t opcode, uint8_t syndrome)
{
	if (counting() && opcode < 0x10 && syndrome < 0x30)
		completions[opcode][syndrome]++;
}

void g_saw_request(uint8_t opcode)
{
	if (counting() && opcode < 0x40)
		requests[opcode]++;
}
