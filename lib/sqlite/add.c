/*
 * Taking batches. A batch is one transaction: the rows appended to their
 * kinds' tables, the marks of its sources, and the index of every block that
 * the batch fills up. What belongs to blocks that are not full yet is kept in
 * memory (the tails), and read again from the rows when another writer or a
 * purge has been at the store since.
 */
#include <math.h>
#include <stdlib.h>

#include "marks.h"
#include "sqlite/sqlite.h"
#include "when.h"

/* The unsealed rows of one kind, in arrival order. */
struct tail {
	struct entry *entries;   /* BLOCK_ROWS */
	size_t n;
	int64_t bytes;           /* of text */
};

struct writer {
	struct tail tails[RECORD_KINDS];
	struct head head;        /* as of our last commit */
	uint32_t version;        /* db_version() after it */
	bool known;              /* head and tails were what the store holds, then */
	double moment;           /* the last row of `moment` */
	struct ids *watchdogs, *senders;
	struct marks marks;      /* emptied for each batch */
	struct buf source;       /* of a batch that had only this one, the last, */
	int64_t seq;             /* and its mark; -1: there is none */
	struct buf index, entries;   /* scratch for sqlite_seal() */
};

void
sqlite_writer_free(struct writer **wp)
{
	struct writer *w = *wp;

	if (w == NULL)
		return;
	for (int k = 0; k < RECORD_KINDS; k++)
		free(w->tails[k].entries);
	ids_free(&w->watchdogs);
	ids_free(&w->senders);
	marks_free(&w->marks);
	buf_free(&w->source);
	buf_free(&w->index);
	buf_free(&w->entries);
	free(w);
	*wp = NULL;
}

static struct writer *
writer_new(struct error *e)
{
	struct writer *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		error_memory(e);
		return NULL;
	}
	w->seq = -1;
	for (int k = 0; k < RECORD_KINDS; k++)
		w->tails[k].entries = calloc(BLOCK_ROWS, sizeof(struct entry));
	if (w->tails[RECORD_LOG].entries == NULL || w->tails[RECORD_NOTIFICATION].entries == NULL) {
		error_memory(e);
		sqlite_writer_free(&w);
	} else if ((w->watchdogs = ids_new(SQL_WATCHDOG_ID, SQL_ADD_WATCHDOG, e)) == NULL ||
	    (w->senders = ids_new(SQL_SENDER_ID, SQL_ADD_SENDER, e)) == NULL) {
		sqlite_writer_free(&w);
	}
	return w;
}

/* ---- blocks -------------------------------------------------------------- */

static int
add_strays(struct sqlite *s, enum record_kind kind, const struct entry *en, size_t n,
    struct error *e)
{
	for (size_t i = 0; i < n; i++) {
		struct stmt *st = sqlite_sql(s, SQL_ADD_STRAY, e);
		if (st == NULL)
			return -1;
		stmt_bind_int(st, 1, kind);
		stmt_bind_double(st, 2, en[i].time);
		stmt_bind_int(st, 3, en[i].arrival);
		stmt_bind_int(st, 4, en[i].watchdog);
		stmt_bind_int(st, 5, en[i].level);
		stmt_bind_int(st, 6, en[i].sender);
		if (stmt_run(st, e) == -1)
			return -1;
	}
	return 0;
}

int
sqlite_seal(struct sqlite *s, enum record_kind kind, struct entry *entries, size_t n,
    int64_t first, int64_t last, int64_t bytes, struct error *e)
{
	struct buf watchdogs = { 0 }, blob = { 0 };
	double tmin = 0, tmax = 0;
	int64_t kept = block_split(entries, n);
	struct stmt *st;
	int rc = -1;

	if (kept == -1 || (kept > 0 &&
	    block_encode(entries, (size_t)kept, first, &watchdogs, &blob) == -1)) {
		error_memory(e);
		goto out;
	}
	if (kept > 0)
		block_range(entries, (size_t)kept, &tmin, &tmax);
	if (add_strays(s, kind, entries + kept, n - (size_t)kept, e) == -1 ||
	    (st = sqlite_sql(s, SQL_ADD_BLOCK, e)) == NULL)
		goto out;
	stmt_bind_int(st, 1, first);
	stmt_bind_int(st, 2, last);
	stmt_bind_int(st, 3, kind);
	stmt_bind_int(st, 4, kept);
	stmt_bind_int(st, 5, (int64_t)n - kept);
	stmt_bind_double(st, 6, tmin);
	stmt_bind_double(st, 7, tmax);
	stmt_bind_int(st, 8, bytes);
	if (stmt_run(st, e) == -1 || (st = sqlite_sql(s, SQL_ADD_BLOCK_INDEX, e)) == NULL)
		goto out;
	stmt_bind_int(st, 1, first);
	stmt_bind_blob(st, 2, (struct str){ watchdogs.data, watchdogs.len });
	stmt_bind_blob(st, 3, (struct str){ blob.data, blob.len });
	rc = stmt_run(st, e);
out:
	buf_free(&watchdogs);
	buf_free(&blob);
	return rc;
}

/* The tail becomes a block. */
static int
seal_tail(struct sqlite *s, enum record_kind kind, struct error *e)
{
	struct tail *t = &s->writer->tails[kind];
	int64_t first = t->entries[0].arrival, last = t->entries[t->n - 1].arrival;

	if (sqlite_seal(s, kind, t->entries, t->n, first, last, t->bytes, e) == -1)
		return -1;
	t->n = 0;
	t->bytes = 0;
	return 0;
}

/* One more row behind the tail, which is sealed first if that would be too far
 * from its first, and after if it is full. */
static int
append_entry(struct sqlite *s, enum record_kind kind, const struct entry *en, size_t text,
    struct error *e)
{
	struct tail *t = &s->writer->tails[kind];

	if (t->n > 0 && en->arrival - t->entries[0].arrival > BLOCK_SPAN &&
	    seal_tail(s, kind, e) == -1)
		return -1;
	t->entries[t->n++] = *en;
	t->bytes += (int64_t)text;
	if (t->n == BLOCK_ROWS || t->bytes >= BLOCK_BYTES)
		return seal_tail(s, kind, e);
	return 0;
}

static int
load_tail(struct sqlite *s, enum record_kind kind, struct error *e)
{
	struct tail *t = &s->writer->tails[kind];
	struct stmt *st;
	int64_t sealed;
	int rc;

	t->n = 0;
	t->bytes = 0;
	if (sqlite_sealed(s, kind, &sealed, e) == -1 ||
	    (st = sqlite_sql(s, SQL_OF(SQL_TAIL_LOG, kind), e)) == NULL)
		return -1;
	stmt_bind_int(st, 1, sealed);
	while ((rc = stmt_step(st, e)) == 1) {
		struct entry en = sqlite_entry(st);
		if (append_entry(s, kind, &en, (size_t)stmt_int(st, 5), e) == -1) {
			stmt_reset(st);
			return -1;
		}
	}
	stmt_reset(st);
	return rc;
}

/* Inside the transaction: is what we remember still what the store holds? It is where nobody
 * has committed since. */
static int
catch_up(struct sqlite *s, struct error *e)
{
	struct writer *w = s->writer;
	struct head h;
	struct stmt *st;
	int rc;

	if (w->known && db_version(s->db) == w->version)
		return 0;
	w->seq = -1;
	if (sqlite_head(s, &h, e) == -1)
		return -1;
	if (w->known && h.arrival == w->head.arrival && h.epoch == w->head.epoch)
		return 0;
	if (!w->known || h.epoch != w->head.epoch) {
		ids_forget(w->watchdogs);
		ids_forget(w->senders);
	}
	if (load_tail(s, RECORD_LOG, e) == -1 || load_tail(s, RECORD_NOTIFICATION, e) == -1 ||
	    (st = sqlite_sql(s, SQL_LAST_MOMENT, e)) == NULL || (rc = stmt_step(st, e)) == -1)
		return -1;
	w->moment = rc == 1 ? stmt_double(st, 1) : -INFINITY;
	stmt_reset(st);
	w->head = h;
	w->known = true;
	return 0;
}

/* ---- marks --------------------------------------------------------------- */

/* How far this source is settled: from this batch, or from the store. */
static int
find_mark(struct sqlite *s, struct str source, struct mark **out, struct error *e)
{
	struct mark *m = *out = marks_get(&s->writer->marks, source);
	struct stmt *st;
	int rc;

	if (m == NULL)
		return error_memory(e);
	if (m->known)
		return 0;
	if (s->writer->seq != -1 &&
	    str_equal(source, (struct str){ s->writer->source.data, s->writer->source.len })) {
		m->seq = s->writer->seq;
		m->known = true;
		return 0;
	}
	if ((st = sqlite_sql(s, SQL_MARK, e)) == NULL)
		return -1;
	stmt_bind_text(st, 1, source);
	if ((rc = stmt_step(st, e)) == -1)
		return -1;
	if (rc == 1)
		m->seq = stmt_int(st, 0);
	m->known = true;
	stmt_reset(st);
	return 0;
}

static int
write_marks(struct sqlite *s, double now, struct error *e)
{
	struct writer *w = s->writer;
	struct stmt *st;

	for (size_t i = 0; i < w->marks.count; i++) {
		const struct mark *m = &w->marks.list[i];
		if (!m->moved)
			continue;
		if ((st = sqlite_sql(s, SQL_SET_MARK, e)) == NULL)
			return -1;
		stmt_bind_text(st, 1, m->source);
		stmt_bind_int(st, 2, m->seq);
		stmt_bind_double(st, 3, now);
		if (stmt_run(st, e) == -1)
			return -1;
	}
	return 0;
}

/* After a commit. Most often the next batch is of the same source: where it is settled need not be
 * asked then. (Without memory it is.) */
static void
keep_mark(struct writer *w)
{
	const struct mark *m = w->marks.list;

	w->seq = -1;
	w->source.len = 0;
	if (w->marks.count == 1 && buf_add_str(&w->source, m->source) == 0)
		w->seq = m->seq;
	marks_clear(&w->marks);
}

/* ---- batches ------------------------------------------------------------- */

static int
add_row(struct sqlite *s, const struct record *r, int64_t arrival, struct error *e)
{
	struct writer *w = s->writer;
	struct entry en = { .arrival = arrival, .time = r->time, .level = r->level };
	struct stmt *st;

	if (ids_get(w->watchdogs, s, r->watchdog, &en.watchdog, e) == -1 ||
	    ids_get(w->senders, s, r->sender, &en.sender, e) == -1 ||
	    (st = sqlite_sql(s, SQL_OF(SQL_ADD_LOG, r->kind), e)) == NULL)
		return -1;
	stmt_bind_int(st, 1, arrival);
	stmt_bind_int(st, 2, en.watchdog);
	stmt_bind_double(st, 3, r->time);
	stmt_bind_int(st, 4, r->level);
	stmt_bind_int(st, 5, en.sender);
	stmt_bind_text(st, 6, r->message);
	if (r->extra.len > 0)
		stmt_bind_text(st, 7, r->extra);
	else
		stmt_bind_null(st, 7);
	if (stmt_step(st, e) == -1)
		return -1;
	return append_entry(s, r->kind, &en, r->message.len + r->extra.len, e);
}

/* When the first record of this second arrived, so that a purge can tell how
 * long any record has been here. A clock set back does not set this back. And the
 * last number is written down, for a salvage to know how many there were. */
static int
note_moment(struct sqlite *s, int64_t arrival, double now, struct error *e)
{
	struct writer *w = s->writer;
	struct stmt *st;

	if (now < w->moment + 1)
		return 0;
	if ((st = sqlite_sql(s, SQL_ADD_MOMENT, e)) == NULL)
		return -1;
	stmt_bind_int(st, 1, arrival);
	stmt_bind_double(st, 2, now);
	if (stmt_run(st, e) == -1)
		return -1;
	w->moment = now;
	return sqlite_keep_last(s, e);
}

static int
add_batch(struct sqlite *s, const struct store_offer *offers, size_t n,
    struct store_added *added, struct error *e)
{
	int64_t arrival = s->writer->head.arrival;
	double now = when_now();
	struct mark *m;

	for (size_t i = 0; i < n; i++) {
		const struct store_offer *o = &offers[i];
		if (o->source.data != NULL) {
			if (find_mark(s, o->source, &m, e) == -1)
				return -1;
			if (!mark_move(m, o->seq)) {
				added->duplicates += !o->refused;
				continue;
			}
		}
		if (o->refused)
			continue;
		if (add_row(s, &o->record, ++arrival, e) == -1)
			return -1;
		added->stored++;
	}
	if (added->stored > 0 &&
	    note_moment(s, arrival - (int64_t)added->stored + 1, now, e) == -1)
		return -1;
	s->writer->head.arrival = arrival;
	return write_marks(s, now, e);
}

int
sqlite_add(void *impl, const struct store_offer *offers, size_t n, struct store_added *added,
    struct error *e)
{
	struct sqlite *s = impl;

	*added = (struct store_added){ 0 };
	if (s->writer == NULL && (s->writer = writer_new(e)) == NULL)
		return -1;
	if (sqlite_begin_write(s, e) == -1)
		return -1;
	if (catch_up(s, e) == 0 && add_batch(s, offers, n, added, e) == 0 &&
	    sqlite_commit(s, e) == 0) {
		keep_mark(s->writer);
		s->writer->version = db_version(s->db);
		return 0;
	}
	sqlite_abort(s);
	marks_clear(&s->writer->marks);
	s->writer->known = false;
	*added = (struct store_added){ 0 };
	return -1;
}
