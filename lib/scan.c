#include "scan.h"

#include <math.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "source.h"
#include "utf8.h"

#define EXTRAS_MAX 32   /* members that are not ours; jansson's hash table is better at more */

enum member
scan_member(struct str name)
{
	const char *n = name.data;

	switch (name.len) {
	case 3:
		return memcmp(n, "seq", 3) == 0 ? MEMBER_SEQ : MEMBER_EXTRA;
	case 4:
		return memcmp(n, "time", 4) == 0 ? MEMBER_TIME :
		    memcmp(n, "kind", 4) == 0 ? MEMBER_KIND : MEMBER_EXTRA;
	case 5:
		return memcmp(n, "level", 5) == 0 ? MEMBER_LEVEL : MEMBER_EXTRA;
	case 6:
		return memcmp(n, "sender", 6) == 0 ? MEMBER_SENDER :
		    memcmp(n, "source", 6) == 0 ? MEMBER_SOURCE : MEMBER_EXTRA;
	case 7:
		return memcmp(n, "message", 7) == 0 ? MEMBER_MESSAGE : MEMBER_EXTRA;
	case 8:
		return memcmp(n, "watchdog", 8) == 0 ? MEMBER_WATCHDOG : MEMBER_EXTRA;
	default:
		return MEMBER_EXTRA;
	}
}

void
scan_begin(struct scanner *s, struct str line)
{
	s->start = s->p = line.len > 0 ? line.data : "";
	s->end = s->p + line.len;
	s->text.len = s->extra.len = 0;
}

void
scan_free(struct scanner *s)
{
	buf_free(&s->text);
	buf_free(&s->extra);
}

void
scan_space(struct scanner *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

bool
scan_colon(struct scanner *s)
{
	scan_space(s);
	if (!scan_take(s, ':'))
		return false;
	scan_space(s);
	return true;
}

/* ---- strings ------------------------------------------------------------ */

#ifdef __SSE2__
/* A bit for each of 16 bytes that is not plain: '"', '\', below U+0020 or not
 * ASCII. */
static inline unsigned
special(const char *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i low = _mm_cmpgt_epi8(_mm_set1_epi8(0x20), v);   /* signed: takes 0x80.. too */
	__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
	__m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, slash)));
}
#endif

/* The first byte from `p` on that is not a plain ASCII character of a string. */
static inline const char *
plain(const struct scanner *s, const char *p)
{
#ifdef __SSE2__
	unsigned bits;

	for (; s->end - p >= 16; p += 16) {
		if ((bits = special(p)) != 0)
			return p + __builtin_ctz(bits);
	}
	/* The rest, as the last part of the 16 bytes before the end. */
	if (p < s->end && s->end - s->start >= 16) {
		bits = special(s->end - 16) >> (16 - (s->end - p));
		return bits != 0 ? p + __builtin_ctz(bits) : s->end;
	}
#endif
	while (p < s->end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 &&
	    *p != '"' && *p != '\\')
		p++;
	return p;
}

int
scan_hex4(const char *p, const char *end)
{
	/* One more than the digit's value. */
	static const unsigned char digits[256] = {
		['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7,
		['7'] = 8, ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14,
		['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15,
		['F'] = 16,
	};
	int n = 0, digit;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		if ((digit = digits[(unsigned char)p[i]]) == 0)
			return -1;
		n = n << 4 | (digit - 1);
	}
	return n;
}

/* Undo the \u escape whose digits begin at s->p, and the second half of its
 * surrogate pair. The bytes written, 0 if it is none. */
static size_t
unescape_unicode(struct scanner *s, char *out)
{
	int c = scan_hex4(s->p, s->end), low;

	if (c == -1)
		return 0;
	s->p += 4;
	if (c < 0xd800 || c > 0xdfff)
		return utf8_put(out, (unsigned)c);
	if (c < 0xdc00 && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u') {
		low = scan_hex4(s->p + 2, s->end);
		if (low >= 0xdc00 && low <= 0xdfff) {
			s->p += 6;
			return utf8_put(out, 0x10000u + ((unsigned)(c - 0xd800) << 10) +
			    (unsigned)(low - 0xdc00));
		}
	}
	s->replaced++;
	return utf8_put(out, 0xfffd);
}

/* Undo the escape behind whose backslash s->p stands. The bytes written (never
 * more than it took in the line), 0 if it is none. */
static size_t
unescape(struct scanner *s, char *out)
{
	static const char escapes[256] = {
		['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f',
		['n'] = '\n', ['r'] = '\r', ['t'] = '\t',
	};
	unsigned char c;

	if (s->p == s->end)
		return 0;
	c = (unsigned char)*s->p++;
	if (c == 'u')
		return unescape_unicode(s, out);
	*out = escapes[c];
	return *out != '\0';
}

/* The rest of a string that has an escape, at s->p; it began at `start`. */
static bool
scan_escaped(struct scanner *s, const char *start, struct str *out)
{
	size_t begin = s->text.len, n = (size_t)(s->p - start);
	char *to;

	/* Room at once for all that this line can need: what s->text holds is
	 * being pointed at and must not move. */
	if (buf_reserve(&s->text, (size_t)(s->end - s->start) - begin) == -1)
		return false;
	to = s->text.data + begin;
	memcpy(to, start, n);
	to += n;
	while (s->p < s->end && *s->p != '"') {
		if (*s->p == '\\') {
			s->p++;
			n = unescape(s, to);
		} else {
			if ((n = (size_t)(plain(s, s->p) - s->p)) == 0 && (unsigned char)*s->p >= 0x80)
				n = utf8_length(s->p, s->end);
			memcpy(to, s->p, n);
			s->p += n;
		}
		if (n == 0)
			return false;
		to += n;
	}
	s->text.len = (size_t)(to - s->text.data);
	*out = (struct str){ s->text.data + begin, s->text.len - begin };
	return scan_take(s, '"');
}

bool
scan_string(struct scanner *s, struct str *out)
{
	const char *start, *p;
	size_t n;

	if (!scan_take(s, '"'))
		return false;
	start = p = s->p;
	for (;;) {
		p = plain(s, p);
		if (p == s->end)
			return false;
		if (*p == '"')
			break;
		if (*p == '\\') {
			s->p = p;
			return scan_escaped(s, start, out);
		}
		/* All but ASCII, a character at a time for as long as it lasts. */
		do {
			if ((unsigned char)*p < 0x20 || (n = utf8_length(p, s->end)) == 0)
				return false;
			p += n;
		} while (p < s->end && (*p & 0x80) != 0);
	}
	s->p = p + 1;
	*out = (struct str){ start, (size_t)(p - start) };
	return true;
}

bool
scan_skip_string(struct scanner *s)
{
	const char *p = s->p + 1;

	while ((p = plain(s, p)) < s->end) {
		if (*p == '"') {
			s->p = p + 1;
			return true;
		}
		if (*p == '\\' && ++p == s->end)
			break;
		p++;
	}
	s->p = s->end;
	return false;
}

bool
scan_skip(struct scanner *s)
{
	size_t depth = 0;

	do {
		if (s->p == s->end)
			return false;
		switch (*s->p) {
		case '"':
			if (!scan_skip_string(s))
				return false;
			continue;
		case '[':
		case '{':
			depth++;
			break;
		case ']':
		case '}':
			if (depth == 0)
				return false;
			depth--;
			break;
		default:
			/* A number or word ends where it is no longer one. */
			if (depth > 0)
				break;
			while (s->p < s->end && strchr(",]} \t\n\r", *s->p) == NULL)
				s->p++;
			return true;
		}
		s->p++;
	} while (depth > 0);
	return true;
}

static bool
skip_word(struct scanner *s, const char *word, size_t n)
{
	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	s->p += n;
	return true;
}

/* A string whose text does not matter, or not for long. */
static bool
pass_string(struct scanner *s, struct str *text)
{
	size_t had = s->text.len;

	if (!scan_string(s, text))
		return false;
	s->text.len = had;
	return true;
}

bool
scan_name(struct scanner *s, struct str *name)
{
	if (!pass_string(s, name) ||
	    (name->len > 0 && memchr(name->data, '\0', name->len) != NULL))
		return false;
	return scan_colon(s);
}

/* The members of an object or the elements of an array, behind the bracket. */
static bool
check_parts(struct scanner *s, unsigned depth, char closing)
{
	struct str name;

	scan_space(s);
	if (scan_take(s, closing))
		return true;
	do {
		scan_space(s);
		if ((closing == '}' && !scan_name(s, &name)) || !scan_value(s, depth + 1))
			return false;
		scan_space(s);
	} while (scan_take(s, ','));
	return scan_take(s, closing);
}

bool
scan_value(struct scanner *s, unsigned depth)
{
	struct decimal d;
	struct str text;
	const char *end;

	if (s->p == s->end || depth > SCAN_DEPTH_MAX)
		return false;
	switch (*s->p) {
	case '"':
		return pass_string(s, &text);
	case '{':
		s->p++;
		return check_parts(s, depth, '}');
	case '[':
		s->p++;
		return check_parts(s, depth, ']');
	case 't':
		return skip_word(s, "true", 4);
	case 'f':
		return skip_word(s, "false", 5);
	case 'n':
		return skip_word(s, "null", 4);
	default:
		if ((end = decimal_scan(s->p, s->end, &d)) == NULL)
			return false;
		s->p = end;
		return true;
	}
}

int
scan_compact(struct str value, struct buf *b)
{
	struct scanner s;
	const char *from = value.data;

	s.p = s.start = value.data;
	s.end = value.data + value.len;
	while (s.p < s.end) {
		if (*s.p == '"') {
			scan_skip_string(&s);
		} else if (*s.p == ' ' || *s.p == '\t' || *s.p == '\n' || *s.p == '\r') {
			if (buf_add(b, from, (size_t)(s.p - from)) == -1)
				return -1;
			from = ++s.p;
		} else {
			s.p++;
		}
	}
	return buf_add(b, from, (size_t)(s.p - from));
}

/* ---- a line ------------------------------------------------------------- */

/* Names as the tools write them, which is how they nearly always stand. */
#define USUAL(name) { "\"" name "\":", sizeof("\"" name "\":") - 1 }
static const struct usual {
	char text[16];
	unsigned len;
} usual[] = {
	[MEMBER_SOURCE] = USUAL("source"), [MEMBER_SEQ] = USUAL("seq"),
	[MEMBER_KIND] = USUAL("kind"), [MEMBER_WATCHDOG] = USUAL("watchdog"),
	[MEMBER_LEVEL] = USUAL("level"), [MEMBER_TIME] = USUAL("time"),
	[MEMBER_SENDER] = USUAL("sender"), [MEMBER_MESSAGE] = USUAL("message"),
};

/* A line on its way in. */
struct draft {
	struct ndjson_line line;
	bool only;                       /* the defaults' */
	unsigned seen;                   /* a bit a member */
	enum member next;                /* as the tools would write them: only a guess */
	struct {
		size_t at, len;          /* in s->extra */
	} keys[EXTRAS_MAX];
	size_t key_count;
};

static bool
take_integer(struct scanner *s, int64_t *n)
{
	struct decimal d;
	const char *end = s->p;

	if (scan_digits(&end, s->end, n) && end < s->end && (*end == ',' || *end == '}')) {
		s->p = end;
		return true;
	}
	if ((end = decimal_scan(s->p, s->end, &d)) == NULL || !decimal_integer(&d, n))
		return false;
	s->p = end;
	return true;
}

static bool
take_time(struct scanner *s, double *time)
{
	struct decimal d;
	const char *end = decimal_scan(s->p, s->end, &d);

	if (end == NULL || decimal_double(&d, time) == -1)
		return false;
	s->p = end;
	return isfinite(*time);
}

static bool
take_kind(struct scanner *s, enum record_kind *kind)
{
	struct str name;

	return scan_string(s, &name) && record_kind_parse(name, kind) == 0;
}

/* A member that is not ours, and whose value begins at s->p. Its text is kept. */
static bool
take_extra(struct scanner *s, struct draft *d, struct str key)
{
	struct buf *b = &s->extra;
	const char *value = s->p;
	uint64_t replaced = s->replaced;

	if (d->key_count == EXTRAS_MAX)
		return false;
	for (size_t i = 0; i < d->key_count; i++) {
		if (str_equal(key, (struct str){ b->data + d->keys[i].at, d->keys[i].len }))
			return false;
	}
	/* A lone surrogate would stay in the text. Room at once for all of them:
	 * they are a part of the line. */
	if (!scan_value(s, 2) || s->replaced != replaced ||
	    buf_reserve(b, (size_t)(s->end - s->start) - b->len) == -1)
		return false;
	b->data[b->len] = b->len == 0 ? '{' : ',';
	b->data[b->len + 1] = '"';
	d->keys[d->key_count].at = b->len += 2;
	d->keys[d->key_count++].len = key.len;
	return buf_add_str(b, key) == 0 && buf_add(b, "\":", 2) == 0 &&
	    scan_compact((struct str){ value, (size_t)(s->p - value) }, b) == 0;
}

/* Step over a name, and the colon, if it is this one. */
static inline bool
take_usual(struct scanner *s, const struct usual *u)
{
#ifdef __SSE2__
	if (s->end - s->p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)s->p);
		__m128i text = _mm_loadu_si128((const __m128i *)(const void *)u->text);
		unsigned other = ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, text));

		if ((other & ((1u << u->len) - 1)) != 0)
			return false;
		s->p += u->len;
		return true;
	}
#endif
	return scan_text(&s->p, s->end, u->text, u->len);
}

/* A name, the colon and the spaces behind it: which member's? If it is none of ours, `key` is
 * what it says. */
static bool
take_key(struct scanner *s, enum member guess, enum member *m, struct str *key)
{
	if (take_usual(s, &usual[guess])) {
		*m = guess;
		scan_space(s);
		return true;
	}
	if (!scan_string(s, key) || !scan_colon(s))
		return false;
	*m = scan_member(*key);
	return true;
}

static bool
take_member(struct scanner *s, struct draft *d)
{
	struct ndjson_line *l = &d->line;
	struct str key;
	size_t had = s->text.len;
	enum member m;

	if (!take_key(s, d->next, &m, &key))
		return false;
	if (m == MEMBER_EXTRA)   /* a name with escapes may be the same as another */
		return s->text.len == had && take_extra(s, d, key);
	d->next = (m + 1) % MEMBER_EXTRA;   /* kind comes behind seq */
	if (d->only && scan_is_label(m))
		return scan_value(s, 2);
	if ((d->seen & 1u << m) != 0)
		return false;
	d->seen |= 1u << m;
	switch (m) {
	case MEMBER_KIND:
		return take_kind(s, &l->record.kind);
	case MEMBER_WATCHDOG:
		return scan_string(s, &l->record.watchdog) &&
		    record_watchdog_valid(l->record.watchdog);
	case MEMBER_LEVEL:
		return take_integer(s, &l->record.level);
	case MEMBER_TIME:
		return take_time(s, &l->record.time);
	case MEMBER_SENDER:
		return scan_string(s, &l->record.sender);
	case MEMBER_MESSAGE:
		return scan_string(s, &l->record.message);
	case MEMBER_SOURCE:
		return scan_string(s, &l->source) && l->source.len >= 1 &&
		    l->source.len <= SOURCE_MAX;
	default:
		return take_integer(s, &l->seq) && l->seq >= 0;
	}
}

/* Are all members there that must be? */
static bool
whole(unsigned seen, const struct ndjson_defaults *defaults)
{
	unsigned must = 1u << MEMBER_LEVEL | 1u << MEMBER_TIME | 1u << MEMBER_SENDER |
	    1u << MEMBER_MESSAGE;

	if (defaults->watchdog.len == 0 && !defaults->only)
		must |= 1u << MEMBER_WATCHDOG;
	return (seen & must) == must && !(seen & 1u << MEMBER_SOURCE) == !(seen & 1u << MEMBER_SEQ);
}

/* What of the line would stay if it got another number: everything behind its brace, or
 * behind the number that it begins with. Not told of a line that gets its labels from
 * the defaults, which another reader need not have. */
static struct str
rest_of(const struct scanner *s, const struct draft *d, const char *brace, const char *numbered)
{
	const unsigned labels = 1u << MEMBER_KIND | 1u << MEMBER_WATCHDOG;
	const char *from = (d->seen & 1u << MEMBER_SOURCE) != 0 ? numbered : brace;

	if (from == NULL || (d->seen & labels) != labels)
		return (struct str){ NULL, 0 };
	return (struct str){ from, (size_t)(s->p - from) };
}

bool
scan_record(struct scanner *s, const struct ndjson_defaults *defaults, struct ndjson_line *out)
{
	const unsigned number = 1u << MEMBER_SOURCE | 1u << MEMBER_SEQ;
	const char *brace, *numbered = NULL;
	struct draft d;

	/* Not a whole initializer: the keys need none. */
	d.line = (struct ndjson_line){
		.record = { .kind = defaults->kind, .watchdog = defaults->watchdog } };
	d.only = defaults->only;
	d.next = MEMBER_SOURCE;
	d.seen = 0;
	d.key_count = 0;
	if (!scan_take(s, '{'))
		return false;
	brace = s->p;
	do {
		scan_space(s);
		if (!take_member(s, &d))
			return false;
		scan_space(s);
		if (d.seen == number && d.key_count == 0 && numbered == NULL)
			numbered = s->p + 1;
	} while (scan_take(s, ','));
	if (!scan_take(s, '}') || !whole(d.seen, defaults))
		return false;
	if (s->extra.len > 0) {
		s->extra.data[s->extra.len++] = '}';
		d.line.record.extra = (struct str){ s->extra.data, s->extra.len };
	}
	d.line.rest = rest_of(s, &d, brace, numbered);
	*out = d.line;
	return true;
}

bool
scan_line(struct scanner *s, struct str line, const struct ndjson_defaults *defaults,
    struct ndjson_line *out)
{
	scan_begin(s, line);
	scan_space(s);
	if (!scan_record(s, defaults, out))
		return false;
	scan_space(s);
	return s->p == s->end;
}
