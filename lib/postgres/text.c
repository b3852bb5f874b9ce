#include "postgres/postgres.h"

bool
text_is_plain(struct str s)
{
	return s.len == 0 || (memchr(s.data, '\0', s.len) == NULL && memchr(s.data, '\x10', s.len) == NULL);
}

int
text_encode(struct buf *b, struct str s)
{
	if (buf_reserve(b, 2 * s.len) == -1)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];
		if (c == '\0' || c == '\x10')
			b->data[b->len++] = '\x10';
		b->data[b->len++] = c == '\0' ? '0' : c;
	}
	return 0;
}

size_t
text_decode(char *data, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = data[i];
		if (c == '\x10' && i + 1 < len && (c = data[++i]) == '0')
			c = '\0';
		data[n++] = c;
	}
	return n;
}
