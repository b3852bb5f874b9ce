/*
 * utf8.h - is this UTF-8, as RFC 3629 has it?
 *
 * Overlong forms, surrogates and anything above U+10FFFF are not.
 */
#ifndef MONITOR_UTF8_H
#define MONITOR_UTF8_H

#include <stddef.h>

#include "str.h"

/* How many bytes the character at `p` takes (1..4), 0 if there is no
 * well-formed one between `p` and `end` (p < end). */
static inline size_t
utf8_length(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t have = (size_t)(end - p);

	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xc2 || have < 2 || (u[1] & 0xc0) != 0x80)
		return 0;
	if (u[0] < 0xe0)
		return 2;
	if (have < 3 || (u[2] & 0xc0) != 0x80)
		return 0;
	if (u[0] < 0xf0)
		return (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ? 0 : 3;
	if (have < 4 || (u[3] & 0xc0) != 0x80)
		return 0;
	if (u[0] > 0xf4 || (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return 4;
}

/* Write the character `c` (not a surrogate, at most U+10FFFF) to `out`, which
 * has room for four bytes; the number written. */
size_t utf8_put(char *out, unsigned c);

/* The place of the first byte that is not part of a well-formed character;
 * s.len if all are. */
size_t utf8_check(struct str s);

#endif
