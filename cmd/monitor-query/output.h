/*
 * output.h - how records look: one const table entry a format.
 */
#ifndef MONITOR_QUERY_OUTPUT_H
#define MONITOR_QUERY_OUTPUT_H

#include <stdbool.h>

#include "buf.h"
#include "match.h"
#include "query.h"
#include "record.h"

/* What there is to know about the place where the output goes. */
struct view {
	bool utc;
	bool color;                    /* colour where a format has any */
	bool guarded;                  /* a terminal: nothing may control it */
	bool watchdogs;                /* say whose record it is */
	const struct match *highlight; /* NULL: nothing */
};

/* All functions append to `b` and return -1 only where memory ran out. */
struct output {
	const char *name;
	int (*begin)(struct buf *b);   /* before the first record; NULL: nothing */
	int (*record)(struct buf *b, const struct record *r, const struct view *v);
	int (*cursor)(struct buf *b, const char *text);  /* at the end; NULL: no place for it */
};

extern const struct output output_text, output_ndjson;

/* By name; NULL if there is none of that name. */
const struct output *output_find(const char *name);

/* Colours of the classes of levels (record_level_class()). */
struct palette {
	const char *text;   /* escape sequence for a text, "" where it stays plain */
	const char *bar;    /* for a bar: the background */
	char letter;        /* for a bar without colours */
};
extern const struct palette output_palette[];
unsigned output_class(int64_t level);   /* index in record_levels and the palette */

/* A text with everything in it escaped that could control a terminal; newlines
 * too. */
int output_escape(struct buf *b, struct str s);

#endif
