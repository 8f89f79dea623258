// SPDX-License-Identifier: MIT
/*
 * NVMe controllers of a real peerdma-fabric, driven through their sockets by the numbers of
 * models/nvme/SPEC.rst: bring-up, data, the memory buffer and its peers, resets, configurations.
 *
 * disk0 and acc0 are below one switch. disk1 has a buffer of the old kind. acc0's numbers are
 * models/accel/SPEC.rst's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/proto/accel_client.h"
#include "tests/proto/fabproc.h"
#include "tests/proto/nvme_client.h"

/* clang-format off */
static const char config[] =
	"{\"control\":\"control\",\"nodes\":[{\"name\":\"a\",\"devices\":["
	"{\"name\":\"disk0\",\"model\":\"nvme\",\"socket\":\"disk0\",\"switch\":\"s\","
	 "\"cmb\":\"2M\",\"namespaces\":[{\"path\":\"ns1\",\"size\":\"16M\"},"
			 "{\"path\":\"ns2\",\"size\":\"8M\",\"block\":4096}]},"
	"{\"name\":\"disk1\",\"model\":\"nvme\",\"socket\":\"disk1\",\"cmb\":\"2M\","
	 "\"cmb_legacy\":true,\"namespaces\":[{\"path\":\"ns3\",\"size\":\"16M\"}]},"
	"{\"name\":\"acc0\",\"model\":\"accel\",\"socket\":\"acc0\",\"switch\":\"s\","
	 "\"vram\":\"64M\"}"
	"]}]}";
/* clang-format on */

#define BAR0	  UINT64_C(0x3000000000)
#define BAR2	  UINT64_C(0x3010000000)
#define OLD_BAR2  UINT64_C(0x3020000000)
#define ACC_BAR2  UINT64_C(0x2000000000)
#define DECODE	  2
#define MASTER	  4
#define CMBLOC	  0x38
#define CMBSZ	  0x3c
#define CMBMSC	  0x50
#define A_WRITE	  7
#define DNR_MORE  0x6000
#define TRANSFER  0x004
#define LBA_RANGE 0x080
#define BAD_CMB	  0x012

struct fix {
	struct proc p;
	struct disk d, old;
	struct acc a;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	char path[128];

	*state = f;
	if (!f || proc_start(&f->p, config) || !proc_ready(&f->p))
		return -1;
	proc_path(&f->p, "disk0", path, sizeof(path));
	if (n_open(&f->d, path, BAR0, BAR2))
		return -1;
	proc_path(&f->p, "disk1", path, sizeof(path));
	if (n_open(&f->old, path, BAR0 + 0x4000, OLD_BAR2))
		return -1;
	proc_path(&f->p, "acc0", path, sizeof(path));
	return a_open(&f->a, path, 0xfe000000, ACC_BAR2);
}

static int teardown(void **state)
{
	struct fix *f = *state;
	int status;

	n_close(&f->d);
	n_close(&f->old);
	a_close(&f->a);
	status = f->p.pid > 0 ? proc_end(&f->p, SIGTERM) : 0;
	proc_clean(&f->p);
	free(f);
	return status;
}

static void fill(uint8_t *p, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)((seed + i) * 2654435761u >> 24);
}

static void bring_up(struct disk *d)
{
	assert_int_equal(n_command(d, DECODE | MASTER), 0);
	assert_int_equal(n_enable(d), 0);
	assert_int_equal(n_pair(d, 0x40000, d->ram + 0x40000), 0);
}

static void cmb_on(struct disk *d)
{
	assert_int_equal(c_write64(&d->c, 0, CMBMSC, BAR2 | 3), 0);
}

static uint64_t counter(struct fix *f, const char *dev, const char *what)
{
	char request[128], pointer[128];

	snprintf(request, sizeof(request), "{\"cmd\":\"counters\",\"device\":\"a/%s\"}", dev);
	snprintf(pointer, sizeof(pointer), "/counters/a~1%s/%s", dev, what);
	return ctl_num(&f->p, request, pointer);
}

/* What a file of the directory holds. */
static void check_file(struct fix *f, const char *name, off_t off, const uint8_t *want, size_t len)
{
	uint8_t *got = malloc(len);
	char path[128];
	int fd;

	proc_path(&f->p, name, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, got, len, off), len);
	assert_memory_equal(got, want, len);
	close(fd);
	free(got);
}

static void identity(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->d;
	uint32_t id;

	assert_int_equal(c_read(&d->c, C_CONFIG, 8, &id, 4), 0);
	assert_int_equal(id >> 8, 0x010802);
	assert_int_equal(n_command(d, DECODE), 0);
	assert_int_equal(c_read32(&d->c, 0, 0x08), 0x00020000);
	assert_int_equal(c_read64(&d->c, 0, 0x00) & 0xffff, 1023);
	assert_int_equal(c_read64(&d->c, 0, 0x00) >> 57 & 1, 1);
	assert_int_equal(c_read32(&d->c, 0, 0x1c), 0);
	assert_int_equal(c_read64(&f->old.c, 0, 0x00) >> 57 & 1, 0);
}

static void identify(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->d;
	struct n_sqe s = { .opc = 6, .prp1 = N_DATA, .dw10 = 1 };

	bring_up(d);
	assert_int_equal(n_run(d, 0, s, NULL), 0);
	assert_memory_equal(d->ram + N_DATA + 4, "peerdma-a-disk0     ", 20);
	assert_int_equal(d->ram[N_DATA + 525], 7);
	s.dw10 = 0;
	s.nsid = 2;
	assert_int_equal(n_run(d, 0, s, NULL), 0);
	assert_int_equal(*(uint64_t *)(void *)(d->ram + N_DATA), 2048);
	assert_int_equal(d->ram[N_DATA + 130], 12);
	s.dw10 = 0x7f;
	assert_int_equal(n_run(d, 0, s, NULL), DNR_MORE | 2);
}

static void data_to_the_file(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->d;
	struct stat st;
	char path[128];

	proc_path(&f->p, "ns1", path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 16 << 20); /* made when it was not there, and sparse */
	assert_int_equal(st.st_blocks, 0);
	bring_up(d);
	fill(d->ram + N_DATA, 8192, 1);
	assert_int_equal(n_rw(d, 1, 100, 16, N_DATA, N_DATA + 4096), 0);
	assert_int_equal(n_flush(d), 0);
	check_file(f, "ns1", 51200, d->ram + N_DATA, 8192);
	assert_int_equal(n_rw(d, 2, 100, 16, N_DATA + 0x10000, N_DATA + 0x11000), 0);
	assert_memory_equal(d->ram + N_DATA, d->ram + N_DATA + 0x10000, 8192);
	assert_int_equal(counter(f, "disk0", "dma/data/host/read/bytes"), 8192);
	assert_int_equal(counter(f, "disk0", "dma/data/host/write/bytes"), 8192);
	assert_int_equal(n_rw(d, 2, 32768, 1, N_DATA, 0), DNR_MORE | LBA_RANGE);
	assert_int_equal(n_rw(d, 2, 0, 1, N_RAM, 0), DNR_MORE | TRANSFER);
}

static void interrupt(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->d;
	int fd[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
	struct pollfd p = { .fd = fd[1], .events = POLLIN };
	uint64_t n;

	assert_int_equal(c_set_irqs(&d->c, 4, 2, 0, 2, fd, 2), 0);
	bring_up(d);
	assert_int_equal(read(fd[0], &n, 8), 8);
	assert_int_equal(n_flush(d), 0);
	assert_int_equal(poll(&p, 1, N_WAIT_MS), 1);
	close(fd[0]);
	close(fd[1]);
}

static void queues_and_data_in_the_buffer(void **state)
{
	struct n_sqe sgl = { .opc = 2, .flags = 0x40, .nsid = 1, .prp1 = BAR2 - 4, .dw12 = 7 };
	struct fix *f = *state;
	struct disk *d = &f->d;

	sgl.prp2 = 4096; /* the length of it */
	assert_int_equal(n_command(d, DECODE | MASTER), 0);
	assert_int_equal(c_read32(&d->c, 0, CMBSZ), 0);
	assert_int_equal(c_write64(&d->c, 0, CMBMSC, 1), 0);
	assert_int_equal(c_read32(&d->c, 0, CMBSZ), 0x20001f);
	assert_int_equal(c_read32(&d->c, 0, CMBLOC), 0x1fa);
	cmb_on(d);
	assert_int_equal(n_enable(d), 0);
	assert_int_equal(n_pair(d, BAR2, d->cmb), 0);
	fill(d->cmb + 0x100000, 8192, 2);
	assert_int_equal(n_rw(d, 1, 0, 16, BAR2 + 0x100000, BAR2 + 0x101000), 0);
	assert_int_equal(n_rw(d, 2, 0, 16, BAR2 + 0x110000, BAR2 + 0x111000), 0);
	assert_memory_equal(d->cmb + 0x100000, d->cmb + 0x110000, 8192);
	assert_int_equal(counter(f, "disk0", "dma/data/own/read/bytes"), 8192);
	assert_int_equal(counter(f, "disk0", "dma/data/host/read/bytes"), 0);
	assert_int_equal(counter(f, "disk0", "model/queue.sq_in_cmb"), 1);
	/* One SGL data block that is partly in it. */
	assert_int_equal(n_run(d, 1, sgl, NULL), DNR_MORE | BAD_CMB);
}

static void the_buffer_of_old(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->old;

	bring_up(d);
	assert_int_equal(c_read32(&d->c, 0, CMBSZ), 0x20001f);
	fill(d->cmb + 0x1000, 4096, 3);
	assert_int_equal(n_rw(d, 1, 8, 8, OLD_BAR2 + 0x1000, 0), 0);
	assert_int_equal(n_rw(d, 2, 8, 8, N_DATA, 0), 0);
	assert_memory_equal(d->ram + N_DATA, d->cmb + 0x1000, 4096);
	/* It moves with the BAR. */
	assert_int_equal(n_command(d, MASTER), 0);
	assert_int_equal(c_write(&d->c, C_CONFIG, 0x1c, "\x31\0\0\0", 4), 0);
	assert_int_equal(n_command(d, DECODE | MASTER), 0);
	assert_int_equal(n_rw(d, 1, 8, 8, OLD_BAR2 + 0x1000, 0), DNR_MORE | TRANSFER);
	assert_int_equal(n_rw(d, 1, 8, 8, OLD_BAR2 + 0x100001000, 0), 0);
}

/* An accelerator fills the buffer, the disk commits it: no byte in guest RAM. */
static void a_peer_writes_the_buffer(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->d;
	struct a_cqe q;

	cmb_on(d);
	bring_up(d);
	assert_int_equal(a_command(&f->a, DECODE | MASTER), 0);
	assert_int_equal(a_ring_start(&f->a, 0xffffffff), 1);
	fill(f->a.vram + 0x100000, 8192, 4);
	assert_int_equal(a_move(&f->a, A_COPY, A_LOCAL, 0x100000, A_BUS, BAR2 + 0x4000, 8192, &q),
			 0);
	assert_memory_equal(d->cmb + 0x4000, f->a.vram + 0x100000, 8192);
	assert_int_equal(counter(f, "acc0", "dma/data/peer_switch/write/bytes"), 8192);
	assert_int_equal(n_rw(d, 1, 64, 16, BAR2 + 0x4000, BAR2 + 0x5000), 0);
	assert_int_equal(n_flush(d), 0);
	check_file(f, "ns1", 32768, f->a.vram + 0x100000, 8192);
	assert_int_equal(counter(f, "disk0", "dma/data/host/read/bytes"), 0);
	assert_int_equal(counter(f, "acc0", "dma/data/host/read/bytes"), 0);
}

/* From the disk straight into an accelerator's memory, and back. */
static void data_in_a_peer(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->d;
	uint8_t want[8192];

	bring_up(d);
	assert_int_equal(a_command(&f->a, DECODE), 0);
	fill(want, sizeof(want), 5);
	memcpy(f->a.vram + 0x2000, want, sizeof(want));
	assert_int_equal(n_rw(d, 1, 0, 16, ACC_BAR2 + 0x2000, ACC_BAR2 + 0x3000), 0);
	assert_int_equal(n_rw(d, 2, 0, 16, ACC_BAR2 + 0x8000, ACC_BAR2 + 0x9000), 0);
	assert_memory_equal(f->a.vram + 0x8000, want, sizeof(want));
	assert_int_equal(counter(f, "disk0", "dma/data/peer_switch/read/bytes"), 8192);
	assert_int_equal(counter(f, "disk0", "dma/data/peer_switch/write/bytes"), 8192);
	assert_int_equal(counter(f, "disk0", "dma/data/host/read/bytes"), 0);
	/* Gone from the bus, the command fails and the disk goes on. */
	assert_int_equal(a_command(&f->a, 0), 0);
	assert_int_equal(n_rw(d, 2, 0, 8, ACC_BAR2 + 0x8000, 0), DNR_MORE | TRANSFER);
	assert_int_equal(n_flush(d), 0);
}

/* A doorbell is a register like any other: a peer may ring it. */
static void a_peer_rings_the_doorbell(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->d;
	struct a_sqe w = { .opcode = A_WRITE, .len = 4, .dst = BAR0 + 0x1008 };
	struct n_sqe s = { .opc = 2, .nsid = 1, .prp1 = N_DATA, .dw12 = 7 };
	struct n_cqe e;
	struct a_cqe q;

	bring_up(d);
	assert_int_equal(a_command(&f->a, DECODE | MASTER), 0);
	assert_int_equal(a_ring_start(&f->a, 0xffffffff), 1);
	w.imm = n_put(d, 1, s);
	assert_int_equal(a_run(&f->a, &w, &q), 0);
	assert_int_equal(q.status, 0);
	assert_int_equal(n_await(d, 1, &e), 0);
	assert_int_equal(e.status >> 1, 0);
	assert_int_equal(e.cid, d->cid);
}

static void function_level_reset(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->d;
	unsigned i;

	for (i = 0; i < 20; i++) {
		bring_up(d);
		while (d->q[1].tail < 12)
			n_put(d, 1,
			      (struct n_sqe){ .opc = 2, .nsid = 1, .prp1 = N_DATA, .dw12 = 7 });
		assert_int_equal(n_ring(d, 1), 0);
		assert_int_equal(c_write16(&d->c, C_CONFIG, 0x58, 0x8000), 0);
		memset(d->ram, 0xaa, N_RAM);
		assert_int_equal(n_command(d, DECODE), 0);
		assert_int_equal(c_read32(&d->c, 0, 0x1c), 0);
		/* Nothing of before the reset writes any more. */
		assert_int_equal(d->ram[N_DATA], 0xaa);
		assert_true(!memcmp(d->ram, d->ram + 1, N_RAM - 1));
	}
	bring_up(d);
	assert_int_equal(n_flush(d), 0);
	assert_int_equal(counter(f, "disk0", "bus/resets"), 20);
}

static void lost_power(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->d;
	uint8_t want[4096], zero[4096] = { 0 };
	int i;

	bring_up(d);
	fill(want, sizeof(want), 6);
	memcpy(d->ram + N_DATA, want, sizeof(want));
	assert_int_equal(n_rw(d, 1, 0, 8, N_DATA, 0), 0);
	assert_int_equal(n_flush(d), 0);
	assert_int_equal(n_rw(d, 1, 8, 8, N_DATA, 0), 0);
	assert_true(ctl_ok(&f->p, "{\"cmd\":\"fault\",\"device\":\"a/disk0\",\"point\":"
				  "\"nvme.power.cut\",\"action\":\"drop\",\"count\":1}"));
	n_put(d, 1, (struct n_sqe){ .nsid = 1 });
	assert_int_equal(n_ring(d, 1), 0);
	for (i = 0; i < N_WAIT_MS && !(c_read32(&d->c, 0, 0x1c) & 2); i++)
		poll(NULL, 0, 1);
	assert_int_equal(n_disable(d), 0);
	bring_up(d);
	assert_int_equal(n_rw(d, 2, 0, 16, N_DATA, N_DATA + 4096), 0);
	assert_memory_equal(d->ram + N_DATA, want, 4096);
	assert_memory_equal(d->ram + N_DATA + 4096, zero, 4096);
}

/* The machine is switched off in order, or not; the next one finds what must be there. */
static void next_client(void **state)
{
	struct fix *f = *state;
	struct disk *d = &f->d;
	uint8_t want[4096];
	char path[128];
	unsigned i;

	fill(want, sizeof(want), 7);
	for (i = 0; i < 2; i++) {
		bring_up(d);
		memcpy(d->ram + N_DATA, want, sizeof(want));
		assert_int_equal(n_rw(d, 1, i * 8, 8, N_DATA, 0), 0);
		if (!i) {
			assert_int_equal(c_write(&d->c, 0, 0x14, "\x01\x40\x46\x00", 4), 0);
			while ((c_read32(&d->c, 0, 0x1c) & 12) != 8)
				poll(NULL, 0, 1);
		}
		n_close(d);
		proc_path(&f->p, "disk0", path, sizeof(path));
		assert_int_equal(n_open(d, path, BAR0, BAR2), 0);
	}
	bring_up(d);
	assert_int_equal(n_rw(d, 2, 0, 16, N_DATA, N_DATA + 4096), 0);
	assert_memory_equal(d->ram + N_DATA, want, 4096);
	assert_int_equal(d->ram[N_DATA + 4096] | d->ram[N_DATA + 4097], 0);
	assert_int_equal(counter(f, "disk0", "model/cache.bytes_lost"), 4096);
}

#define NVME(more)                                                                          \
	"{\"control\":\"control\",\"nodes\":[{\"name\":\"a\",\"devices\":[{\"name\":\"d\"," \
	"\"model\":\"nvme\",\"socket\":\"d\"," more "}]}]}"

static void bad_configurations(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ NVME("\"namespaces\":[]"), "a/d" },
		{ NVME("\"namespaces\":[{\"size\":\"1M\"}]"), "has no \"path\"" },
		{ NVME("\"namespaces\":[{\"path\":\"x\",\"wat\":1}]"), "unknown key" },
		{ NVME("\"namespaces\":[{\"path\":\"not-there\"}]"), "No such file" },
		{ NVME("\"namespaces\":[{\"path\":\"x\",\"size\":\"1M\",\"block\":1000}]"), "a/d" },
		{ NVME("\"namespaces\":[{\"path\":\"x\",\"size\":\"4T\"}]"), "a/d" },
		{ NVME("\"cmb\":\"3M\",\"namespaces\":[{\"path\":\"x\",\"size\":\"1M\"}]"), "a/d" },
		{ NVME("\"namespaces\":[{\"path\":\"x\",\"size\":\"1M\"},"
		       "{\"path\":\"x\",\"size\":\"1M\"}]"),
		  "busy" },
		{ NVME("\"namespaces\":5"), "must be a list" },
	};
	char log[1024];
	struct proc p;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(proc_start(&p, bad[i].text), 0);
		assert_false(proc_ready(&p));
		assert_in_range(proc_end(&p, 0), 1, 2);
		assert_true(proc_log(&p, log, sizeof(log)) > 0);
		if (!strstr(log, bad[i].says))
			fail_msg("%u: '%s' does not say '%s'", i, log, bad[i].says);
		proc_clean(&p);
	}
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(identity),
		T(identify),
		T(data_to_the_file),
		T(interrupt),
		T(queues_and_data_in_the_buffer),
		T(the_buffer_of_old),
		T(a_peer_writes_the_buffer),
		T(data_in_a_peer),
		T(a_peer_rings_the_doorbell),
		T(function_level_reset),
		T(lost_power),
		T(next_client),
		cmocka_unit_test(bad_configurations),
	};

	return cmocka_run_group_tests_name("fabric_nvme", tests, NULL, NULL);
}
