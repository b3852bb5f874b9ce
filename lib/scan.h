/*
 * scan.h - JSON read by hand: the fast half of ndjson.h, and its helpers.
 *
 * A scanner stands at `p` in one line of text. What it does not take it leaves
 * to the other reader, jansson, without an error (out of memory included): the
 * two must never differ in what a line means, only in which lines they take.
 */
#ifndef MONITOR_SCAN_H
#define MONITOR_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "decimal.h"
#include "ndjson.h"
#include "str.h"

struct scanner {
	const char *start, *p, *end;
	struct buf text;      /* strings, once their escapes are undone */
	struct buf extra;     /* the members that are not ours */
	uint64_t replaced;    /* lone surrogates met, ever */
};

/* Our members; the others are MEMBER_EXTRA. */
enum member {
	MEMBER_KIND, MEMBER_WATCHDOG, MEMBER_LEVEL, MEMBER_TIME, MEMBER_SENDER, MEMBER_MESSAGE,
	MEMBER_SOURCE, MEMBER_SEQ, MEMBER_EXTRA
};
enum member scan_member(struct str name);

/* Those that a line is labelled with: see ndjson_defaults.only. */
static inline bool
scan_is_label(enum member m)
{
	return m == MEMBER_KIND || m == MEMBER_WATCHDOG || m == MEMBER_SOURCE || m == MEMBER_SEQ;
}

/* For who knows how a line is written, and takes it piece by piece, from `*p` on. Step over
 * `text` if that is what stands here. */
static inline bool
scan_text(const char **p, const char *end, const char *text, size_t len)
{
	if ((size_t)(end - *p) < len || memcmp(*p, text, len) != 0)
		return false;
	*p += len;
	return true;
}

/* A number of at most 18 digits, as JSON has it. */
static inline bool
scan_digits(const char **p, const char *end, int64_t *out)
{
	const char *start = *p;
	int64_t n = 0;

	while (*p < end && **p >= '0' && **p <= '9' && *p - start < 18)
		n = n * 10 + (*(*p)++ - '0');
	*out = n;
	return *p - start == 1 || (*p - start > 1 && *start != '0');
}

/* Start over on another line. What came out of the last one is gone. */
void scan_begin(struct scanner *s, struct str line);
void scan_free(struct scanner *s);

void scan_space(struct scanner *s);

/* Step over `c` if it is what stands here. */
static inline bool
scan_take(struct scanner *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* Step over the colon behind a member's name, and the spaces around it. False: there is none. */
bool scan_colon(struct scanner *s);

/* Take a string and undo its escapes; a lone surrogate becomes U+FFFD. Without
 * escapes the result points into the line, else into s->text. False: it is none,
 * or there was no memory. */
bool scan_string(struct scanner *s, struct str *out);

/* Take a member's name and the colon, up to its value. The name is good until the next
 * string is taken. False: as above, or the name has U+0000 in it, which jansson refuses. */
bool scan_name(struct scanner *s, struct str *name);

/* The number that four hexadecimal digits at `p` make; -1 if there are none. */
int scan_hex4(const char *p, const char *end);

/* Step over a string, and nothing is checked. False: the line ends first. */
bool scan_skip_string(struct scanner *s);

/* Step over one value: it ends where its brackets and quotes say so, and nothing
 * else is checked. False: the line ends first. */
bool scan_skip(struct scanner *s);

/* Step over one value that is right in every part, and within jansson's limits
 * (but for the size of numbers). `depth` is how deep it lies: 1 for a whole line. */
bool scan_value(struct scanner *s, unsigned depth);
#define SCAN_DEPTH_MAX 2048

/* Copy a value without the spaces between its parts: they may be newlines. */
int scan_compact(struct str value, struct buf *b);

/* Read a whole line as ndjson_read() does. `out` means nothing unless it is taken. */
bool scan_line(struct scanner *s, struct str line, const struct ndjson_defaults *defaults,
    struct ndjson_line *out);

/* The same of one object, which begins at s->p; s->p ends up behind it. */
bool scan_record(struct scanner *s, const struct ndjson_defaults *defaults,
    struct ndjson_line *out);

#endif
