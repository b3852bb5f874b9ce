#include "sqlite/walk.h"

#include <stdlib.h>

#include "match.h"

enum {
	SLICE_FIRST = 32,          /* records in the first slice: the first row at once */
	SLICE_ROWS = 4096,         /* and at most */
	SLICE_BYTES = 1 << 20,     /* of text */
	ROW_WORK = 16,             /* rows read, matching or not, for each that it could hold */
	LONG_TEXT = 1024,          /* bytes that are as much work as a row */
	STEP_OVER = 4,             /* rows cheaper to step over than to seek */
};

/* ---- rows ----------------------------------------------------------------- */

/* The row of this kind at, or next behind, `arrival` in the walk's direction: 1,
 * or 0 if there is none, with rows[kind] standing on it. Rows that lie close
 * together are stepped to. */
static int
seek(struct walk *w, enum record_kind kind, int64_t arrival, struct error *e)
{
	struct rows *r = &w->rows[kind];
	int64_t sign = w->m.back ? -1 : 1;
	enum sql id = w->q->order == QUERY_BY_TIME ?
	    w->m.back ? SQL_TEXTS_BACK_LOG : SQL_TEXTS_LOG :
	    w->m.back ? SQL_ROWS_BACK_LOG : SQL_ROWS_LOG;
	int rc = 1;

	if (r->st != NULL && (sign * (arrival - r->arrival) < 0 ||
	    sign * (arrival - r->arrival) > STEP_OVER))
		r->st = NULL;
	if (r->st == NULL) {
		if ((r->st = sqlite_sql(w->s, SQL_OF(id, kind), e)) == NULL)
			return -1;
		stmt_bind_int(r->st, 1, arrival);
		if ((rc = stmt_step(r->st, e)) == 1)
			r->arrival = stmt_int(r->st, 0);
		w->m.work++;
	}
	while (rc == 1 && sign * (arrival - r->arrival) > 0) {
		if ((rc = stmt_step(r->st, e)) == 1)
			r->arrival = stmt_int(r->st, 0);
		w->m.work++;
	}
	if (rc != 1)
		r->st = NULL;
	return rc;
}

static int
keep(struct walk *w, struct str *to, struct str from, struct error *e)
{
	*to = (struct str){ (const char *)(uintptr_t)w->slice->text.len, from.len };
	return buf_add_str(&w->slice->text, from) == -1 ? error_memory(e) : 0;
}

/* A row becomes the slice's next record, if its message matches. */
static int
take(struct walk *w, enum record_kind kind, const struct entry *en, struct str message,
    struct str extra, struct error *e)
{
	struct row *row = &w->slice->rows[w->slice->count];
	struct record *r = &row->record;
	struct str watchdog, sender;

	w->m.work += message.len / LONG_TEXT;
	if (w->f.match != NULL && !match_test(w->f.match, message))
		return 0;
	r->kind = kind;
	r->time = en->time;
	r->level = en->level;
	row->at = (struct cursor){ en->time, en->arrival, (uint64_t)w->s->id };
	if (names_get(w->s->watchdogs, w->s, en->watchdog, &watchdog, e) == -1 ||
	    keep(w, &r->watchdog, watchdog, e) == -1 ||
	    names_get(w->s->senders, w->s, en->sender, &sender, e) == -1 ||
	    keep(w, &r->sender, sender, e) == -1 || keep(w, &r->message, message, e) == -1 ||
	    keep(w, &r->extra, extra, e) == -1)
		return -1;
	w->slice->count++;
	return 0;
}

static bool
slice_full(const struct walk *w)
{
	return w->slice->count == w->slice->cap || w->slice->text.len >= SLICE_BYTES ||
	    w->m.work >= w->slice->cap * ROW_WORK || w->taken + w->slice->count >= w->q->limit;
}

/* By time: the index has the numbers, the row has the text. */
static int
fill_by_time(struct walk *w, struct error *e)
{
	enum record_kind kind;
	struct entry en;
	struct key k;
	int rc = 1;

	while (!slice_full(w) && (rc = merge_peek(&w->m, &k, &kind, e)) == 1) {
		const struct rows *at = &w->rows[kind];
		en = merge_entry(&w->m, &k);
		/* A row that is not there any more has been purged since. */
		if ((rc = seek(w, kind, en.arrival, e)) == -1 ||
		    (rc == 1 && at->arrival == en.arrival && take(w, kind, &en,
		    stmt_text(at->st, 1), stmt_text(at->st, 2), e) == -1) ||
		    merge_advance(&w->m, e) == -1)
			return -1;
		w->m.resume = k;
		w->m.resumed = w->moved = true;
	}
	w->finished = rc == 0;
	return rc == -1 ? -1 : 0;
}

/* By arrival: all of it from the row. */
static int
take_row(struct walk *w, enum record_kind kind, struct error *e)
{
	struct stmt *st = w->rows[kind].st;
	struct entry en = {
		.arrival = w->rows[kind].arrival,
		.watchdog = (uint32_t)stmt_int(st, 1),
		.time = stmt_double(st, 2),
		.level = stmt_int(st, 3),
		.sender = (uint32_t)stmt_int(st, 4),
	};

	return filter_entry(&w->f, &en) ?
	    take(w, kind, &en, stmt_text(st, 5), stmt_text(st, 6), e) : 0;
}

/* Where the rows of a kind go on, at or behind `from`: 1, or 0 if nowhere. */
static int
go_on(struct walk *w, enum record_kind kind, int64_t from, struct error *e)
{
	struct rows *r = &w->rows[kind];
	int64_t sign = w->m.back ? -1 : 1;
	int rc = TRAIL_ROW;

	if (r->ended || ((r->st != NULL || r->blank) && sign * (r->arrival - from) >= 0))
		return !r->ended;
	if (w->trailed) {
		rc = trail_next(&w->trails[kind], from, &from, e);
		w->m.work += w->trails[kind].work;
		w->trails[kind].work = 0;
	}
	r->blank = rc == TRAIL_LOOK;
	if (rc == TRAIL_ROW) {
		rc = seek(w, kind, from, e);
	} else if (r->st != NULL) {
		stmt_reset(r->st);
		r->st = NULL;
	}
	if (r->blank)
		r->arrival = from;
	r->ended = rc == 0;
	return rc > 0 ? 1 : rc;
}

static int
fill_by_arrival(struct walk *w, struct error *e)
{
	int64_t sign = w->m.back ? -1 : 1;
	int64_t from = w->m.resumed ? sign * w->m.resume.arrival + sign : sign < 0 ? w->m.upto : 0;

	while (!slice_full(w)) {
		struct rows *next = NULL;
		for (int k = 0; k < RECORD_KINDS; k++) {
			struct rows *r = &w->rows[k];
			int rc = (w->f.kinds & RECORD_KIND_BIT(k)) != 0 ? go_on(w, k, from, e) : 0;
			if (rc == -1)
				return -1;
			if (rc == 1 && (next == NULL || sign * (r->arrival - next->arrival) < 0))
				next = r;
		}
		if (next == NULL || next->arrival > w->m.upto) {
			w->finished = true;
			return 0;
		}
		from = next->blank ? next->arrival : next->arrival + sign;
		if (!next->blank && take_row(w, (enum record_kind)(next - w->rows), e) == -1)
			return -1;
		next->blank = false;
		w->m.resume = (struct key){ .arrival = sign * (from - sign) };
		w->m.resumed = w->moved = true;
	}
	return 0;
}

/* ---- slices --------------------------------------------------------------- */

static int
plan_trails(struct walk *w, struct error *e)
{
	w->trailed = filter_few(&w->f);
	for (int k = 0; k < RECORD_KINDS && w->trailed; k++)
		if (trail_plan(&w->trails[k], w->s, &w->f, k, w->m.upto, e) == -1)
			return -1;
	return 0;
}

/* At the beginning of the first slice (and again, if it could not be trusted):
 * what is asked, in numbers, and of what there is now. */
static int
plan(struct walk *w, struct error *e)
{
	struct head h;

	filter_free(&w->f);
	if (sqlite_head(w->s, &h, e) == -1 || filter_init(&w->f, w->s, w->q, e) == -1)
		return -1;
	if (w->m.upto == -1)
		w->m.upto = h.arrival < w->q->upto ? h.arrival : w->q->upto;
	w->finished = w->f.nothing;
	if (!w->finished && (w->q->order == QUERY_BY_TIME ? merge_plan(&w->m, e) :
	    plan_trails(w, e)) == -1)
		return -1;
	w->planned = true;
	return 0;
}

/* Slices grow: the first is small, so that the first row is there at once. */
static int
empty_slice(struct slice *sl, size_t number, struct error *e)
{
	size_t cap = number > 3 ? SLICE_ROWS : (size_t)SLICE_FIRST << 2 * number;
	struct row *rows;

	sl->count = 0;
	sl->text.len = 0;
	if (cap <= sl->cap)
		return 0;
	if ((rows = realloc(sl->rows, cap * sizeof(*rows))) == NULL)
		return error_memory(e);
	sl->rows = rows;
	sl->cap = cap;
	return 0;
}

/* While a slice is filled, its records' strings are offsets into its text. */
static void
settle_strings(struct slice *sl)
{
	for (size_t i = 0; i < sl->count; i++) {
		struct record *r = &sl->rows[i].record;
		struct str *strings[] = { &r->watchdog, &r->sender, &r->message, &r->extra };
		for (size_t j = 0; j < 4; j++)
			strings[j]->data = sl->text.data + (uintptr_t)strings[j]->data;
	}
}

int
walk_read(struct walk *w, struct slice *sl, struct error *e)
{
	struct key resume = w->m.resume;
	bool resumed = w->m.resumed, moved = w->moved;
	int rc;

	w->slice = sl;
	w->m.work = 0;
	if (empty_slice(sl, w->slices++, e) == -1 || sqlite_begin(w->s, e) == -1)
		return -1;
	rc = w->planned ? 0 : plan(w, e);
	if (rc == 0 && !w->finished)
		rc = w->q->order == QUERY_BY_TIME ? fill_by_time(w, e) : fill_by_arrival(w, e);
	for (int k = 0; k < RECORD_KINDS; k++) {
		if (w->rows[k].st != NULL)
			stmt_reset(w->rows[k].st);
		w->rows[k] = (struct rows){ 0 };
	}
	if (rc == -1) {
		sqlite_abort(w->s);
		return -1;
	}
	if ((rc = sqlite_end(w->s, e)) == 1) {   /* not to be trusted: again, from its beginning */
		sl->count = 0;
		w->m.resume = resume;
		w->m.resumed = resumed;
		w->moved = moved;
		w->planned = w->finished = false;
		return 0;
	}
	w->taken += sl->count;
	w->work += w->m.work;
	w->finished = w->finished || w->taken >= w->q->limit;
	settle_strings(sl);
	return rc;
}

/* ---- to begin and end ------------------------------------------------------- */

void
walk_begin(struct walk *w, struct sqlite *s, const struct query *q)
{
	const struct cursor *after = q->after != NULL && q->after->store != 0 ? q->after : NULL;

	*w = (struct walk){ .s = s, .q = q };
	w->m = (struct merge){ .s = s, .f = &w->f, .back = q->reverse, .upto = -1,
	    .wanted = q->match == NULL ? q->limit : SIZE_MAX };
	if (after != NULL) {
		w->m.resume = merge_key(&w->m, &(struct entry){ after->arrival,
		    q->order == QUERY_BY_TIME ? after->time : 0, 0, 0, 0 });
		w->m.resumed = true;
	}
}

void
walk_position(const struct walk *w, struct cursor *c)
{
	struct entry en = merge_entry(&w->m, &w->m.resume);

	*c = (struct cursor){ en.time, en.arrival, (uint64_t)w->s->id };
}

void
walk_free(struct walk *w)
{
	merge_free(&w->m);
	filter_free(&w->f);
	for (int k = 0; k < RECORD_KINDS; k++)
		trail_free(&w->trails[k]);
}

void
slice_free(struct slice *sl)
{
	free(sl->rows);
	buf_free(&sl->text);
}
