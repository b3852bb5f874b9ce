/*
 * show.h - records, from an answer to standard output.
 *
 * Here and in all that main.c calls: -1 with an error of ERROR_NONE means that
 * nobody reads the output any more, and that the program should end quietly.
 */
#ifndef MONITOR_QUERY_SHOW_H
#define MONITOR_QUERY_SHOW_H

#include <stdint.h>

#include "error.h"
#include "out.h"
#include "request.h"
#include "store.h"

struct show {
	const struct request *request;
	uint64_t shown;
};

/* One more record; the first brings the pager, or a heading. */
int show_record(struct show *s, const struct record *r, struct error *e);

/* The end: the heading of an answer without records, a position if it is asked
 * for (NULL: there is none), a remark for the person who waits for more. */
int show_end(struct show *s, const struct cursor *at, struct error *e);

/* What became of a piece of output: 0, or -1 as above. */
int show_status(enum out_status status, struct error *e);

/* Everything that matches, and the end. Returns an exit status, or -1. */
int show_all(struct store *store, const struct request *r, struct error *e);

#endif
