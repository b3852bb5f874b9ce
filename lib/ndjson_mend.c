#include "ndjson_mend.h"

#include <math.h>

/* Overwrite four bytes of *text, which is the line or the copy `b` that the first call
 * makes, at `at`. */
static int
overwrite(struct buf *b, struct str *text, size_t at, const char with[4])
{
	if (text->data != b->data) {
		b->len = 0;
		if (buf_add_str(b, *text) == -1)
			return -1;
		*text = (struct str){ b->data, b->len };
	}
	memcpy(b->data + at, with, 4);
	return 0;
}

/* (A backslash stands only within a string, or the line is no JSON anyway.) */
int
ndjson_mend_surrogates(struct buf *copy, struct str *text, uint64_t *replaced)
{
	const char *start = text->data, *p = start, *end = p + text->len;
	int c, next;

	while (p < end && (p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
		if (end - p < 6 || p[1] != 'u') {
			p += 2;
			continue;
		}
		c = scan_hex4(p + 2, end);
		p += 6;
		if (c < 0xd800 || c > 0xdfff)
			continue;
		if (c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
			next = scan_hex4(p + 2, end);
			if (next >= 0xdc00 && next <= 0xdfff) {
				p += 6;
				continue;
			}
		}
		if (overwrite(copy, text, (size_t)(p - 4 - start), "fffd") == -1)
			return -1;
		++*replaced;
	}
	return 0;
}

/* Does jansson refuse this number for its size? */
static int
too_large(const struct decimal *d, bool *large)
{
	int64_t integer;
	double real;

	if (d->whole) {
		*large = !decimal_integer(d, &integer);
		return 0;
	}
	if (decimal_double(d, &real) == -1)
		return -1;
	*large = isinf(real);
	return 0;
}

int
ndjson_mend_numbers(struct scanner *s, struct buf *copy, struct str *text)
{
	struct decimal d;
	const char *end;
	size_t at;
	bool large;

	scan_begin(s, *text);
	while (s->p < s->end) {
		if (*s->p == '"') {
			if (!scan_skip_string(s))
				break;
		} else if (*s->p != '-' && (*s->p < '0' || *s->p > '9')) {
			s->p++;
		} else {
			if ((end = decimal_scan(s->p, s->end, &d)) == NULL)
				break;
			if (too_large(&d, &large) == -1)
				return -1;
			at = (size_t)(s->p - s->start);
			if (large && overwrite(copy, text, at, "null") == -1)
				return -1;
			if (large)
				memset(copy->data + at + 4, ' ', d.text.len - 4);
			s->p = end;
		}
	}
	return 0;
}
