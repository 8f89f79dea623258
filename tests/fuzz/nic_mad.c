// SPDX-License-Identifier: MIT
/*
 * Management datagrams from a hostile guest: a script of up to 40 of them, each with a byte saying
 * where it goes (own NIC by command, QP0 or QP1; the switch, the other NIC, nobody, permissive).
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "models/nic/sa_rmpp.h"
#include "tests/unit/models/nic/mgmtrig.h"

#define STEPS 40

static void check(const uint8_t *in, const uint8_t *out)
{
	/* An answer keeps class and transaction, whatever was asked. */
	if (in[1] != out[1] || memcmp(in + 8, out + 8, 8))
		abort();
}

static void drain(struct nic *nic)
{
	uint8_t out[256];
	unsigned n = 0;

	while (rig_mad_more(nic, out))
		if (++n > NIC_RMPP_MAX * NIC_RMPP_SEGS)
			abort();
}

static void step(struct nic *nic, uint8_t where, const uint8_t *in)
{
	static const uint16_t lids[4] = { 1, 3, 9, 0xffff };
	uint8_t out[256];
	bool answered;

	if (where & 0x80) {
		rig_time_pass(1000000ull * (where & 0x3f));
		answered = nic_mad_local(nic, in, out);
	} else {
		answered = rig_mad(nic, where >> 2 & 1, lids[where & 3], in, out);
	}
	if (answered)
		check(in, out);
	drain(nic);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);
	uint8_t in[256];
	unsigned i;
	size_t n;

	if (!a || !b)
		abort();
	for (i = 0; i < STEPS && size > 1; i++) {
		n = size - 1 < sizeof(in) ? size - 1 : sizeof(in);
		memset(in, 0, sizeof(in));
		memcpy(in, data + 1, n);
		step(data[0] & 0x40 ? b : a, data[0], in);
		data += n + 1;
		size -= n + 1;
	}
	rig_nic_free(b);
	rig_nic_free(a);
	return 0;
}
