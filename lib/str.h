/*
 * str.h - a slice of bytes that somebody else owns.
 *
 * Not NUL-terminated: a message may hold U+0000. `data` may be NULL only when
 * `len` is 0. Whoever hands one out says how long it stays valid.
 */
#ifndef MONITOR_STR_H
#define MONITOR_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
	const char *data;
	size_t len;
};

static inline struct str
str_of(const char *s)
{
	return (struct str){ s, strlen(s) };
}

static inline bool
str_equal(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* For printf's "%.*s". */
#define STR_ARGS(s) (int)(s).len, (s).data

#endif
