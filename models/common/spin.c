// SPDX-License-Identifier: MIT
#include "models/common/spin.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPIN_MAX_NS 200000u
#define SPIN_MIN_NS 2000u
/* Reading the number of running threads costs about 2 us; all who spin share what was read. */
#define ASK_NS	20000u
#define KNOW_NS 100000u

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int load_fd = -1;
static unsigned long cpus;

static void open_load(void)
{
	cpu_set_t set;

	load_fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	cpus = sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned long)CPU_COUNT(&set);
}

/* "0.20 0.18 0.12 RUNNING/ALL LAST_PID": is there a processor for every thread that runs? */
static bool ask_load(void)
{
	char text[64];
	const char *p = text;
	ssize_t n = pread(load_fd, text, sizeof(text) - 1, 0);
	unsigned i;

	if (n <= 0)
		return false;
	text[n] = '\0';
	for (i = 0; i < 3 && p; i++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	return p && strtoul(p, NULL, 10) <= cpus;
}

static bool processor_is_free(uint64_t now_ns)
{
	static _Atomic uint64_t asked_ns;
	static atomic_bool is_free;
	uint64_t asked = atomic_load(&asked_ns);

	if (now_ns - asked < KNOW_NS)
		return atomic_load(&is_free);
	/* One asks; the others go on with what was known. */
	if (atomic_compare_exchange_strong(&asked_ns, &asked, now_ns))
		atomic_store(&is_free, ask_load());
	return atomic_load(&is_free);
}

void mdl_spin_init(struct mdl_spin *s)
{
	pthread_once(&once, open_load);
	*s = (struct mdl_spin){ .ns = SPIN_MAX_NS };
}

bool mdl_spin_again(struct mdl_spin *s, uint64_t now_ns)
{
	if (!s->end_ns) {
		s->end_ns = now_ns + s->ns;
		s->ask_ns = now_ns;
	}
	if (now_ns >= s->end_ns) {
		if (s->ns > SPIN_MIN_NS)
			s->ns /= 2;
		s->end_ns = 0;
	} else if (now_ns >= s->ask_ns) {
		s->ask_ns = now_ns + ASK_NS;
		if (!processor_is_free(now_ns))
			s->end_ns = 0;
	}
	return s->end_ns;
}

void mdl_spin_found(struct mdl_spin *s)
{
	if (s->end_ns)
		s->ns = SPIN_MAX_NS;
	s->end_ns = 0;
}

void mdl_spin_slept(struct mdl_spin *s, uint64_t ns)
{
	/* It came soon after all: spinning would have caught it. */
	if (ns < SPIN_MAX_NS)
		s->ns = SPIN_MAX_NS;
}
