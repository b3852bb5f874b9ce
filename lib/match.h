/*
 * match.h - a text to look for in messages, compiled once, tested often.
 *
 * A literal is a plain substring. A pattern is a POSIX extended regular
 * expression (regex(7)); a literal that every match must contain is found in
 * it first and looked for before the expression runs, so that searching is as
 * fast as the text can be read. Patterns come from the command line only:
 * glibc's regcomp can be made to take gigabytes, so nothing from the wire may
 * be compiled as one. U+0000 in a message is an ordinary character.
 */
#ifndef MONITOR_MATCH_H
#define MONITOR_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "str.h"

struct match;

enum match_flags {
	MATCH_PATTERN = 1,      /* an expression, not a literal */
	MATCH_IGNORE_CASE = 2,  /* ASCII letters; in expressions, those of all scripts */
};

/* Caller owns the result and frees it with match_free(). */
struct match *match_new(struct str text, unsigned flags, struct error *e);
void match_free(struct match **m);

/* Thread-safe: a compiled match is only read. */
bool match_test(const struct match *m, struct str text);

/* Where it matches first at or behind `from` (<= text.len), for highlighting:
 * false if nowhere. */
bool match_find(const struct match *m, struct str text, size_t from, size_t *start, size_t *end);

#endif
