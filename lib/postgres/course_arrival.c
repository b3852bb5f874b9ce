/*
 * In the order of arrival, which is that of the batches' numbers. What the next batches are is
 * read first; as long as their arrivals rise (or, backwards, fall) as their numbers do, they are
 * a run, and read in one go in the order of their arrivals. Among a run's arrivals may be some
 * of a batch that is not in it: these rows are of another part of the walk.
 */
#include "postgres/course.h"

#include <stdlib.h>

enum {
	BATCHES = 512,     /* read at a time */
	RUN = 32768,       /* rows in a run, about */
};

static const char end_sql[] = "SELECT number FROM monitor.batch ORDER BY number DESC LIMIT 1";
static const char batches_sql[] = "SELECT number, first, last FROM monitor.batch"
	" WHERE number >= $1 AND number <= $2 AND number > 0 ORDER BY number LIMIT $3";
static const char batches_back_sql[] = "SELECT number, first, last FROM monitor.batch"
	" WHERE number >= $1 AND number <= $2 AND number > 0 ORDER BY number DESC LIMIT $3";

static int
find_end(struct course *c, struct error *e)
{
	struct pq_rows *rows;

	if (course_query(c, end_sql, NULL, &rows, e) == -1)
		return -1;
	c->to = pq_count(rows) == 0 ? 0 : place_of(pq_get_int(rows, 0, 0), ARRIVAL_PLACES - 1);
	pq_free(&rows);
	return 0;
}

int
course_arrival_init(struct course *c, struct error *e)
{
	const struct query *q = c->q;

	if ((c->batches = calloc(BATCHES, sizeof(*c->batches))) == NULL)
		return error_memory(e);
	if (place_from_arrival(c->s, &c->at.arrival, e) == -1)
		return -1;
	c->to = q->upto;
	if (q->upto == INT64_MAX && find_end(c, e) == -1)
		return -1;
	if (q->after != NULL && q->after->store != 0) {
		if (!q->reverse)
			c->from = c->at.arrival + 1;
		else if (c->at.arrival - 1 < c->to)
			c->to = c->at.arrival - 1;
	}
	c->bounds = (struct where_bounds){ .since = q->since, .until = q->until, .number = INT64_MAX };
	return 0;
}

/* The rows of a batch that are between the walk's ends. */
static void
trim(const struct course *c, struct batch *b)
{
	if (place_number(c->from) == b->number && b->base + c->from % ARRIVAL_PLACES > b->first)
		b->first = b->base + c->from % ARRIVAL_PLACES;
	if (place_number(c->to) == b->number && b->base + c->to % ARRIVAL_PLACES < b->last)
		b->last = b->base + c->to % ARRIVAL_PLACES;
}

static int
read_batches(struct course *c, struct error *e)
{
	struct pq_params p = { 0 };
	struct pq_rows *rows;

	c->count = c->done = c->run = 0;
	if (c->from > c->to)
		return 0;
	pq_int(&p, place_number(c->from));
	pq_int(&p, place_number(c->to));
	pq_int(&p, BATCHES);
	if (course_query(c, c->q->reverse ? batches_back_sql : batches_sql, &p, &rows, e) == -1)
		return -1;
	for (size_t i = 0; i < pq_count(rows); i++) {
		struct batch *b = &c->batches[c->count];
		b->number = pq_get_int(rows, i, 0);
		b->base = b->first = pq_get_int(rows, i, 1);
		b->last = pq_get_int(rows, i, 2);
		trim(c, b);
		c->count += b->first <= b->last;
	}
	pq_free(&rows);
	return 0;
}

/* Of a batch that is longer than a run, a part. */
static void
take_part(struct course *c, struct batch *b)
{
	c->run = 1;
	if (c->q->reverse)
		c->run_first = b->last - RUN + 1;
	else
		c->run_last = b->first + RUN - 1;
}

/* The batches that are read in one go. */
static void
next_run(struct course *c)
{
	struct batch *b = &c->batches[c->done];
	int64_t rows = 0;

	c->run_first = b->first;
	c->run_last = b->last;
	for (c->run = 0; c->done + c->run < c->count; c->run++) {
		struct batch *next = b + c->run;
		bool on = c->q->reverse ? next->last < c->run_first : next->first > c->run_last;
		if (c->run > 0 && (!on || rows + next->last - next->first >= RUN))
			break;
		rows += next->last - next->first + 1;
		if (c->q->reverse)
			c->run_first = next->first;
		else
			c->run_last = next->last;
	}
	if (rows > RUN)
		take_part(c, b);
}

int
course_arrival_plan(struct course *c, struct error *e)
{
	if (c->run == 0) {
		if (c->done == c->count && read_batches(c, e) == -1)
			return -1;
		c->ended = c->count == 0;
		if (c->ended)
			return 0;
		next_run(c);
	}
	c->bounds.first = c->bounds.stray_first = c->run_first;
	c->bounds.last = c->bounds.stray_last = c->run_last;
	return where_rows(&c->where, &c->bounds, c->limit, e);
}

/* Which of the run's batches a row is in; NULL: in none of them. */
static const struct batch *
batch_of(const struct course *c, int64_t arrival)
{
	const struct batch *low = c->batches + c->done, *end = low + c->run;

	while (low < end) {
		const struct batch *b = low + (end - low) / 2;
		if (arrival >= b->first && arrival <= b->last)
			return b;
		if ((arrival > b->last) != c->q->reverse)
			low = b + 1;
		else
			end = b;
	}
	return NULL;
}

/* All of the run has been read, or all of what was taken of its one batch. */
static void
leave_run(struct course *c)
{
	struct batch *b = &c->batches[c->done + c->run - 1];
	int64_t edge = c->q->reverse ? c->run_first : c->run_last;

	c->at.arrival = place_of(b->number, edge - b->base);
	if (c->q->reverse) {
		c->to = c->at.arrival - 1;
		b->last = edge - 1;
	} else {
		c->from = c->at.arrival + 1;
		b->first = edge + 1;
	}
	c->done += b->first > b->last ? c->run : c->run - 1;
	c->run = 0;
}

void
course_arrival_took(struct course *c, const struct pq_rows *rows, int64_t *places)
{
	size_t n = pq_count(rows);
	int64_t begin = c->run_first, end = c->run_last, arrival = 0;

	for (size_t i = 0; i < n; i++) {
		const struct batch *b;
		arrival = pq_get_int(rows, i, COLUMN_ARRIVAL);
		b = batch_of(c, arrival);
		places[i] = b == NULL ? -1 : place_of(b->number, arrival - b->base);
		if (b != NULL)
			c->at = (struct cursor){ pq_get_double(rows, i, COLUMN_TIME), places[i], 0 };
	}
	c->at.store = (uint64_t)c->s->id;
	if (n < c->limit) {
		c->work += (size_t)(end - begin + 1 < RUN ? end - begin + 1 : RUN);
		leave_run(c);
	} else {
		c->work += n;
		if (c->q->reverse)
			c->run_last = arrival - 1;
		else
			c->run_first = arrival + 1;
		if (c->run_first > c->run_last)
			leave_run(c);
	}
}
