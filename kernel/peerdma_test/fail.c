// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocations that fail when a test says so. Debian's kernel has no fault injection, so the result
 * is taken away where it is returned: that code has allocated without need, and frees it again.
 */
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "test.h"

#define MODULE_NAME_SPACE 32

static DEFINE_MUTEX(mutex);
static struct task_struct *victim; /* changes while nothing is hooked */
static char caller[MODULE_NAME_SPACE];
static unsigned int n_left;
static bool has_failed;

/* Return: 0: look at what it returns. */
static int at_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	return current == victim && !has_failed ? 0 : 1;
}

static bool is_of_caller(unsigned long address)
{
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol(name, address);
	return strstr(name, caller);
}

static int at_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	void *p = (void *)regs_return_value(regs);

	if (has_failed || ZERO_OR_NULL_PTR(p) || is_vmalloc_addr(p) ||
	    !is_of_caller(get_kretprobe_retaddr(ri)))
		return 0;
	if (n_left) {
		n_left--;
		return 0;
	}
	kfree(p);
	regs_set_return_value(regs, 0);
	has_failed = true;
	return 0;
}

/* What the modules call: kmalloc() of a length known to the compiler, and kvmalloc(). */
static struct kretprobe small = {
	.kp.symbol_name = "__kmalloc_cache_noprof",
	.entry_handler = at_entry,
	.handler = at_return,
};

static struct kretprobe large = {
	.kp.symbol_name = "__kvmalloc_node_noprof",
	.entry_handler = at_entry,
	.handler = at_return,
};

static struct kretprobe *probes[] = { &small, &large };

static int hook(void)
{
	/* A probe keeps what it found out about the address. */
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		probes[i]->kp.addr = NULL;
		probes[i]->kp.flags = 0;
	}
	return register_kretprobes(probes, ARRAY_SIZE(probes));
}

int pdt_fail_begin(const char *module, unsigned int skip)
{
	int ret = -EBUSY;

	mutex_lock(&mutex);
	if (victim)
		goto unlock;
	snprintf(caller, sizeof(caller), "[%s]", module);
	n_left = skip;
	has_failed = false;
	victim = current;
	ret = hook();
	if (ret)
		victim = NULL;
unlock:
	mutex_unlock(&mutex);
	return ret;
}

bool pdt_fail_end(void)
{
	bool ret = false;

	mutex_lock(&mutex);
	if (victim) {
		unregister_kretprobes(probes, ARRAY_SIZE(probes));
		victim = NULL;
		ret = has_failed;
	}
	mutex_unlock(&mutex);
	return ret;
}
