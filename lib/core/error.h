/* SPDX-License-Identifier: MIT */
/*
 * The reason behind a -errno, as one sentence for a person. The first function that knows the cause
 * records it; those above pass the -errno on. One sentence a thread, kept until the next failure.
 */
#ifndef PEERDMA_LIB_CORE_ERROR_H
#define PEERDMA_LIB_CORE_ERROR_H

/* Record a sentence (no full stop, no newline). Return: -err. */
int pdmai_fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* The same, with ": " and the text of err behind the sentence. */
int pdmai_fail_errno(int err, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* The last sentence recorded on this thread, "" before the first. Valid until the next failure. */
const char *pdmai_error(void);

#endif
