/*
 * lines.h - how many are there?
 */
#ifndef MONITOR_WSD_LINES_H
#define MONITOR_WSD_LINES_H

#include <stdint.h>

#include "str.h"

/* Newlines, that is. */
static inline uint64_t
lines_count(struct str s)
{
	const char *newline;
	uint64_t n = 0;

	while (s.len > 0 && (newline = memchr(s.data, '\n', s.len)) != NULL) {
		n++;
		s.len -= (size_t)(newline + 1 - s.data);
		s.data = newline + 1;
	}
	return n;
}

#endif
