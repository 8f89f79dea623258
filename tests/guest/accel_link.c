// SPDX-License-Identifier: MIT
/* The private link: there, up, down, and its bytes on no bus. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "tests/guest/rig.h"

#define LEN (1u << 20)

static void link_is_up_and_shows_the_other_memory(void)
{
	struct pdmai_accel_link link;
	struct rig r;

	rig_open(&r, false);
	for (int i = 0; i < 2; i++) {
		pdmai_accel_link(r.pair.accel[i], &link);
		CHECK(link.present && link.up);
		CHECK_EQ(link.size, pdmai_accel_get_info(r.pair.accel[!i])->vram_size);
	}
	rig_close(&r);
}

static void both_directions_use_the_link_only(void)
{
	struct kit_bytes before, after, d;
	struct rig_area own, far;
	struct rig r;

	rig_open(&r, false);
	for (int i = 0; i < 2; i++) {
		rig_area(&r, i, RIG_OWN, LEN, 0, &own);
		rig_area(&r, i, RIG_LINK, LEN, 40, &far);
		rig_area_fill(&own, 10);
		before = rig_bytes(&r, i);
		rig_copy(&r, i, &far, &own);
		RIG_CHECK_AREA(&far, 10);
		rig_area_fill(&far, 11);
		rig_copy(&r, i, &own, &far);
		RIG_CHECK_AREA(&own, 11);
		after = rig_bytes(&r, i);
		d = kit_bytes_since(&before, &after);
		for (int t = 0; t < KIT_TARGETS; t++) {
			uint64_t want = t == KIT_LINK || t == KIT_OWN ? LEN : 0;

			CHECK_EQ(d.read[t], want);
			CHECK_EQ(d.write[t], want);
		}
	}
	rig_close(&r);
}

static void behind_the_end_is_out_of_range(void)
{
	struct pdmai_accel_mem dst = { ACCEL_SPACE_LINK, 0, LEN };
	struct pdmai_accel_cmd cmd = {
		.op = ACCEL_OP_FILL, .param = 1, .len = LEN, .dst = &dst, .n_dst = 1
	};
	struct rig r;

	rig_open(&r, false);
	dst.addr = pdmai_accel_get_info(r.pair.accel[1])->vram_size - LEN + 1;
	CHECK_EQ(rig_run(&r, 0, &cmd).status, ACCEL_BAD_RANGE);
	rig_close(&r);
}

static void link_down_is_told_and_up_works_again(void)
{
	struct pdmai_accel_link link;
	struct rig_area own, far;
	struct pdmai_accel_done done;
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_COPY,
				       .len = LEN,
				       .src = &own.mem,
				       .dst = &far.mem,
				       .n_src = 1,
				       .n_dst = 1 };
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_OWN, LEN, 0, &own);
	rig_area(&r, 0, RIG_LINK, LEN, 0, &far);
	rig_area_fill(&own, 1);
	rig_area_fill(&far, 2);
	CHECK_EQ(kit_control_link(r.control, "acc0", false), 0);
	for (int i = 0; i < 2; i++) {
		pdmai_accel_link(r.pair.accel[i], &link);
		CHECK(link.present && !link.up);
		CHECK_EQ(link.size, 0);
	}
	done = rig_run(&r, 0, &cmd);
	CHECK_EQ(kit_control_link(r.control, "acc0", true), 0);
	CHECK_EQ(done.status, ACCEL_LINK_DOWN);
	CHECK_EQ(done.err, -ENOLINK);
	RIG_CHECK_AREA(&far, 2);
	rig_do(&r, 0, &cmd);
	RIG_CHECK_AREA(&far, 1);
	rig_close(&r);
}

static void change_of_the_link_is_an_event_at_both_ends(void)
{
	struct rig r;

	rig_open(&r, true);
	for (int i = 0; i < 2; i++) {
		pdmai_dev_write32(r.pair.dev[i], ACCEL_BAR_REGS, ACCEL_EVENT, ACCEL_EVENT_ALL);
		pdmai_dev_write32(r.pair.dev[i], ACCEL_BAR_REGS, ACCEL_EVENT_ENABLE,
				  ACCEL_EVENT_LINK);
	}
	/* A read makes sure that the writes have arrived. */
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pdmai_dev_read32(r.pair.dev[i], ACCEL_BAR_REGS, ACCEL_EVENT_ENABLE),
			 ACCEL_EVENT_LINK);
	CHECK_EQ(kit_control_link(r.control, "acc1", false), 0);
	for (int i = 0; i < 2; i++) {
		struct pollfd p = { .fd = pdmai_accel_eventfd(r.pair.accel[i], 0),
				    .events = POLLIN };

		CHECK_EQ(poll(&p, 1, 5000), 1);
		CHECK_EQ(pdmai_dev_read32(r.pair.dev[i], ACCEL_BAR_REGS, ACCEL_EVENT),
			 ACCEL_EVENT_LINK);
	}
	CHECK_EQ(kit_control_link(r.control, "acc1", true), 0);
	rig_close(&r);
}

static const struct tap_test tests[] = {
	{ "link_is_up_and_shows_the_other_memory", link_is_up_and_shows_the_other_memory,
	  TAP_ANYWHERE },
	{ "both_directions_use_the_link_only", both_directions_use_the_link_only, TAP_ANYWHERE },
	{ "behind_the_end_is_out_of_range", behind_the_end_is_out_of_range, TAP_ANYWHERE },
	{ "link_down_is_told_and_up_works_again", link_down_is_told_and_up_works_again,
	  TAP_ANYWHERE },
	{ "change_of_the_link_is_an_event_at_both_ends",
	  change_of_the_link_is_an_event_at_both_ends, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
