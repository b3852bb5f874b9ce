/*
 * where.h - a query as SQL: the statement that reads one slice of its rows, or counts them.
 *
 * Every statement has the same parameters in the same places, whether it uses them or not;
 * their values are known when it is planned, so that partitions which cannot hold what is
 * asked for are not even opened.
 */
#ifndef MONITOR_POSTGRES_WHERE_H
#define MONITOR_POSTGRES_WHERE_H

#include "postgres/postgres.h"

/* Texts that are longer than this (as the server stores them) are not in a slice: they are
 * fetched one by one, so that a slice's size is bounded. */
#define WHERE_TEXT_MAX 2048

/* A slice's columns. */
enum {
	COLUMN_ARRIVAL, COLUMN_TIME, COLUMN_LEVEL, COLUMN_KIND, COLUMN_WATCHDOG,
	COLUMN_SENDER,    /* null: too long */
	COLUMN_MESSAGE,   /* null: too long */
	COLUMN_EXTRA,     /* null: none; empty: too long */
};

/* What bounds a statement, beside the query's own conditions. */
struct where_bounds {
	double since, until;           /* time >= since, time < until */
	int64_t first, last;           /* arrivals, inclusive: of log and notification, */
	int64_t stray_first, stray_last;   /* and of strays */
	bool behind;                   /* (time, arrival) behind these, in the walk's direction */
	double time;
	int64_t arrival;
	bool edged;                    /* (time, arrival) no further than these */
	double edge_time;
	int64_t edge_arrival;
	int64_t number;                /* batches above this one are not seen (INT64_MAX: all are), */
	int64_t cut_first, cut_last;   /* nor are these arrivals (cut_last 0: all are) */
};

struct where {
	const struct query *q;
	struct buf watchdogs, senders;   /* arrays; one watchdog is only a text */
	struct buf sql;                  /* the statement, NUL-terminated, */
	struct pq_params params;         /* and its parameters */
};

/* The query must last as long as this. To be followed by where_free(). */
int where_init(struct where *w, const struct query *q, struct error *e);
void where_free(struct where *w);

/* Nothing can match it. */
bool where_nothing(const struct query *q);

/* Make the statement that reads the next `limit` rows in the query's order: (time, arrival), or
 * arrival; or (edge) the time and arrival of the row which comes after `limit` others that
 * differ only in what no index knows. -1: no memory. */
int where_rows(struct where *w, const struct where_bounds *b, size_t limit, struct error *e);
int where_edge(struct where *w, const struct where_bounds *b, size_t limit, struct error *e);

/* Does a condition of the query's have no index? */
bool where_picks(const struct query *q);

/* Make the statement that counts: `select` is applied to rows (kind, watchdog, sender, level,
 * time) named r, and followed by `group`. Parameters of its own: two doubles ($20, $21). */
int where_count(struct where *w, const struct where_bounds *b, const char *select,
    const char *group, double x, double y, struct error *e);

#endif
