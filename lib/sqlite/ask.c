/*
 * Walking through the rows that match: by time, as merge.h gives their keys; by
 * arrival, as they lie, both kinds merged. A row is read when its turn comes.
 *
 * Rows are read in slices: a transaction of bounded work that fills a batch of
 * records, ended before the first of them is handed out. An answer that turns
 * out to be long reads its next slice on a thread of its own while the caller
 * is busy with this one.
 */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "match.h"
#include "sqlite/merge.h"

enum {
	SLICE_FIRST = 32,          /* records in the first slice: the first row at once */
	SLICE_ROWS = 4096,         /* and at most */
	SLICE_BYTES = 1 << 20,     /* of text */
	ROW_WORK = 16,             /* rows read, matching or not, for each that it could hold */
	LONG_TEXT = 1024,          /* bytes that are as much work as a row */
	STEP_OVER = 4,             /* rows cheaper to step over than to seek */
	SLICES_ALONE = 6,          /* an answer of more slices than this reads ahead */
};

/* A record of a slice; its strings are offsets into the slice's text until
 * the slice is whole. */
struct row {
	struct record record;
	struct cursor at;
};

struct slice {
	struct row *rows;
	size_t count, cap;
	struct buf text;           /* of its records */
};

/* The reading of one kind's rows: where its statement stands. */
struct rows {
	struct stmt *st;           /* NULL: not running */
	int64_t arrival;           /* of the row it stands on */
	bool ended;                /* in this slice there is nothing further on */
};

struct walk {
	struct sqlite *s;
	const struct query *q;
	struct filter f;
	struct merge m;            /* holds `upto`, and how far we have come, for both orders */
	bool planned, finished;
	bool moved;                /* `m.resume` is further on than where we were asked to begin */
	struct rows rows[RECORD_KINDS];
	uint64_t taken;            /* records in whole slices so far, */
	uint64_t work;             /* and rows looked at for them */
	struct slice *slice;       /* the one being filled */

	struct slice slices[2];
	struct slice *shown;       /* the one being handed out, */
	size_t shown_at;           /* and how far */
	bool ended;                /* it is the last */
	struct cursor at;          /* of the record that was handed out last */

	size_t slice_count;        /* slices read */
	struct ahead *ahead;       /* NULL: not reading ahead */
};

/* The thread that reads ahead. Whoever's turn it is has the walk to itself, but
 * for `shown`, which is always the caller's. */
struct ahead {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t turned;
	enum { THREAD, CALLER, STOP } turn;
	int rc;                    /* of the slice that was read */
	struct error error;
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

static int
fill_by_arrival(struct walk *w, struct error *e)
{
	int64_t sign = w->m.back ? -1 : 1;
	int64_t from = w->m.resumed ? sign * w->m.resume.arrival + sign : sign < 0 ? w->m.upto : 0;

	while (!slice_full(w)) {
		int next = -1, rc;
		for (int k = 0; k < RECORD_KINDS; k++) {
			if ((w->f.kinds & RECORD_KIND_BIT(k)) == 0)
				continue;
			if (w->rows[k].ended)
				continue;
			if ((rc = w->rows[k].st != NULL && sign * (w->rows[k].arrival - from) >= 0 ? 1 :
			    seek(w, k, from, e)) == -1)
				return -1;
			w->rows[k].ended = rc == 0;
			if (rc == 1 && (next == -1 ||
			    sign * (w->rows[k].arrival - w->rows[next].arrival) < 0))
				next = k;
		}
		if (next == -1 || w->rows[next].arrival > w->m.upto) {
			w->finished = true;
			return 0;
		}
		from = w->rows[next].arrival + sign;
		if (take_row(w, next, e) == -1)
			return -1;
		w->m.resume = (struct key){ .arrival = sign * (from - sign) };
		w->m.resumed = w->moved = true;
	}
	return 0;
}

/* ---- slices --------------------------------------------------------------- */

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
	if (!w->finished && w->q->order == QUERY_BY_TIME && merge_plan(&w->m, e) == -1)
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

/* Fill w->slice, in one transaction. */
static int
read_slice(struct walk *w, struct error *e)
{
	struct key resume = w->m.resume;
	bool resumed = w->m.resumed, moved = w->moved;
	int rc;

	w->m.work = 0;
	if (empty_slice(w->slice, w->slice_count++, e) == -1 || sqlite_begin(w->s, e) == -1)
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
		w->slice->count = 0;
		w->m.resume = resume;
		w->m.resumed = resumed;
		w->moved = moved;
		w->planned = w->finished = false;
		return 0;
	}
	w->taken += w->slice->count;
	w->work += w->m.work;
	w->finished = w->finished || w->taken >= w->q->limit;
	settle_strings(w->slice);
	return rc;
}

static void *
read_ahead(void *arg)
{
	struct walk *w = arg;
	struct ahead *a = w->ahead;

	pthread_mutex_lock(&a->lock);
	while (a->turn != STOP) {
		if (a->turn == THREAD) {
			pthread_mutex_unlock(&a->lock);
			a->rc = read_slice(w, &a->error);
			pthread_mutex_lock(&a->lock);
			if (a->turn == THREAD)
				a->turn = CALLER;
			pthread_cond_broadcast(&a->turned);
		} else {
			pthread_cond_wait(&a->turned, &a->lock);
		}
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* It is only faster: where no thread is to be had, the walk goes on alone. */
static void
start_ahead(struct walk *w)
{
	struct ahead *a = calloc(1, sizeof(*a));
	sigset_t others, before;
	int rc;

	if (a == NULL)
		return;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->turned, NULL);
	a->turn = CALLER;
	w->ahead = a;
	/* Signals are the program's, but for what its own reading causes. */
	sigfillset(&others);
	sigdelset(&others, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &others, &before);
	rc = pthread_create(&a->thread, NULL, read_ahead, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		w->ahead = NULL;
		pthread_cond_destroy(&a->turned);
		pthread_mutex_destroy(&a->lock);
		free(a);
	}
}

static void
stop_ahead(struct walk *w)
{
	struct ahead *a = w->ahead;

	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	a->turn = STOP;
	pthread_cond_broadcast(&a->turned);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->turned);
	pthread_mutex_destroy(&a->lock);
	free(a);
	w->ahead = NULL;
}

/* Give the walk to the thread; or take it back, with what it has read. */
static void
turn_to_thread(struct ahead *a)
{
	pthread_mutex_lock(&a->lock);
	a->turn = THREAD;
	pthread_cond_broadcast(&a->turned);
	pthread_mutex_unlock(&a->lock);
}

static int
turn_to_caller(struct ahead *a, struct error *e)
{
	pthread_mutex_lock(&a->lock);
	while (a->turn == THREAD)
		pthread_cond_wait(&a->turned, &a->lock);
	pthread_mutex_unlock(&a->lock);
	if (a->rc == -1)
		*e = a->error;
	return a->rc;
}

static struct slice *
other(struct walk *w, const struct slice *sl)
{
	return sl == &w->slices[0] ? &w->slices[1] : &w->slices[0];
}

/* The next slice is the one that is shown. */
static int
show_next(struct walk *w, struct error *e)
{
	if (w->ahead == NULL) {
		if (read_slice(w, e) == -1)
			return -1;
		if (w->slice_count > SLICES_ALONE && !w->finished && w->q->work == SIZE_MAX)
			start_ahead(w);
	} else if (turn_to_caller(w->ahead, e) == -1) {
		return -1;
	}
	w->shown = w->slice;
	w->shown_at = 0;
	w->ended = w->planned && w->finished;
	if (w->ahead != NULL && !w->ended) {
		w->slice = other(w, w->shown);
		turn_to_thread(w->ahead);
	}
	return 0;
}

void *
sqlite_ask(void *impl, const struct query *q, struct error *e)
{
	struct sqlite *s = impl;
	struct walk *w;

	if (q->after != NULL && q->after->store != 0 && q->after->store != (uint64_t)s->id) {
		error_set(e, ERROR_INVALID, "%s: the cursor is of another store", s->path);
		return NULL;
	}
	if ((w = calloc(1, sizeof(*w))) == NULL) {
		error_memory(e);
		return NULL;
	}
	w->s = s;
	w->q = q;
	w->slice = &w->slices[0];
	w->m = (struct merge){ .s = s, .f = &w->f, .back = q->reverse, .upto = -1,
	    .wanted = q->match == NULL ? q->limit : SIZE_MAX };
	w->at = (struct cursor){ -INFINITY, 0, (uint64_t)s->id };
	if (q->after != NULL && q->after->store != 0) {
		w->at = *q->after;
		w->m.resume = merge_key(&w->m, &(struct entry){ w->at.arrival,
		    q->order == QUERY_BY_TIME ? w->at.time : 0, 0, 0, 0 });
		w->m.resumed = true;
	}
	return w;
}

/* Is it enough for now? (Who pauses does not read ahead, so that we may look.) */
static bool
enough(const struct walk *w)
{
	return w->q->work != SIZE_MAX && w->work >= w->q->work && w->moved;
}

/* Our position is behind all that was looked at. */
static int
pause_walk(struct walk *w)
{
	struct entry en = merge_entry(&w->m, &w->m.resume);

	w->at = (struct cursor){ en.time, en.arrival, (uint64_t)w->s->id };
	return 2;
}

int
sqlite_next(void *answer, struct record *r, struct error *e)
{
	struct walk *w = answer;

	while (w->shown == NULL || w->shown_at == w->shown->count) {
		if (w->ended)
			return 0;
		if (enough(w))
			return pause_walk(w);
		if (w->q->limit == 0)
			w->ended = true;
		else if (show_next(w, e) == -1)
			return -1;
	}
	*r = w->shown->rows[w->shown_at].record;
	w->at = w->shown->rows[w->shown_at].at;
	w->shown_at++;
	return 1;
}

void
sqlite_position(const void *answer, struct cursor *c)
{
	*c = ((const struct walk *)answer)->at;
}

void
sqlite_end_ask(void *answer)
{
	struct walk *w = answer;

	stop_ahead(w);
	merge_free(&w->m);
	filter_free(&w->f);
	for (int i = 0; i < 2; i++) {
		free(w->slices[i].rows);
		buf_free(&w->slices[i].text);
	}
	free(w);
}
