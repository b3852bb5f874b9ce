/*
 * course.h - from slice to slice through the rows that match: which statement is next. Private to
 * lib/postgres/.
 *
 * What is a place? In the order of arrival: the number of the row's batch (lib/schema/postgres.sql)
 * and its place in it, so that places are in the order of commits. That is what a cursor holds
 * whoever gives it, but for one: in the order of time it is the row's arrival itself, which
 * costs nothing to know. The two can be told apart, and each is understood everywhere.
 */
#ifndef MONITOR_POSTGRES_COURSE_H
#define MONITOR_POSTGRES_COURSE_H

#include "postgres/where.h"

/* ---- places ------------------------------------------------------------------------- */

/* Arrivals are above this since 2020-04; places below it until there are 2^37 batches. */
#define PLACE_LIMIT ((int64_t)1 << 55)

static inline int64_t
place_of(int64_t number, int64_t place)
{
	return (number << ARRIVAL_PLACE_BITS) + place;
}

static inline int64_t
place_number(int64_t place)
{
	return place >> ARRIVAL_PLACE_BITS;
}

/* An arrival as a place, a place as an arrival; what is one already stays. Of a batch that was
 * purged: before all that is left. */
int place_from_arrival(struct postgres *s, int64_t *arrival, struct error *e);
int place_to_arrival(struct postgres *s, int64_t *place, struct error *e);

/* ---- walking ------------------------------------------------------------------------- */

/* A batch, or the part of it that is walked through. */
struct batch {
	int64_t number, base;    /* `base`: the arrival of its first row */
	int64_t first, last;
};

/* In the order of time: what no window has been made of yet. */
struct course_rest {
	double edge;     /* from here on; backwards: down to here */
	double length;   /* of the next window */
	bool shared;     /* two make windows of it, each of about what a statement gives */
};

struct course {
	struct postgres *s;
	const struct query *q;
	struct where where;             /* the next statement */
	size_t limit;                   /* it gives so many rows at most */
	bool ended;                     /* there is none */
	bool begun;                     /* something of the answer has been read */
	struct cursor at;               /* how far all has been looked at */
	size_t work;                    /* rows looked at, about */
	struct where_bounds bounds;

	/* In the order of time: windows. */
	double oldest, newest;          /* the tables of log and notification hold times between these */
	int64_t number;                 /* the newest batch that counts */
	bool inside;                    /* the window has not been read to its end */
	size_t window_rows;             /* what it has given so far */
	bool share;                     /* from the next statement on that does not end it, two may walk */
	struct course_rest own, *rest;  /* `rest`: ours, or that of who we walk beside */

	/* In the order of arrival: batches, and of these the run that is next. */
	struct batch *batches;
	size_t count, done;             /* read; and before the run */
	size_t run;                     /* how many are in it */
	int64_t from, to;               /* places: the batches still to be read, both inclusive */
	int64_t run_first, run_last;    /* arrivals in the run that are still to be read */
};

/* The query must last as long as the walk, and `c` stay where it is. */
int course_init(struct course *c, struct postgres *s, const struct query *q, struct error *e);
void course_free(struct course *c);

/* Walk beside `first`, over a connection of one's own: both take windows from what is left in the
 * order of time, so that first's, ours and first's again come one behind the other. -1: the store
 * behind `s` does not have all that the other has (a standby may be late); or no memory. */
int course_beside(struct course *c, struct postgres *s, struct course *first, struct error *e);

/* Make the next statement, c->where, of `limit` rows at most; or end. It may ask the server
 * something: nothing else may be under way. */
int course_plan(struct course *c, size_t limit, struct error *e);

/* A statement for the walk. Where that may help it is asked again: at once, and in the middle of
 * an answer a few times more, with pauses. */
int course_query(struct course *c, const char *sql, const struct pq_params *p, struct pq_rows **rows,
    struct error *e);

/* These came of it. Where a row is: places[i]; -1: in another part of the walk. There is room for
 * c->limit of them. */
void course_took(struct course *c, const struct pq_rows *rows, int64_t *places);

/* The two orders'. */
int course_time_init(struct course *c, struct error *e);
int course_time_plan(struct course *c, struct error *e);
void course_time_took(struct course *c, const struct pq_rows *rows, int64_t *places);
int course_arrival_init(struct course *c, struct error *e);
int course_arrival_plan(struct course *c, struct error *e);
void course_arrival_took(struct course *c, const struct pq_rows *rows, int64_t *places);

/* The bounds that a count has. */
int course_bounds(struct postgres *s, const struct query *q, struct where_bounds *b, struct error *e);

#endif
