/*
 * Forgetting. First what is older than its window, by time or by arrival; then
 * the oldest logs, until the bounds on size hold; then what nothing refers to
 * any more: marks, moments, names. Last, free pages go back to the filesystem.
 */
#include <math.h>
#include <stdlib.h>

#include "sqlite/purge.h"

enum {
	TAIL_STEP = 256,       /* rows of a tail that go at a time, for size */
	MARKS_STEP = 10000,
	MOMENTS_STEP = 1000,
	TRIES = 3,             /* on a full disk */
	WAL_PAGES = 512,       /* 2 MB: the more is synced at once, the longer others' syncs take */
};

/* ---- transactions -------------------------------------------------------- */

int
purging_read(struct purging *pg, purging_work *work, void *arg, struct error *e)
{
	int rc;

	do {
		if (sqlite_begin(pg->s, e) == -1)
			return -1;
		if (work(pg, arg, e) == -1) {
			sqlite_abort(pg->s);
			return -1;
		}
	} while ((rc = sqlite_end(pg->s, e)) == 1);
	return rc;
}

/* Move the WAL into the database between two transactions, so that no writer
 * has to do much of that while others wait. If somebody reads what is in it the
 * next try is a good deal later. */
static void
bound_wal(struct purging *pg)
{
	if (db_wal_pages(pg->s->db) >= pg->wal_limit)
		pg->wal_limit = shrink_wal(pg, DB_RESTART, NULL) == 1 ? WAL_PAGES :
		    db_wal_pages(pg->s->db) + WAL_PAGES;
}

static int
write_once(struct purging *pg, purging_work *work, void *arg, struct error *e)
{
	if (sqlite_begin_write(pg->s, e) == -1)
		return -1;
	if (shrink_begin(pg, e) == -1 || work(pg, arg, e) == -1 || shrink_freed(pg, e) == -1 ||
	    sqlite_commit(pg->s, e) == -1) {
		sqlite_abort(pg->s);
		return -1;
	}
	shrink_done(pg);
	bound_wal(pg);
	return 0;
}

int
purging_write(struct purging *pg, purging_work *work, void *arg, struct error *e)
{
	struct error why;

	for (int left = TRIES; write_once(pg, work, arg, &why) == -1; ) {
		if (why.kind != ERROR_FULL || --left == 0) {
			if (e != NULL)
				*e = why;
			return -1;
		}
		/* With the reserve gone the WAL can be moved, and has room again. */
		reserve_release(pg->s->path);
		shrink_wal(pg, DB_RESTART, NULL);
	}
	return 0;
}

/* ---- by age -------------------------------------------------------------- */

/* Arrivals in rising order. */
struct list {
	int64_t *v;
	size_t n, room;
};

struct looking {
	enum record_kind kind;
	struct list blocks;
};

static int
append(struct list *l, int64_t v)
{
	int64_t *more;

	if (l->n == l->room) {
		size_t room = l->room > 0 ? l->room * 2 : 256;
		if ((more = realloc(l->v, room * sizeof(*more))) == NULL)
			return -1;
		l->v = more;
		l->room = room;
	}
	l->v[l->n++] = v;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
sort_unique(struct list *l)
{
	size_t kept = 0;

	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), compare);
	for (size_t i = 0; i < l->n; i++)
		if (i == 0 || l->v[i] != l->v[i - 1])
			l->v[kept++] = l->v[i];
	l->n = kept;
}

/* The blocks that may have something old in them: for their own range, or for
 * an old stray. */
static int
find_blocks(struct purging *pg, void *arg, struct error *e)
{
	static const enum sql finds[] = { SQL_OLD_BLOCKS, SQL_OLD_STRAYS };
	struct looking *l = arg;
	const struct expiry *x = &pg->expired[l->kind];
	int rc;

	l->blocks.n = 0;
	for (size_t i = 0; i < 2; i++) {
		struct stmt *st = sqlite_sql(pg->s, finds[i], e);
		if (st == NULL)
			return -1;
		stmt_bind_int(st, 1, l->kind);
		stmt_bind_double(st, 2, x->time);
		if (i == 0)
			stmt_bind_int(st, 3, x->arrival);
		while ((rc = stmt_step(st, e)) == 1) {
			if (append(&l->blocks, stmt_int(st, 0)) == -1) {
				stmt_reset(st);
				return error_memory(e);
			}
		}
		if (rc == -1)
			return -1;
		stmt_reset(st);
	}
	sort_unique(&l->blocks);
	return 0;
}

/* The tail comes first: what of it is sealed meanwhile is among the blocks. */
static int
purge_by_age(struct purging *pg, enum record_kind kind, struct error *e)
{
	struct looking l = { .kind = kind };
	struct expiry *x = &pg->expired[kind];
	int rc = -1;

	if (expire_tail(pg, kind, x, SIZE_MAX, e) == -1)
		return -1;
	x->after = 0;
	if (purging_read(pg, find_blocks, &l, e) == -1)
		goto out;
	for (size_t i = 0; i < l.blocks.n && !purging_stopped(pg); i++)
		if (expire_block(pg, kind, l.blocks.v[i], x, e) == -1)
			goto out;
	rc = 0;
out:
	free(l.blocks.v);
	return rc;
}

/* ---- by size ------------------------------------------------------------- */

static int
next_block(struct purging *pg, int64_t *first, struct error *e)
{
	struct stmt *st = sqlite_sql(pg->s, SQL_NEXT_BLOCK, e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, RECORD_LOG);
	stmt_bind_int(st, 2, *first);
	if ((rc = stmt_step(st, e)) == 1)
		*first = stmt_int(st, 0);
	stmt_reset(st);
	return rc;
}

/* Are there as many free pages as are wanted? A dry run frees none, and goes by
 * what the rows take that it has counted. */
static int
enough(struct purging *pg, uint64_t wanted, struct error *e)
{
	uint64_t bytes;

	if (shrink_free_bytes(pg, &bytes, e) == -1)
		return -1;
	bytes += pg->given_back;
	if (pg->p->dry_run)
		for (int k = 0; k < RECORD_KINDS; k++)
			bytes += pg->out->bytes[k];
	return bytes >= wanted;
}

static int
purge_by_size(struct purging *pg, struct error *e)
{
	const struct expiry *aged = &pg->expired[RECORD_LOG];
	struct expiry x = { .time = -INFINITY, .arrival = INT64_MAX,
	    .counted = pg->p->dry_run && pg->p->window[RECORD_LOG] > 0 ? aged : NULL };
	uint64_t wanted, before;
	int64_t first = 0;
	int rc;

	if (shrink_wanted(pg, &wanted, e) == -1)
		return -1;
	while ((rc = enough(pg, wanted, e)) == 0 && !purging_stopped(pg)) {
		if ((rc = next_block(pg, &first, e)) == -1)
			return -1;
		before = pg->out->rows[RECORD_LOG];
		if ((rc == 1 ? expire_block(pg, RECORD_LOG, first, &x, e) :
		    expire_tail(pg, RECORD_LOG, &x, TAIL_STEP, e)) == -1)
			return -1;
		if (rc == 0 && pg->out->rows[RECORD_LOG] == before)
			break;
	}
	return rc == -1 ? -1 : 0;
}

/* ---- what nothing refers to any more --------------------------------------- */

struct marks {
	struct buf after, upto;   /* names: a step is what lies between */
	int64_t old, seen;
	double limit;
};

static int
count_marks(struct purging *pg, void *arg, struct error *e)
{
	struct marks *m = arg;
	struct stmt *st = sqlite_sql(pg->s, SQL_OLD_MARKS, e);
	int rc = 0;

	if (st == NULL)
		return -1;
	stmt_bind_text(st, 1, (struct str){ m->after.data, m->after.len });
	stmt_bind_double(st, 2, m->limit);
	stmt_bind_int(st, 3, MARKS_STEP);
	if (stmt_step(st, e) == -1)
		return -1;
	m->upto.len = 0;
	if (buf_add_str(&m->upto, stmt_text(st, 0)) == -1)
		rc = error_memory(e);
	m->old = stmt_int(st, 1);
	m->seen = stmt_int(st, 2);
	stmt_reset(st);
	return rc;
}

static int
drop_marks(struct purging *pg, void *arg, struct error *e)
{
	struct marks *m = arg;
	struct stmt *st = sqlite_sql(pg->s, SQL_DROP_MARKS, e);

	if (st == NULL)
		return -1;
	stmt_bind_text(st, 1, (struct str){ m->after.data, m->after.len });
	stmt_bind_double(st, 2, m->limit);
	stmt_bind_text(st, 3, (struct str){ m->upto.data, m->upto.len });
	if (stmt_run(st, e) == -1)
		return -1;
	m->old = db_changes(pg->s->db);
	return 0;
}

static int
purge_marks(struct purging *pg, struct error *e)
{
	struct marks m = { .limit = pg->p->now - pg->p->marks_window };
	struct buf swap;
	int rc = 0;

	do {
		if ((rc = purging_read(pg, count_marks, &m, e)) == -1)
			break;
		if (m.old > 0 && !pg->p->dry_run &&
		    (rc = purging_write(pg, drop_marks, &m, e)) == -1)
			break;
		pg->out->marks += (uint64_t)m.old;
		swap = m.after;
		m.after = m.upto;
		m.upto = swap;
	} while (m.seen == MARKS_STEP && !purging_stopped(pg));
	buf_free(&m.after);
	buf_free(&m.upto);
	return rc;
}

/* The moment at or before an arrival: 1, or 0 if there is none. */
static int
moment_at(struct purging *pg, int64_t *arrival, double *time, struct error *e)
{
	struct stmt *st = sqlite_sql(pg->s, SQL_MOMENT_AT, e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, *arrival);
	if ((rc = stmt_step(st, e)) == 1) {
		*arrival = stmt_int(st, 0);
		*time = stmt_double(st, 1);
	}
	stmt_reset(st);
	return rc;
}

struct moments {
	int64_t from, upto;
	int64_t seen;
};

static int
drop_moments(struct purging *pg, void *arg, struct error *e)
{
	struct moments *m = arg;
	struct stmt *st = sqlite_sql(pg->s, SQL_MOMENTS, e);
	int64_t last;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, m->from);
	stmt_bind_int(st, 2, m->upto);
	stmt_bind_int(st, 3, MOMENTS_STEP);
	if (stmt_step(st, e) == -1)
		return -1;
	m->seen = stmt_int(st, 0);
	last = stmt_int(st, 1);
	stmt_reset(st);
	if (m->seen < 2)
		return 0;
	if ((st = sqlite_sql(pg->s, SQL_DROP_MOMENTS, e)) == NULL)
		return -1;
	stmt_bind_int(st, 1, m->from);
	stmt_bind_int(st, 2, last);
	if (stmt_run(st, e) == -1)
		return -1;
	m->from = last;
	return 0;
}

/* Those among which rows went; in a single purge of everything all the older
 * ones, too. */
static int
purge_moments(struct purging *pg, struct error *e)
{
	struct moments m = { .from = pg->first, .upto = pg->last };
	double time;

	if (pg->first > pg->last)
		return 0;
	if (pg->only.all_rows && pg->p->shrink && pg->p->spare == 0)
		m.from = 0;
	else if (moment_at(pg, &m.from, &time, e) == -1)
		return -1;
	do {
		if (purging_write(pg, drop_moments, &m, e) == -1)
			return -1;
	} while (m.seen == MOMENTS_STEP && !purging_stopped(pg));
	return 0;
}

/* ---- a purge ------------------------------------------------------------- */

/* The last arrival that was there before `time`. A moment stands for the
 * second that begins with it. */
static int
arrived_before(struct purging *pg, double time, int64_t *arrival, struct error *e)
{
	struct head h;
	int64_t low = 0, high, at;
	double moment;
	int rc;

	*arrival = 0;
	if (sqlite_head(pg->s, &h, e) == -1)
		return -1;
	at = h.arrival;
	if ((rc = moment_at(pg, &at, &moment, e)) != 1)
		return rc;
	for (high = h.arrival + 1; high - low > 1; ) {
		int64_t middle = at = low + (high - low) / 2;
		if ((rc = moment_at(pg, &at, &moment, e)) == -1)
			return -1;
		if (rc == 1 && moment >= time - 1)
			high = middle;
		else
			low = middle;
	}
	*arrival = low;
	return 0;
}

static int
find_limits(struct purging *pg, void *arg, struct error *e)
{
	const struct purge *p = pg->p;
	struct query q = query_all();

	(void)arg;
	filter_free(&pg->only);
	q.watchdogs = p->watchdogs;
	q.watchdog_count = p->watchdog_count;
	q.level_min = p->level_min;
	if (filter_init(&pg->only, pg->s, &q, e) == -1)
		return -1;
	for (int k = 0; k < RECORD_KINDS; k++) {
		if (!(p->window[k] > 0))
			continue;
		pg->expired[k].time = p->now - p->window[k];
		if (arrived_before(pg, pg->expired[k].time, &pg->expired[k].arrival, e) == -1)
			return -1;
	}
	return 0;
}

static int
purge_records(struct purging *pg, struct error *e)
{
	const struct purge *p = pg->p;

	if (pg->only.nothing)
		return 0;
	for (int k = 0; k < RECORD_KINDS; k++)
		if (p->window[k] > 0 && !purging_stopped(pg) && purge_by_age(pg, k, e) == -1)
			return -1;
	if ((p->max_size > 0 || p->keep_free > 0) && !purging_stopped(pg))
		return purge_by_size(pg, e);
	return 0;
}

static int
purge_all(struct purging *pg, struct error *e)
{
	const struct purge *p = pg->p;

	if (purge_records(pg, e) == -1 ||
	    (p->marks_window > 0 && !purging_stopped(pg) && purge_marks(pg, e) == -1))
		return -1;
	if (p->dry_run)
		return 0;
	if (purge_moments(pg, e) == -1 || (!purging_stopped(pg) && sweep_names(pg, e) == -1))
		return -1;
	return p->shrink && !purging_stopped(pg) ? shrink_store(pg, e) : 0;
}

/* A purge that a power failure undoes is done again: its commits need not be
 * synced one by one. Others' stay as safe as they were. */
int
sqlite_purge(void *impl, const struct purge *p, const volatile int *stop, struct purged *out,
    struct error *e)
{
	struct sqlite *s = impl;
	struct purging pg = { .s = s, .p = p, .stop = stop, .out = out,
	    .first = INT64_MAX, .wal_limit = WAL_PAGES };
	uint64_t before = shrink_on_disk(s);
	int rc = -1;

	*out = (struct purged){ 0 };
	if (p->whole)
		return error_set(e, ERROR_USAGE, "%s: it has no partitions", s->path);
	if (purging_read(&pg, find_limits, NULL, e) == 0 &&
	    (p->dry_run || db_exec(s->db, "PRAGMA synchronous = NORMAL", e) == 0))
		rc = purge_all(&pg, e);
	if (!p->dry_run) {
		if (db_exec(s->db, "PRAGMA synchronous = FULL", rc == 0 ? e : NULL) == -1)
			rc = -1;
		reserve_make(s->path);
	}
	out->size = shrink_on_disk(s);
	out->given_back = out->size < before ? before - out->size : 0;
	filter_free(&pg.only);
	free(pg.rows.entries);
	buf_free(&pg.scratch);
	return rc;
}
