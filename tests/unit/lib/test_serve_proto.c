// SPDX-License-Identifier: MIT
/* Messages of the serve protocol. Bytes are typed from docs/serve-protocol.md. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/serve/proto.h"

/* OPEN, tag 7: write and read "vram" from 0x1000, 0x200 bytes */
static const uint8_t open_bytes[] = {
	0,    0, 0, 22, 0, 8, 0, 7, 3, 0, 0, 0,	  0,   0,   0,
	0x10, 0, 0, 0,	0, 0, 0, 0, 2, 0, 4, 'v', 'r', 'a', 'm',
};

static void open_is_as_documented(void **state)
{
	uint8_t frame[PDMAI_SP_FRAME];
	struct pdmai_sp_msg m;

	assert_int_equal(pdmai_sp_frame_len(open_bytes, sizeof(open_bytes)), sizeof(open_bytes));
	assert_int_equal(pdmai_sp_decode(open_bytes, sizeof(open_bytes), &m), 0);
	assert_int_equal(m.type, PDMAI_SP_OPEN);
	assert_int_equal(m.tag, 7);
	assert_int_equal(m.open.rights, PDMAI_SP_READ | PDMAI_SP_WRITE);
	assert_int_equal(m.open.off, 0x1000);
	assert_int_equal(m.open.len, 0x200);
	assert_string_equal(m.open.name, "vram");
	assert_int_equal(pdmai_sp_encode(&m, frame), sizeof(open_bytes));
	assert_memory_equal(frame, open_bytes, sizeof(open_bytes));
}

/* Every message with the longest strings, and all its bytes set. */
static void fill(struct pdmai_sp_msg *m, unsigned type)
{
	memset(m, 'x', sizeof(*m));
	m->type = (uint16_t)type;
	m->tag = 0x1234;
	/* The strings' ends lie at different places of the union. */
	if (type == PDMAI_SP_EXPORT) {
		m->export.name[PDMAI_SP_NAME - 1] = 0;
		m->export.kind[PDMAI_SP_NAME - 1] = 0;
	} else if (type == PDMAI_SP_OPEN) {
		m->open.name[PDMAI_SP_NAME - 1] = 0;
	} else if (type == PDMAI_SP_ERROR) {
		m->error.text[PDMAI_SP_TEXT - 1] = 0;
	} else if (type == PDMAI_SP_REVOKED) {
		m->close.text[PDMAI_SP_TEXT - 1] = 0;
	} else if (type == PDMAI_SP_GOODBYE) {
		m->goodbye.text[PDMAI_SP_TEXT - 1] = 0;
	}
}

static void every_message_there_and_back(void **state)
{
	uint8_t frame[PDMAI_SP_FRAME], again[PDMAI_SP_FRAME];
	struct pdmai_sp_msg m, back;
	int len;

	for (unsigned type = PDMAI_SP_HELLO; type <= PDMAI_SP_GOODBYE; type++) {
		fill(&m, type);
		len = pdmai_sp_encode(&m, frame);
		assert_in_range(len, PDMAI_SP_HEAD, PDMAI_SP_FRAME);
		assert_int_equal(pdmai_sp_decode(frame, (size_t)len, &back), 0);
		assert_int_equal(pdmai_sp_encode(&back, again), len);
		assert_memory_equal(frame, again, (size_t)len);
	}
	m.type = PDMAI_SP_GOODBYE + 1;
	assert_int_equal(pdmai_sp_encode(&m, frame), -EINVAL);
	m.type = 0;
	assert_int_equal(pdmai_sp_encode(&m, frame), -EINVAL);
}

/* One byte less or more is no message, for each of them. */
static void length_must_fit(void **state)
{
	uint8_t frame[PDMAI_SP_FRAME + 1] = { 0 };
	struct pdmai_sp_msg m, back;
	int len;

	for (unsigned type = PDMAI_SP_HELLO; type <= PDMAI_SP_GOODBYE; type++) {
		fill(&m, type);
		len = pdmai_sp_encode(&m, frame);
		for (int delta = -1; delta <= 1; delta += 2) {
			int n = len + delta;

			if (n < PDMAI_SP_HEAD)
				continue;
			frame[2] = (uint8_t)((n - PDMAI_SP_HEAD) >> 8);
			frame[3] = (uint8_t)(n - PDMAI_SP_HEAD);
			assert_int_equal(pdmai_sp_decode(frame, (size_t)n, &back), -EBADMSG);
		}
	}
}

static void head_is_bounded(void **state)
{
	uint8_t head[PDMAI_SP_HEAD] = { 0, 0, 2, 0, 0, 12, 0, 0 };

	for (size_t n = 0; n < sizeof(head); n++)
		assert_int_equal(pdmai_sp_frame_len(head, n), 0);
	assert_int_equal(pdmai_sp_frame_len(head, sizeof(head)), PDMAI_SP_FRAME);
	head[3] = 1;
	assert_int_equal(pdmai_sp_frame_len(head, sizeof(head)), -EBADMSG);
	head[0] = 0xff;
	assert_int_equal(pdmai_sp_frame_len(head, sizeof(head)), -EBADMSG);
}

static void unprintable_is_refused(void **state)
{
	static const uint8_t bad[] = { 0, 0x1b, 0x1f, 0x7f, 0x80, 0xff };
	uint8_t frame[sizeof(open_bytes)];
	struct pdmai_sp_msg m;

	for (size_t i = 0; i < sizeof(bad); i++) {
		memcpy(frame, open_bytes, sizeof(frame));
		frame[sizeof(frame) - 2] = bad[i];
		assert_int_equal(pdmai_sp_decode(frame, sizeof(frame), &m), -EBADMSG);
	}
	/* Our own text never breaks the rule. */
	m = (struct pdmai_sp_msg){ .type = PDMAI_SP_GOODBYE };
	snprintf(m.goodbye.text, sizeof(m.goodbye.text), "a\033[31mb\n");
	assert_int_equal(pdmai_sp_decode(frame, (size_t)pdmai_sp_encode(&m, frame), &m), 0);
	assert_string_equal(m.goodbye.text, "a?[31mb?");
}

static void unknown_types_are_refused(void **state)
{
	uint8_t frame[] = { 0, 0, 0, 0, 0, 0, 0, 0 };
	struct pdmai_sp_msg m;

	for (unsigned type = 0; type < 65536; type++) {
		bool empty =
			type == PDMAI_SP_LIST || type == PDMAI_SP_PING || type == PDMAI_SP_PONG;

		frame[4] = (uint8_t)(type >> 8);
		frame[5] = (uint8_t)type;
		assert_int_equal(pdmai_sp_decode(frame, sizeof(frame), &m), empty ? 0 : -EBADMSG);
	}
}

static void names(void **state)
{
	char longest[PDMAI_SP_NAME + 1];

	memset(longest, 'a', sizeof(longest));
	longest[PDMAI_SP_NAME] = 0;
	assert_int_equal(pdmai_sp_name_check("vram-0.x_1"), 0);
	assert_int_equal(pdmai_sp_name_check(""), -EINVAL);
	assert_int_equal(pdmai_sp_name_check("a b"), -EINVAL);
	assert_int_equal(pdmai_sp_name_check("a/b"), -EINVAL);
	assert_int_equal(pdmai_sp_name_check(longest), -EINVAL);
	longest[PDMAI_SP_NAME - 1] = 0;
	assert_int_equal(pdmai_sp_name_check(longest), 0);
}

static void every_code_has_an_errno(void **state)
{
	assert_int_equal(pdmai_sp_code_errno(PDMAI_SP_E_NAME), ENOENT);
	assert_int_equal(pdmai_sp_code_errno(PDMAI_SP_E_RANGE), ERANGE);
	assert_int_equal(pdmai_sp_code_errno(PDMAI_SP_E_RIGHTS), EACCES);
	assert_int_equal(pdmai_sp_code_errno(PDMAI_SP_E_GONE), ESTALE);
	assert_int_equal(pdmai_sp_code_errno(0), EREMOTEIO);
	assert_int_equal(pdmai_sp_code_errno(65535), EREMOTEIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_is_as_documented),
		cmocka_unit_test(every_message_there_and_back),
		cmocka_unit_test(length_must_fit),
		cmocka_unit_test(head_is_bounded),
		cmocka_unit_test(unprintable_is_refused),
		cmocka_unit_test(unknown_types_are_refused),
		cmocka_unit_test(names),
		cmocka_unit_test(every_code_has_an_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
