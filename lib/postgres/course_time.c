/*
 * In the order of time. A record's time tells its partitions, all but the strays'; so the walk
 * goes from window to window, and a statement has to do with the partitions of its own only. A
 * window is twice as long as the one before if that gave little.
 */
#include "postgres/course.h"

enum { EDGE = 8192 };   /* rows looked at by a statement of a walk that pauses */

#define LENGTH_LEAST 0.001   /* of a window, in seconds: a slice may be all of one moment */

/* Of the batches that count: the first arrival, and the newest number. */
struct ends {
	int64_t oldest, number;
};

/* Up to where `upto` goes: the batch's number, the highest arrival that there was then, and
 * arrivals of that batch which came behind it. */
static int
bound_arrivals(struct postgres *s, int64_t upto, struct where_bounds *b, struct ends *ends,
    struct error *e)
{
	static const char sql[] =
	    "SELECT number, first, last, high,"
	    " (SELECT min(first) FROM monitor.batch WHERE first > 0)"
	    " FROM monitor.batch WHERE number <= $1 ORDER BY number DESC LIMIT 1";
	struct pq_params p = { 0 };
	struct pq_rows *rows;

	*ends = (struct ends){ 0 };
	pq_int(&p, upto == INT64_MAX ? upto : place_number(upto));
	if (postgres_query(s, sql, &p, &rows, e) == -1)
		return -1;
	if (pq_count(rows) > 0) {
		ends->number = pq_get_int(rows, 0, 0);
		ends->oldest = pq_get_int(rows, 0, 4);
		b->last = b->stray_last = pq_get_int(rows, 0, 3);
		if (upto != INT64_MAX) {
			b->number = place_number(upto);
			if (ends->number == b->number) {
				b->cut_first = pq_get_int(rows, 0, 1) + upto % ARRIVAL_PLACES + 1;
				b->cut_last = pq_get_int(rows, 0, 2);
			}
			if (b->cut_first > b->cut_last)
				b->cut_last = 0;
		}
	}
	pq_free(&rows);
	return 0;
}

/* The arrivals that records of these times may have, but for strays; a second more, for what
 * a sum of doubles loses. */
static void
bound_times(const struct postgres *s, struct where_bounds *b, int64_t last)
{
	int64_t end = arrival_of(b->until + s->bound + 2);

	b->first = arrival_of(b->since - s->bound - 1);
	b->last = end <= last ? end - 1 : last;
}

int
course_bounds(struct postgres *s, const struct query *q, struct where_bounds *b, struct error *e)
{
	struct ends ends;

	*b = (struct where_bounds){ .since = q->since, .until = q->until, .number = INT64_MAX };
	if (bound_arrivals(s, q->upto, b, &ends, e) == -1)
		return -1;
	bound_times(s, b, b->stray_last);
	return 0;
}

static double
partition_length(const struct course *c)
{
	return (double)c->s->interval[c->q->kinds == RECORD_KIND_BIT(RECORD_NOTIFICATION) ?
	    RECORD_NOTIFICATION : RECORD_LOG];
}

/* The walk begins behind the cursor's place. */
static int
begin_behind(struct course *c, struct error *e)
{
	struct where_bounds *b = &c->bounds;
	int64_t arrival = c->at.arrival;

	if (place_to_arrival(c->s, &arrival, e) == -1)
		return -1;
	b->behind = true;
	b->time = c->at.time;
	b->arrival = arrival;
	if (c->q->reverse)
		b->until = fmin(b->until, nextafter(b->time, INFINITY));
	else
		b->since = fmax(b->since, b->time);
	c->ended = !(b->since < b->until);
	return 0;
}

int
course_time_init(struct course *c, struct error *e)
{
	struct where_bounds *b = &c->bounds;
	struct ends ends;

	*b = (struct where_bounds){ .since = c->q->since, .until = c->q->until, .number = INT64_MAX };
	if (bound_arrivals(c->s, c->q->upto, b, &ends, e) == -1)
		return -1;
	c->number = ends.number;
	c->oldest = arrival_second(ends.oldest) - c->s->bound;
	c->newest = arrival_second(b->last) + c->s->bound + 1;
	if (c->q->after != NULL && c->q->after->store != 0 && begin_behind(c, e) == -1)
		return -1;
	c->own = (struct course_rest){ c->q->reverse ? b->until : b->since, partition_length(c), false };
	return 0;
}

/* Is there no window behind those that were taken? */
static bool
nothing_left(const struct course *c)
{
	return c->rest->edge == (c->q->reverse ? c->q->since : c->q->until);
}

/* The window that is next, from the edge on. One that would reach beyond all but strays has no
 * end. */
static void
next_window(struct course *c)
{
	struct where_bounds *b = &c->bounds;
	struct course_rest *rest = c->rest;

	if (c->q->reverse) {
		b->until = rest->edge;
		b->since = fmin(b->until, c->newest) - rest->length;
		b->since = b->since <= c->oldest ? c->q->since : fmax(b->since, c->q->since);
		rest->edge = b->since;
	} else {
		b->since = rest->edge;
		b->until = fmax(b->since, c->oldest) + rest->length;
		b->until = b->until >= c->newest ? c->q->until : fmin(b->until, c->q->until);
		rest->edge = b->until;
	}
	bound_times(c->s, b, b->stray_last);
	c->inside = true;
	c->window_rows = 0;
}

/* A walk that pauses: how far this statement may go, so that it does not look at more. */
static int
find_edge(struct course *c, struct error *e)
{
	struct where_bounds *b = &c->bounds;
	struct pq_rows *rows;

	if (where_edge(&c->where, b, EDGE, e) == -1 ||
	    course_query(c, c->where.sql.data, &c->where.params, &rows, e) == -1)
		return -1;
	b->edged = pq_count(rows) > 0;
	if (b->edged) {
		b->edge_arrival = pq_get_int(rows, 0, COLUMN_ARRIVAL);
		b->edge_time = pq_get_double(rows, 0, COLUMN_TIME);
	}
	pq_free(&rows);
	return 0;
}

int
course_time_plan(struct course *c, struct error *e)
{
	if (!c->inside) {
		c->ended = nothing_left(c);
		if (c->ended)
			return 0;
		next_window(c);
	}
	if (c->q->work != SIZE_MAX && where_picks(c->q) && !c->bounds.edged && find_edge(c, e) == -1)
		return -1;
	return where_rows(&c->where, &c->bounds, c->limit, e);
}

/* All up to here has been looked at. */
static void
move(struct course *c, double time, int64_t arrival)
{
	struct where_bounds *b = &c->bounds;

	b->behind = true;
	b->time = c->at.time = time;
	b->arrival = c->at.arrival = arrival;
	if (c->q->reverse)
		b->until = fmin(b->until, nextafter(time, INFINITY));
	else
		b->since = fmax(b->since, time);
	c->at.store = (uint64_t)c->s->id;
}

/* There is more in the window than a slice holds, which went so far: the next one need not have
 * to do with more than it is likely to fill. (An edge is close already.) Of several watchdogs each
 * gives the statement a slice's rows, if the window has them; else a partition is no trouble. Where
 * two walk it is a little less than it would fill, so that the other one's turn comes. What
 * is taken off the window is left for the next, unless there is one. */
static void
narrow(struct course *c, double covered)
{
	struct where_bounds *b = &c->bounds;
	struct course_rest *rest = c->rest;
	bool last = rest->edge == (c->q->reverse ? b->since : b->until);

	rest->length = fmax(LENGTH_LEAST, rest->shared ? 0.8 * covered : 2 * covered);
	if (!rest->shared && c->q->watchdog_count <= 1)
		rest->length = fmax(rest->length, partition_length(c));
	if (!last)
		return;
	if (c->q->reverse && b->until - rest->length < b->until)
		rest->edge = b->since = fmax(b->since, b->until - rest->length);
	else if (!c->q->reverse && b->since + rest->length > b->since)
		rest->edge = b->until = fmin(b->until, b->since + rest->length);
}

/* The window has been read. Behind it, or before it in the order of time, everything begins: who
 * then goes on in the order of arrival has seen all that there was. */
static void
leave_window(struct course *c)
{
	struct where_bounds *b = &c->bounds;
	bool reverse = c->q->reverse;

	c->inside = false;
	c->ended = nothing_left(c);
	if (c->ended)
		return;
	if (!c->rest->shared || c->window_rows < c->limit / 2)
		c->rest->length *= 2;
	b->behind = false;
	c->at = (struct cursor){ .store = (uint64_t)c->s->id };
	c->at.time = reverse ? b->since : nextafter(b->until, -INFINITY);
	c->at.arrival = reverse ? 0 : b->stray_last;
}

void
course_time_took(struct course *c, const struct pq_rows *rows, int64_t *places)
{
	struct where_bounds *b = &c->bounds;
	size_t n = pq_count(rows);

	for (size_t i = 0; i < n; i++)
		places[i] = pq_get_int(rows, i, COLUMN_ARRIVAL);
	c->work += n;
	c->window_rows += n;
	if (n == c->limit) {
		c->rest->shared |= c->share;
		double before = c->q->reverse ? fmin(b->until, c->newest) : fmax(b->since, c->oldest);
		move(c, pq_get_double(rows, n - 1, COLUMN_TIME), places[n - 1]);
		if (!b->edged)
			narrow(c, fabs(b->time - before));
		bound_times(c->s, b, b->stray_last);
	} else if (b->edged) {
		c->work += EDGE - n;
		b->edged = false;
		move(c, b->edge_time, b->edge_arrival);
		bound_times(c->s, b, b->stray_last);
	} else {
		leave_window(c);
	}
}
