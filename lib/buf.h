/*
 * buf.h - a byte buffer that grows.
 *
 * Invariants: `data[0..len)` is the content, `len <= cap`; a zeroed struct is
 * an empty buffer. The content is not NUL-terminated. A call that fails (-1:
 * no memory) leaves the content as it was. Owner frees with buf_free().
 */
#ifndef MONITOR_BUF_H
#define MONITOR_BUF_H

#include <stddef.h>
#include <string.h>

#include "str.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
};

/* Make room for `n` more bytes, so that the caller may write them at
 * `b->data + b->len` and add to `b->len` itself. */
int buf_grow(struct buf *b, size_t n);

static inline int
buf_reserve(struct buf *b, size_t n)
{
	return b->cap - b->len >= n ? 0 : buf_grow(b, n);
}

static inline int
buf_add(struct buf *b, const void *p, size_t n)
{
	if (buf_reserve(b, n) == -1)
		return -1;
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	return 0;
}

static inline int
buf_add_str(struct buf *b, struct str s)
{
	return buf_add(b, s.data, s.len);
}

int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drop the first `n` bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

void buf_free(struct buf *b);

#endif
