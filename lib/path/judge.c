// SPDX-License-Identifier: MIT
/* A measurement held against a verdict. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/path/topo.h"

static bool is_bad(enum pdma_trial trial)
{
	return trial == PDMA_TRIAL_WRONG_DATA || trial == PDMA_TRIAL_ALL_ONES;
}

static bool in_bar(const struct pdma_function *f, uint64_t addr)
{
	for (int i = 0; i < PDMA_BARS; i++)
		if (f->bar[i].is_mem && f->bar[i].addr && addr >= f->bar[i].addr &&
		    addr - f->bar[i].addr < f->bar[i].len)
			return true;
	return false;
}

static void say(struct pdma_verdict *v, enum pdma_answer answer, enum pdma_cause cause,
		const char *reason, const char *remedy)
{
	v->answer = answer;
	v->cause = cause;
	snprintf(v->reason, sizeof(v->reason), "%s", reason);
	snprintf(v->remedy, sizeof(v->remedy), "%s", remedy);
}

/*
 * A bus address is a BAR's, or it leads elsewhere: to the host memory that a static attach has
 * moved the buffer to. An IOVA says nothing by itself.
 */
static bool check_addr(const struct pdma_function *f, const struct pdma_measured *m,
		       struct pdma_verdict *v)
{
	if (!m->has_addr || v->mapping == PDMA_MAP_IOVA || in_bar(f, m->addr))
		return false;
	say(v, PDMA_NO, PDMA_CAUSE_MOVED_TO_RAM, "", "");
	snprintf(v->reason, sizeof(v->reason),
		 "the address used, 0x%llx, lies in no BAR of %s: the buffer is in host memory",
		 (unsigned long long)m->addr, f->bdf);
	snprintf(v->remedy, sizeof(v->remedy),
		 "use an importer with dynamic attach, or an exporter that pins its own memory");
	return true;
}

static bool check_data(const struct pdma_measured *m, struct pdma_verdict *v)
{
	if (m->write == PDMA_TRIAL_GOOD && (is_bad(m->read) || m->read == PDMA_TRIAL_REFUSED)) {
		say(v, PDMA_NO, PDMA_CAUSE_WRITES_ONLY,
		    "writes arrive and reads do not: a bridge on the way routes writes only",
		    "let the device that owns the memory push, or put both below one switch");
	} else if (is_bad(m->write) || is_bad(m->read)) {
		say(v, PDMA_NO, PDMA_CAUSE_SILENT_CORRUPTION,
		    m->write == PDMA_TRIAL_ALL_ONES || m->read == PDMA_TRIAL_ALL_ONES ?
			    "data came back as all-ones: requests vanish without an error" :
			    "data arrived changed, without an error",
		    "do not use this path; if the host bridge list or ACS was forced, undo that");
	} else {
		return false;
	}
	return true;
}

static bool check_refusal(const struct pdma_measured *m, struct pdma_verdict *v)
{
	bool refused = m->write == PDMA_TRIAL_REFUSED || m->read == PDMA_TRIAL_REFUSED;
	bool good = m->write == PDMA_TRIAL_GOOD || m->read == PDMA_TRIAL_GOOD;

	if (refused && v->answer == PDMA_YES) {
		say(v, PDMA_NO, v->cause, "the path should work, and the transfer was refused",
		    "look at the kernel's log, and run peerdma doctor");
		return true;
	}
	if (good && !refused && v->answer != PDMA_YES) {
		char before[sizeof(v->reason)];

		/* Data moves though nobody vouches for it: true, and worth knowing. */
		memcpy(before, v->reason, sizeof(before));
		v->answer = PDMA_YES;
		snprintf(v->reason, sizeof(v->reason), "data moved right, although %.220s", before);
		return true;
	}
	return false;
}

int pdma_path_judge(const struct pdma_topo *t, const struct pdma_target *target,
		    const struct pdma_measured *m, struct pdma_verdict *v)
{
	if (m->size < sizeof(*m) || v->size < sizeof(*v) || target->function >= t->n)
		return pdmai_fail(EINVAL, "a measurement or verdict is not complete");
	if (check_data(m, v) || check_addr(&t->nodes[target->function].f, m, v))
		return 1;
	return check_refusal(m, v);
}
