/*
 * An answer: slices of a walk, each one statement that has ended before the first of its rows
 * is handed out. The next one is under way meanwhile, in an answer that turns out to be long. What
 * that takes is the server's time: so in a longer one two connections walk side by side, through
 * one window of time each.
 */
#include <stdlib.h>

#include "match.h"
#include "postgres/course.h"

enum {
	SLICE_FIRST = 100,        /* rows: the first row at once */
	SLICE_MOST = 20000,
	SLICE_BYTES = 6 << 20,    /* about; to plan a statement takes as long as 500 rows */
	LOOK_ROWS = 64,           /* so often it is seen to what has come of the next slices */
	LONG = 3,                 /* slices: what fills so many is worth a second connection */
	LANES = 2,
};

struct slice {
	struct pq_rows *rows;     /* NULL: none */
	size_t count;
	int64_t *places;          /* room for `room` */
	size_t room;
};

/* A connection, and who walks over it. */
struct lane {
	struct postgres *s;       /* NULL: there is none, and the walk has ended */
	struct course course;
	struct slice next;
	bool sent;                /* the next slice's statement */
};

/* Windows are taken in turn, so the turn is that of the lane with the earliest one: nobody takes one
 * before who has the turn has. */
struct asked {
	struct postgres *s;
	const struct query *q;
	struct lane lanes[LANES];
	unsigned turn;            /* the lane that the slice after the one that is shown comes from */
	bool tried;               /* to connect a second time */
	struct slice shown;
	size_t shown_at;
	size_t slice_rows;        /* how many rows to ask for */
	size_t slice_count;       /* slices so far */
	size_t taken;             /* records that matched */
	struct cursor at;         /* of the one that was handed out last */
	struct pq_rows *texts;    /* its long ones */
};

/* ---- slices ------------------------------------------------------------------------------ */

static void
slice_free(struct slice *sl)
{
	pq_free(&sl->rows);
	free(sl->places);
	sl->places = NULL;
}

static struct lane *
other(struct asked *k, const struct lane *l)
{
	return &k->lanes[l == &k->lanes[0]];
}

/* It will give no more. */
static bool
is_over(const struct lane *l)
{
	return l->course.ended && l->next.rows == NULL;
}

/* Rows for the next slice, if all that are still to be handed out of this one count. */
static size_t
rows_wanted(const struct asked *k)
{
	size_t left = k->q->limit - k->taken, here = k->shown.count - k->shown_at;

	left -= here < left ? here : left;
	return k->q->match == NULL && left < k->slice_rows ? left : k->slice_rows;
}

/* The statement of the next slice; or the walk has ended. */
static int
plan(struct asked *k, struct lane *l, struct error *e)
{
	size_t rows = rows_wanted(k);
	struct slice *sl = &l->next;

	if (rows > sl->room) {
		int64_t *places = realloc(sl->places, rows * sizeof(*places));
		if (places == NULL)
			return error_memory(e);
		sl->places = places;
		sl->room = rows;
	}
	return course_plan(&l->course, rows, e);
}

static int settle(struct asked *k, struct error *e);

/* What the statement gives, if need be of a new connection: a pooler may have none before what the
 * other one gives is read. */
static int
fetch(struct asked *k, struct lane *l, struct error *e)
{
	const struct where *w = &l->course.where;

	if (l->sent) {
		struct lane *o = other(k, l);
		l->sent = false;
		pq_await(l->s->pq, o->sent ? o->s->pq : NULL);
		if (pq_fetch(l->s->pq, &l->next.rows, e) == 0)
			return 0;
	}
	if (settle(k, e) == -1)
		return -1;
	return course_query(&l->course, w->sql.data, &w->params, &l->next.rows, e);
}

/* How many rows make a slice of the right size, as far as one can know. */
static void
measure(struct asked *k, const struct slice *sl)
{
	size_t rows = sl->count == 0 ? SLICE_MOST : SLICE_BYTES / (pq_size(sl->rows) / sl->count + 1);

	k->slice_rows = rows < SLICE_FIRST ? SLICE_FIRST : rows > SLICE_MOST ? SLICE_MOST : rows;
}

/* Has there been so much, and may there be, that a second connection is worth it? */
static bool
is_long(const struct asked *k)
{
	return !k->tried && k->q->work == SIZE_MAX && k->slice_count >= LONG &&
	    k->q->limit - k->taken > LONG * k->slice_rows;
}

/* The lane's next slice is there, whatever it takes. */
static int
get_next(struct asked *k, struct lane *l, struct error *e)
{
	struct slice *sl = &l->next;

	if (sl->rows != NULL)
		return 0;
	if (!l->sent && plan(k, l, e) == -1)
		return -1;
	if (l->course.ended)
		return 0;
	if (fetch(k, l, e) == -1)
		return -1;
	sl->count = pq_count(sl->rows);
	k->slice_count++;
	l->course.share = is_long(k);
	course_took(&l->course, sl->rows, sl->places);
	measure(k, sl);
	l->course.begun = true;
	return 0;
}

/* Nothing is under way. */
static int
settle(struct asked *k, struct error *e)
{
	for (int i = 0; i < LANES; i++)
		if (k->lanes[i].sent && get_next(k, &k->lanes[i], e) == -1)
			return -1;
	return 0;
}

/* A lane's next slice, before it is needed: false if it has to wait for its turn. What goes wrong
 * shows then. */
static bool
send_ahead(struct asked *k, struct lane *l)
{
	struct where *w = &l->course.where;

	if (l->sent || l->next.rows != NULL || l->course.ended)
		return true;
	if (k->slice_count < 2 || k->q->work != SIZE_MAX || rows_wanted(k) == 0 || plan(k, l, NULL) == -1)
		return false;
	if (!l->course.ended)
		l->sent = pq_send(l->s->pq, w->sql.data, &w->params, NULL) == 0;
	return true;
}

/* A second connection, beside the first, if it can be had. Nothing is under way: a pooler may have
 * only one. */
static void
add_lane(struct asked *k)
{
	struct lane *first = &k->lanes[0], *l = &k->lanes[1];

	k->tried = true;
	if ((l->s = postgres_beside(k->s)) != NULL &&
	    course_beside(&l->course, l->s, &first->course, NULL) == 0)
		return;
	postgres_close(l->s);
	l->s = NULL;
	first->course.rest->shared = false;
}

/* The next slice is the one that is shown. */
static int
show_next(struct asked *k, struct error *e)
{
	struct lane *l = &k->lanes[k->turn];
	struct slice last = k->shown;

	if (is_over(l))
		l = other(k, l);
	if (get_next(k, l, e) == -1)
		return -1;
	if (l->next.rows == NULL)
		return 0;   /* the walk has ended */
	k->shown = l->next;
	k->shown_at = 0;
	l->next = last;
	pq_free(&l->next.rows);
	if (!l->course.inside && !is_over(other(k, l)))
		l = other(k, l);
	k->turn = (unsigned)(l - k->lanes);
	if (k->lanes[0].course.rest->shared && !k->tried)
		add_lane(k);
	if (send_ahead(k, l))
		send_ahead(k, other(k, l));
	return 0;
}

/* What has come of the next ones. */
static void
look(struct asked *k)
{
	for (int i = 0; i < LANES; i++)
		if (k->lanes[i].sent)
			pq_look(k->lanes[i].s->pq);
}

/* ---- rows -------------------------------------------------------------------------------- */

/* As it was before it was stored. (The rows are ours, and each text is looked at once.) */
static struct str
text(const struct pq_rows *rows, size_t row, int column)
{
	struct str s = pq_get_text(rows, row, column);

	if (s.len > 0 && memchr(s.data, '\x10', s.len) != NULL)
		s.len = text_decode((char *)(uintptr_t)s.data, s.len);
	return s;
}

/* A row as a record, if its texts are all there. */
static bool
read_row(const struct slice *sl, size_t i, struct record *r)
{
	const struct pq_rows *rows = sl->rows;

	*r = (struct record){
		.kind = (enum record_kind)pq_get_int(rows, i, COLUMN_KIND),
		.level = pq_get_int(rows, i, COLUMN_LEVEL),
		.time = pq_get_double(rows, i, COLUMN_TIME),
		.watchdog = text(rows, i, COLUMN_WATCHDOG),
		.sender = text(rows, i, COLUMN_SENDER),
		.message = text(rows, i, COLUMN_MESSAGE),
		.extra = text(rows, i, COLUMN_EXTRA),
	};
	return r->sender.data != NULL && r->message.data != NULL &&
	    (r->extra.data == NULL || r->extra.len > 0);
}

/* The texts of a record with long ones: 1, or 0 where it was purged meanwhile, or -1. */
static int
fetch_texts(struct asked *k, struct record *r, int64_t arrival, struct error *e)
{
	static const char *const sql[] = {
		"SELECT sender, message, extra FROM monitor.log WHERE arrival = $1",
		"SELECT sender, message, extra FROM monitor.notification WHERE arrival = $1",
		"SELECT sender, message, extra FROM monitor.stray WHERE arrival = $1",
	};
	int table = arrival_is_stray(k->s, r->time, arrival) ? RECORD_KINDS : (int)r->kind;
	struct pq_params p = { 0 };

	pq_free(&k->texts);
	pq_int(&p, arrival);
	if (settle(k, e) == -1 || course_query(&k->lanes[0].course, sql[table], &p, &k->texts, e) == -1)
		return -1;
	if (pq_count(k->texts) == 0)
		return 0;
	r->sender = text(k->texts, 0, 0);
	r->message = text(k->texts, 0, 1);
	r->extra = text(k->texts, 0, 2);
	return 1;
}

/* A row of the slice that is shown: 1; or 0 where it does not match, is not of this part of the
 * walk, or was purged before its texts were fetched; or -1. */
static int
take(struct asked *k, size_t i, struct record *r, struct error *e)
{
	const struct match *match = k->q->match;
	int rc = 1;

	if (k->shown.places[i] == -1)
		return 0;
	if (!read_row(&k->shown, i, r))
		rc = fetch_texts(k, r, pq_get_int(k->shown.rows, i, COLUMN_ARRIVAL), e);
	if (rc != 1 || (match != NULL && !match_test(match, r->message)))
		return rc == -1 ? -1 : 0;
	k->at = (struct cursor){ r->time, k->shown.places[i], (uint64_t)k->s->id };
	k->taken++;
	return 1;
}

/* Is it enough for now? */
static bool
enough(const struct asked *k)
{
	return k->q->work != SIZE_MAX && k->lanes[0].course.work >= k->q->work && k->slice_count > 0;
}

/* ---- an answer -------------------------------------------------------------------------------- */

void *
postgres_ask(void *impl, const struct query *q, struct error *e)
{
	struct postgres *s = impl;
	struct asked *k;

	if (q->after != NULL && q->after->store != 0 && q->after->store != (uint64_t)s->id) {
		error_set(e, ERROR_INVALID, "%s: the cursor is of another store", s->where);
		return NULL;
	}
	if ((k = calloc(1, sizeof(*k))) == NULL) {
		error_memory(e);
		return NULL;
	}
	k->s = s;
	k->q = q;
	k->slice_rows = SLICE_FIRST;
	k->lanes[0].s = s;
	k->lanes[1].course.ended = true;
	if (course_init(&k->lanes[0].course, s, q, e) == -1) {
		free(k);
		return NULL;
	}
	k->at = k->lanes[0].course.at;
	return k;
}

int
postgres_next(void *answer, struct record *r, struct error *e)
{
	struct asked *k = answer;
	int rc = 0;

	while (rc == 0 && k->taken < k->q->limit) {
		while (k->shown_at == k->shown.count) {
			if (is_over(&k->lanes[0]) && is_over(&k->lanes[1]))
				return 0;
			if (enough(k)) {
				k->at = k->lanes[0].course.at;
				return 2;
			}
			if (show_next(k, e) == -1)
				return -1;
		}
		if (k->shown_at % LOOK_ROWS == 0)
			look(k);
		rc = take(k, k->shown_at++, r, e);
	}
	return rc;
}

void
postgres_position(const void *answer, struct cursor *c)
{
	*c = ((const struct asked *)answer)->at;
}

/* A statement that nobody waits for any more goes with its connection. */
void
postgres_end_ask(void *answer)
{
	struct asked *k = answer;

	for (int i = 0; i < LANES; i++) {
		struct lane *l = &k->lanes[i];
		if (l->sent)
			postgres_disconnect(l->s);
		course_free(&l->course);
		slice_free(&l->next);
	}
	postgres_close(k->lanes[1].s);
	slice_free(&k->shown);
	pq_free(&k->texts);
	free(k);
}

int
postgres_end(void *impl, struct cursor *c, struct error *e)
{
	static const char sql[] = "SELECT number, last - first, (SELECT id FROM monitor.store)"
	    " FROM monitor.batch ORDER BY number DESC LIMIT 1";
	struct postgres *s = impl;
	struct pq_rows *rows;
	int rc = 0;

	if (postgres_query(s, sql, NULL, &rows, e) == -1)
		return -1;
	if (pq_count(rows) == 0 || pq_get_int(rows, 0, 2) != s->id)
		rc = error_set(e, ERROR_GONE, "%s: the store was replaced", s->where);
	else
		*c = (struct cursor){ 0, place_of(pq_get_int(rows, 0, 0), pq_get_int(rows, 0, 1)), (uint64_t)s->id };
	pq_free(&rows);
	return rc;
}
