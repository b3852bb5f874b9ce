#include "ndjson.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "decimal.h"

/* How each byte of a string is written: 0 as it is, 'u' as \u00XX, else as a
 * backslash and that letter. */
static const char escapes[256] = {
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u',
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
	['"'] = '"', ['\\'] = '\\',
};

/* Copy what needs no escape from `p` on; the number of bytes. There is room at
 * `out` for end - p bytes. */
static inline size_t
copy_plain(char *out, const char *p, const char *end)
{
	const char *start = p;

#ifdef __SSE2__
	for (; end - p >= 16; p += 16, out += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
		__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
		__m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
		unsigned bits = (unsigned)_mm_movemask_epi8(
		    _mm_or_si128(control, _mm_or_si128(quote, slash)));

		_mm_storeu_si128((__m128i *)(void *)out, v);
		if (bits != 0)
			return (size_t)(p - start) + (size_t)__builtin_ctz(bits);
	}
#endif
	for (; p < end && escapes[(unsigned char)*p] == 0; p++)
		*out++ = *p;
	return (size_t)(p - start);
}

int
ndjson_write_string(struct buf *b, struct str s)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = s.len > 0 ? s.data : "", *end = p + s.len;
	unsigned char c;
	char *out;

	if (buf_reserve(b, s.len + 2) == -1)
		return -1;
	b->data[b->len++] = '"';
	for (;;) {
		size_t n = copy_plain(b->data + b->len, p, end);
		b->len += n;
		if ((p += n) == end)
			break;
		/* Six bytes at most in the place of one, and the quote. */
		if (buf_reserve(b, (size_t)(end - p) + 6) == -1)
			return -1;
		c = (unsigned char)*p++;
		out = b->data + b->len;
		*out++ = '\\';
		*out++ = escapes[c];
		if (escapes[c] == 'u') {
			*out++ = '0';
			*out++ = '0';
			*out++ = digits[c >> 4];
			*out++ = digits[c & 15];
		}
		b->len = (size_t)(out - b->data);
	}
	b->data[b->len++] = '"';
	return 0;
}

int
ndjson_write_integer(struct buf *b, int64_t n)
{
	if (buf_reserve(b, DECIMAL_TEXT_SIZE) == -1)
		return -1;
	b->len += decimal_write_integer(b->data + b->len, n);
	return 0;
}

int
ndjson_write_double(struct buf *b, double d)
{
	if (buf_reserve(b, DECIMAL_TEXT_SIZE) == -1)
		return -1;
	b->len += decimal_write_double(b->data + b->len, d);
	return 0;
}

#define ADD(b, text) buf_add(b, text, sizeof(text) - 1)

static int
write_labels(struct buf *b, const struct record *r)
{
	return ADD(b, "\"kind\":\"") == -1 ||
	    buf_add_str(b, str_of(record_kind_name(r->kind))) == -1 ||
	    ADD(b, "\",\"watchdog\":") == -1 || ndjson_write_string(b, r->watchdog) == -1 ||
	    ADD(b, ",") == -1 ? -1 : 0;
}

static int
write_members(struct buf *b, const struct record *r)
{
	if (ADD(b, "\"level\":") == -1 || ndjson_write_integer(b, r->level) == -1 ||
	    ADD(b, ",\"time\":") == -1 || ndjson_write_double(b, r->time) == -1 ||
	    ADD(b, ",\"sender\":") == -1 || ndjson_write_string(b, r->sender) == -1 ||
	    ADD(b, ",\"message\":") == -1 || ndjson_write_string(b, r->message) == -1)
		return -1;
	/* "{...}" without its braces, if there is something between them. */
	if (r->extra.len > 2 &&
	    (ADD(b, ",") == -1 || buf_add(b, r->extra.data + 1, r->extra.len - 2) == -1))
		return -1;
	return 0;
}

int
ndjson_write_members(struct buf *b, const struct record *r, bool labels)
{
	size_t had = b->len;

	/* All of it, unless much has to be escaped. */
	if (buf_reserve(b, r->watchdog.len + r->sender.len + r->message.len + r->extra.len +
	    256) == 0 && (!labels || write_labels(b, r) == 0) && write_members(b, r) == 0)
		return 0;
	b->len = had;
	return -1;
}

static int
write_number(struct buf *b, struct str source, int64_t seq)
{
	return ADD(b, "\"source\":") == -1 || ndjson_write_string(b, source) == -1 ||
	    ADD(b, ",\"seq\":") == -1 || ndjson_write_integer(b, seq) == -1 ? -1 : 0;
}

int
ndjson_write_line(struct buf *b, const struct ndjson_line *l, struct str origin)
{
	size_t had = b->len;

	if (ADD(b, "{") == 0 &&
	    (l->source.data == NULL ||
	    (write_number(b, l->source, l->seq) == 0 && ADD(b, ",") == 0)) &&
	    ndjson_write_members(b, &l->record, true) == 0 &&
	    (origin.data == NULL ||
	    (ADD(b, ",\"origin\":") == 0 && ndjson_write_string(b, origin) == 0)) &&
	    ADD(b, "}\n") == 0)
		return 0;
	b->len = had;
	return -1;
}

int
ndjson_renumber(struct buf *b, const struct ndjson_line *l)
{
	size_t had = b->len;

	if (l->rest.data == NULL)
		return ndjson_write_line(b, l, (struct str){ NULL, 0 });
	if (ADD(b, "{") == 0 && write_number(b, l->source, l->seq) == 0 && ADD(b, ",") == 0 &&
	    buf_add_str(b, l->rest) == 0 && ADD(b, "\n") == 0)
		return 0;
	b->len = had;
	return -1;
}

int
ndjson_write_begin(struct buf *b, struct str source)
{
	size_t had = b->len;

	if (ADD(b, "{\"source\":") == 0 && ndjson_write_string(b, source) == 0) {
		b->len--;   /* its quote is behind it in the line */
		return 0;
	}
	b->len = had;
	return -1;
}

int
ndjson_write(struct buf *b, const struct record *r)
{
	const struct ndjson_line l = { .record = *r };

	return ndjson_write_line(b, &l, (struct str){ NULL, 0 });
}

/* {"ack":{"source":S,"seq":N}}, or a reject with its reason. */
static int
write_answer(struct buf *b, const char *name, struct str source, int64_t seq, const char *reason)
{
	size_t had = b->len;

	if (buf_printf(b, "{\"%s\":{", name) == -1 || write_number(b, source, seq) == -1)
		goto fail;
	if (reason != NULL &&
	    (ADD(b, ",\"reason\":") == -1 || ndjson_write_string(b, str_of(reason)) == -1))
		goto fail;
	if (ADD(b, "}}\n") == 0)
		return 0;
fail:
	b->len = had;
	return -1;
}

int
ndjson_write_ack(struct buf *b, struct str source, int64_t seq)
{
	return write_answer(b, "ack", source, seq, NULL);
}

int
ndjson_write_reject(struct buf *b, struct str source, int64_t seq, const char *reason)
{
	return write_answer(b, "reject", source, seq, reason);
}
