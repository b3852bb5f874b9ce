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

/* Take the first word off `text`, and the blanks before it; empty if there is none. */
static inline struct str
str_take_word(struct str *text)
{
	static const char blanks[] = " \t\r\n";
	struct str word;

	while (text->len > 0 && memchr(blanks, *text->data, 4) != NULL)
		text->data++, text->len--;
	word = (struct str){ text->data, 0 };
	while (text->len > 0 && memchr(blanks, *text->data, 4) == NULL)
		text->data++, text->len--, word.len++;
	return word;
}

/* Take the first line off `text`, with its newline, which is not part of the result. False:
 * there was nothing left. */
static inline bool
str_take_line(struct str *text, struct str *line)
{
	const char *newline = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
	size_t n;

	if (text->len == 0)
		return false;
	n = newline != NULL ? (size_t)(newline - text->data) : text->len;
	*line = (struct str){ text->data, n };
	n += newline != NULL;
	text->data += n;
	text->len -= n;
	return true;
}

/* Is there nothing in this line but blanks? (The end of one that is no blank tells at once.) */
static inline bool
str_is_blank(struct str line)
{
	while (line.len > 0 && (line.data[line.len - 1] == ' ' || line.data[line.len - 1] == '\t' ||
	    line.data[line.len - 1] == '\r'))
		line.len--;
	return line.len == 0;
}

/* How many newlines there are in it. */
static inline size_t
str_count_lines(struct str text)
{
	const char *p = text.data, *end = p + text.len;
	size_t n = 0;

	for (; p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		n++;
	return n;
}

/* For printf's "%.*s". */
#define STR_ARGS(s) (int)(s).len, (s).data

#endif
