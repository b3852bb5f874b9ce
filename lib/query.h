/*
 * query.h - a question: which records, in which order, from where on.
 *
 * Plain data, filled by a command or a request and only read by the store. A
 * zeroed struct is not a query: start from query_all(). The arrays and strings
 * belong to the caller and must outlive the answer.
 */
#ifndef MONITOR_QUERY_H
#define MONITOR_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "record.h"
#include "str.h"

struct match; /* match.h */

/* A position in one store: the record last seen. Opaque to users. In time
 * order (time, arrival) names it; in arrival order arrival does. */
struct cursor {
	double time;
	int64_t arrival;  /* the place in the order in which the store took records */
	uint64_t store;   /* which store; 0 is "none": a cursor before everything */
};

enum query_order {
	QUERY_BY_TIME,     /* (time, arrival), oldest first */
	QUERY_BY_ARRIVAL,  /* the order in which the store took them */
};

struct query {
	unsigned kinds;                /* set of kinds */
	const struct str *watchdogs;   /* any of these; none: all */
	size_t watchdog_count;
	const struct str *senders;     /* any of these; none: all */
	size_t sender_count;
	int64_t level_min, level_max;  /* both inclusive */
	double since;                  /* time >= since */
	double until;                  /* time < until */
	const struct match *match;     /* on the message; NULL: every */
	enum query_order order;
	bool reverse;                  /* newest first */
	size_t limit;                  /* only the newest so many in that order (by
	                                * time, or by arrival); SIZE_MAX: all. With a
	                                * cursor: the next so many after it. */
	int64_t upto;                  /* only what had arrived by then (an arrival
	                                * number; INT64_MAX: all) */
	const struct cursor *after;    /* go on behind this one (before it, with
	                                * reverse); NULL: from the beginning */
	size_t work;                   /* pause after looking at about so many rows,
	                                * matching or not; SIZE_MAX: never */
};

/* Every record of every kind, oldest first. */
struct query query_all(void);

/* A cursor as text (a NUL-terminated string of [A-Za-z0-9=;.-]) and back. */
#define CURSOR_TEXT_SIZE 80
void cursor_format(const struct cursor *c, char text[CURSOR_TEXT_SIZE]);
int cursor_parse(const char *text, struct cursor *c, struct error *e);

#endif
