#include "postgres/course.h"

#include <stdlib.h>

enum { TRIES = 7 };   /* in the middle of an answer: some 5 s */

/* ---- places ---------------------------------------------------------------------------- */

int
place_from_arrival(struct postgres *s, int64_t *arrival, struct error *e)
{
	static const char sql[] = "SELECT number, first, last FROM monitor.batch"
	    " WHERE first <= $1 ORDER BY first DESC LIMIT 1";
	struct pq_params p = { 0 };
	struct pq_rows *rows;
	int64_t first;

	if (*arrival < PLACE_LIMIT)
		return 0;
	pq_int(&p, *arrival);
	if (postgres_query(s, sql, &p, &rows, e) == -1)
		return -1;
	if (pq_count(rows) == 0 || pq_get_int(rows, 0, 2) < *arrival) {
		*arrival = 0;
	} else {
		first = pq_get_int(rows, 0, 1);
		*arrival = place_of(pq_get_int(rows, 0, 0), *arrival - first);
	}
	pq_free(&rows);
	return 0;
}

int
postgres_by_arrival(void *impl, struct cursor *c, struct error *e)
{
	struct postgres *s = impl;

	return c->store == (uint64_t)s->id ? place_from_arrival(s, &c->arrival, e) : 0;
}

int
place_to_arrival(struct postgres *s, int64_t *place, struct error *e)
{
	static const char sql[] = "SELECT first FROM monitor.batch WHERE number = $1";
	struct pq_params p = { 0 };
	struct pq_rows *rows;

	if (*place >= PLACE_LIMIT || *place == 0)
		return 0;
	pq_int(&p, place_number(*place));
	if (postgres_query(s, sql, &p, &rows, e) == -1)
		return -1;
	*place = pq_count(rows) == 0 ? 0 :
	    pq_get_int(rows, 0, 0) + *place % ARRIVAL_PLACES;
	pq_free(&rows);
	return 0;
}

/* ---- a walk ------------------------------------------------------------------------------ */

int
course_init(struct course *c, struct postgres *s, const struct query *q, struct error *e)
{
	*c = (struct course){ .s = s, .q = q, .rest = &c->own };
	c->ended = q->limit == 0 || where_nothing(q);
	c->at = q->after != NULL && q->after->store != 0 ? *q->after :
	    (struct cursor){ -INFINITY, 0, (uint64_t)s->id };
	if (where_init(&c->where, q, e) == -1)
		return -1;
	if (c->ended)
		return 0;
	if ((q->order == QUERY_BY_TIME ? course_time_init : course_arrival_init)(c, e) == 0)
		return 0;
	course_free(c);
	return -1;
}

int
course_beside(struct course *c, struct postgres *s, struct course *first, struct error *e)
{
	struct where where;
	struct cursor end;

	if (postgres_end(s, &end, e) == -1)
		return -1;
	if (s->id != first->s->id || place_number(end.arrival) < first->number)
		return error_set(e, ERROR_BUSY, "%s: not all is there yet", s->where);
	if (where_init(&where, first->q, e) == -1)
		return -1;
	*c = *first;
	c->s = s;
	c->where = where;
	c->inside = c->bounds.behind = false;
	return 0;
}

void
course_free(struct course *c)
{
	where_free(&c->where);
	free(c->batches);
	c->batches = NULL;
}

int
course_plan(struct course *c, size_t limit, struct error *e)
{
	c->limit = limit;
	if (c->ended)
		return 0;
	return (c->q->order == QUERY_BY_TIME ? course_time_plan : course_arrival_plan)(c, e);
}

void
course_took(struct course *c, const struct pq_rows *rows, int64_t *places)
{
	(c->q->order == QUERY_BY_TIME ? course_time_took : course_arrival_took)(c, rows, places);
}

int
course_query(struct course *c, const char *sql, const struct pq_params *p, struct pq_rows **rows,
    struct error *e)
{
	unsigned tries = 0, most = c->begun ? TRIES : 1;
	struct error why;
	bool again = false;

	while (postgres_query(c->s, sql, p, rows, &why) == -1) {
		if (why.kind != ERROR_BUSY || tries == most ||
		    (again && postgres_again(c->s, &tries, &why) == -1)) {
			if (e != NULL)
				*e = why;
			return -1;
		}
		tries += !again;
		again = true;
	}
	return 0;
}
