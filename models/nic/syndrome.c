// SPDX-License-Identifier: MIT
#include "models/nic/syndrome.h"

#include <stddef.h>

const char *nic_syndrome_text(uint32_t syndrome)
{
	static const struct {
		uint32_t num;
		const char *text;
	} known[] = {
#define ROW(name, num, text) { num, text },
		NIC_SYNDROMES(ROW)
#undef ROW
	};
	uint32_t want = syndrome >= SYN_NO_OBJECT ? syndrome & ~0xffu : syndrome;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].num == want)
			return known[i].text;
	return "";
}
