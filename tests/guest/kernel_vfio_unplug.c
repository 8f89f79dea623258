// SPDX-License-Identifier: MIT
/*
 * peerdma_vfio: the function is removed from the bus, or somebody tries to unload the modules,
 * while a disk and the NIC use its memory. Afterwards all of it works again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/sysfs/attr.h"
#include "tests/guest/rdma_pair.h"
#include "tests/guest/kernel_rig.h"
#include "tests/guest/kernel_shown.h"
#include "util/clock.h"

#define AREA   (32 * MIB)
#define ENOUGH 20 /* transfers, to say that it runs */

/* Of the processes that are forked later, too. */
struct progress {
	uint64_t disk, nic, cut_off;
};

struct load {
	struct kernel_rig r;
	struct rdma_pair q;
	struct ibv_mr *mr;
	pthread_t thread[2];
	struct progress *progress;
	bool stop;
	int disk;
};

static void count(uint64_t *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

static bool goes_on(struct load *l)
{
	return !__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE);
}

/* What is unmapped in the middle ends early or with EFAULT, and never otherwise. */
static void *disk_main(void *arg)
{
	struct load *l = arg;

	while (goes_on(l)) {
		ssize_t n = pread(l->disk, l->r.mem + AREA, MIB, 0);

		CHECK(n >= 0 || errno == EFAULT);
		count(n == (ssize_t)MIB ? &l->progress->disk : &l->progress->cut_off);
	}
	return NULL;
}

static void *nic_main(void *arg)
{
	struct rdma_op op = { .op = IBV_WR_RDMA_WRITE, .len = MIB };
	struct load *l = arg;

	op.rkey = l->mr->rkey;
	while (goes_on(l)) {
		if (rdma_pair_do(&l->q, &op) == IBV_WC_SUCCESS) {
			count(&l->progress->nic);
			continue;
		}
		count(&l->progress->cut_off);
		rdma_pair_connect(&l->q);
	}
	return NULL;
}

static void register_area(struct load *l)
{
	rdma_pair_open(&l->q, "mlx5", MIB);
	l->mr = rdma_pair_dmabuf(&l->q, kernel_dmabuf(&l->r, AREA + MIB, MIB), MIB);
}

/* The device is bound. */
static void start(struct load *l)
{
	CHECK_EQ(kernel_open_device(&l->r), 0);
	l->disk = open(kernel_disk(1), O_RDWR | O_DIRECT | O_CLOEXEC);
	CHECK(l->disk >= 0);
	register_area(l);
	CHECK_EQ(pthread_create(&l->thread[0], NULL, disk_main, l), 0);
	CHECK_EQ(pthread_create(&l->thread[1], NULL, nic_main, l), 0);
}

static void wait_running(const struct progress *p)
{
	int64_t end = util_now_ms() + 30000;

	while (__atomic_load_n(&p->disk, __ATOMIC_RELAXED) < ENOUGH ||
	       __atomic_load_n(&p->nic, __ATOMIC_RELAXED) < ENOUGH) {
		CHECK(util_now_ms() < end);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

static void stop(struct load *l)
{
	__atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(l->thread[i], NULL), 0);
	CHECK_EQ(ibv_dereg_mr(l->mr), 0);
	rdma_pair_close(&l->q);
	close(l->disk);
	printf("# disk %" PRIu64 ", NIC %" PRIu64 ", cut off %" PRIu64 "\n", l->progress->disk,
	       l->progress->nic, l->progress->cut_off);
}

static void prepare(struct load *l)
{
	memset(l, 0, sizeof(*l));
	kernel_bind(&l->r, 20000);
	l->progress = mmap(NULL, sizeof(*l->progress), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(l->progress != MAP_FAILED);
}

/* A process whose threads make the load until it is killed. */
static pid_t start_apart(struct load *l)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		start(l);
		for (;;)
			pause();
	}
	wait_running(l->progress);
	return pid;
}

static void kill_it(pid_t pid)
{
	int status;

	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static bool is_on_bus(struct kernel_rig *r)
{
	char path[128];

	snprintf(path, sizeof(path), PDMAI_SYSFS "/bus/pci/devices/%s", r->bdf.text);
	return !access(path, F_OK);
}

/*
 * It ends when the function is gone, and that waits until nobody has it open; so it must be another
 * program, which has nothing of ours.
 */
static pid_t remove_apart(struct kernel_rig *r)
{
	char command[128];
	char sh[] = "sh", option[] = "-c", *const argv[] = { sh, option, command, NULL };
	pid_t pid;

	snprintf(command, sizeof(command), "echo 1 >" PDMAI_SYSFS "/bus/pci/devices/%s/remove",
		 r->bdf.text);
	CHECK_EQ(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
	return pid;
}

static void wait_removed(struct kernel_rig *r, pid_t remover)
{
	int status;

	CHECK_EQ(waitpid(remover, &status, 0), remover);
	CHECK_EQ(status, 0);
	CHECK(!is_on_bus(r));
	kernel_provider(0, 0);
}

/* The function comes back without driver, and other tests expect it as it was. */
static void rescan_and_use(struct load *l)
{
	struct kernel_rig r;
	int disk;

	kit_control_close(l->r.control);
	CHECK_EQ(pdmai_attr_put("1", PDMAI_SYSFS "/bus/pci/rescan"), 0);
	CHECK(is_on_bus(&l->r));
	CHECK_EQ(pdmai_unbind(&l->r.binding), 0);
	disk = open(kernel_disk(1), O_RDWR | O_DIRECT | O_CLOEXEC);
	CHECK(disk >= 0);
	kernel_open(&r, 5000);
	kernel_there_and_back(&r, disk, MIB, 77);
	kernel_close(&r);
	close(disk);
}

static int listen_to_requests(struct kernel_rig *r)
{
	union {
		struct vfio_irq_set set;
		char space[sizeof(struct vfio_irq_set) + sizeof(int)];
	} arg = { .set = { .argsz = sizeof(arg),
			   .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			   .index = VFIO_PCI_REQ_IRQ_INDEX,
			   .count = 1 } };
	int fd = eventfd(0, EFD_CLOEXEC);

	CHECK(fd >= 0);
	memcpy(arg.set.data, &fd, sizeof(fd));
	CHECK_EQ(ioctl(pdmai_vfio_device_fd(r->dev), VFIO_DEVICE_SET_IRQS, &arg.set), 0);
	return fd;
}

/* The owner is asked to let go, and does so while transfers are under way. */
static void removed_and_let_go(void)
{
	uint64_t asked;
	struct load l;
	pid_t remover;
	int request;

	prepare(&l);
	start(&l);
	wait_running(l.progress);
	request = listen_to_requests(&l.r);
	remover = remove_apart(&l.r);
	CHECK_EQ(read(request, &asked, sizeof(asked)), sizeof(asked));
	CHECK(is_on_bus(&l.r));
	kernel_close_device(&l.r);
	wait_removed(&l.r, remover);
	/* The NIC still has the shell of a dma-buf. */
	KERNEL_SHOWN({ KERNEL_EXPORT, MIB, getpid(), NULL, KERNEL_PROVIDER_GONE },
		     { KERNEL_ATTACH, MIB, getpid(), getenv("PEERDMA_SLOT_NIC0"),
		       KERNEL_PROVIDER_GONE });
	stop(&l);
	kernel_nothing_shown();
	CHECK(l.progress->cut_off > 0);
	close(request);
	rescan_and_use(&l);
}

static void removed_and_killed(void)
{
	pid_t owner, remover;
	struct load l;

	prepare(&l);
	owner = start_apart(&l);
	remover = remove_apart(&l.r);
	kill_it(owner);
	wait_removed(&l.r, remover);
	kernel_nothing_shown();
	rescan_and_use(&l);
}

static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

/* Nobody has the device open, or holds anything of it: it is unbound by that. */
static void modules_go_when_nothing_is_left(void)
{
	struct load l;
	pid_t owner;
	int fd;

	prepare(&l);
	CHECK_EQ(unload("peerdma"), -EWOULDBLOCK);
	owner = start_apart(&l);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(unload("peerdma_vfio"), -EWOULDBLOCK);
		CHECK_EQ(unload("peerdma"), -EWOULDBLOCK);
	}
	kill_it(owner);
	/* A dma-buf of a device that is closed is a shell, and of the module. */
	CHECK_EQ(kernel_open_device(&l.r), 0);
	fd = kernel_dmabuf(&l.r, 0, MIB);
	kernel_close_device(&l.r);
	CHECK_EQ(unload("peerdma_vfio"), -EWOULDBLOCK);
	close(fd);
	CHECK_EQ(unload("peerdma_vfio"), 0);
	CHECK_EQ(unload("peerdma"), 0);
	CHECK(access("/dev/peerdma", F_OK));
	rescan_and_use(&l);
}

static const struct tap_test tests[] = {
	{ "removed_and_let_go", removed_and_let_go, TAP_ANYWHERE },
	{ "removed_and_killed", removed_and_killed, TAP_ANYWHERE },
	{ "modules_go_when_nothing_is_left", modules_go_when_nothing_is_left, TAP_ANYWHERE },
};

TAP_MAIN(tests)
