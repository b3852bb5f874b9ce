/*
 * Rows that go. A block of which everything goes is deleted as a whole, without
 * a look at its rows. Of any other the index is read, what goes and what stays
 * is sorted out, and the index is written anew in the transaction that deletes
 * the rows; if only strays go it stays as it is. The rows of a tail are looked
 * at one by one, and the epoch is raised for whoever holds them in memory.
 */
#include <math.h>
#include <stdlib.h>

#include "sqlite/purge.h"

/* What a row takes besides its text, about: the table's own bytes, and its
 * entry in the index. */
enum { ROW_BYTES = 40 };

/* More text than this goes in several transactions. */
enum { PART_BYTES = 2 << 20, PART_ROWS = 64 };

struct block {
	enum record_kind kind;
	int64_t first, last;
	int64_t rows, strays, bytes;
	double tmin, tmax;
};

/* Arrivals between which every row goes. */
struct run {
	int64_t first, last;
};

/* What is to be cut out of a block or a tail; what stays is in pg->rows. */
struct cut {
	struct block b;         /* the block as it was; of a tail the kind */
	const struct expiry *x;
	size_t most;            /* rows that go at once */
	struct run *runs;
	size_t run_count, run_room;
	uint64_t rows;
	int64_t bytes;          /* of text in them */
	bool whole;
	bool stale;             /* the block is not as it was any more */
};

static bool
goes(const struct purging *pg, const struct expiry *x, const struct entry *en)
{
	return (en->time < x->time || en->arrival <= x->arrival) && en->arrival > x->after &&
	    (x->counted == NULL || !goes(pg, x->counted, en)) &&
	    (pg->only.all_rows || filter_entry(&pg->only, en));
}

/* ---- loading ------------------------------------------------------------- */

static int
add_row(void *arg, const struct entry *en)
{
	struct rows *r = arg;
	struct entry *more;

	if (r->n == r->room) {
		size_t room = r->room > 0 ? r->room * 2 : BLOCK_ROWS;
		if ((more = realloc(r->entries, room * sizeof(*more))) == NULL)
			return -1;
		r->entries = more;
		r->room = room;
	}
	r->entries[r->n++] = *en;
	return 0;
}

/* Rows of arrival, watchdog, time, level, sender. */
static int
add_rows(struct rows *r, struct stmt *st, struct error *e)
{
	int rc;

	while ((rc = stmt_step(st, e)) == 1) {
		struct entry en = sqlite_entry(st);
		if (add_row(r, &en) == -1) {
			stmt_reset(st);
			return error_memory(e);
		}
	}
	stmt_reset(st);
	return rc;
}

/* 1, or 0 if there is no such block. */
static int
find_block(struct sqlite *s, enum record_kind kind, int64_t first, struct block *b,
    struct error *e)
{
	struct stmt *st = sqlite_sql(s, SQL_BLOCK, e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, kind);
	stmt_bind_int(st, 2, first);
	if ((rc = stmt_step(st, e)) == 1)
		*b = (struct block){
			.kind = kind,
			.first = first,
			.last = stmt_int(st, 0),
			.rows = stmt_int(st, 1),
			.strays = stmt_int(st, 2),
			.bytes = stmt_int(st, 3),
			.tmin = stmt_double(st, 4),
			.tmax = stmt_double(st, 5),
		};
	stmt_reset(st);
	return rc;
}

static int
load_block(struct purging *pg, const struct block *b, struct error *e)
{
	static const struct filter everything = {
		.level_min = INT64_MIN, .level_max = INT64_MAX,
		.since = -INFINITY, .until = INFINITY, .all_rows = true,
	};
	struct stmt *st;
	int64_t indexed;

	pg->rows.n = 0;
	if (b->rows > 0 && filter_block(pg->s, b->kind, b->first, &everything, &pg->scratch, add_row,
	    &pg->rows, e) == -1)
		return -1;
	indexed = (int64_t)pg->rows.n;
	if (b->strays > 0) {
		if ((st = sqlite_sql(pg->s, SQL_BLOCK_STRAYS, e)) == NULL)
			return -1;
		stmt_bind_int(st, 1, b->kind);
		stmt_bind_int(st, 2, b->first);
		stmt_bind_int(st, 3, b->last);
		if (add_rows(&pg->rows, st, e) == -1)
			return -1;
	}
	if (indexed != b->rows || (int64_t)pg->rows.n != b->rows + b->strays)
		return error_set(e, ERROR_CORRUPT, "%s: damaged: block %lld has %lld rows and"
		    " %lld strays, not %lld and %lld", pg->s->path, (long long)b->first,
		    (long long)indexed, (long long)pg->rows.n - indexed, (long long)b->rows,
		    (long long)b->strays);
	return 0;
}

int
expire_load(struct purging *pg, enum record_kind kind, int64_t first, struct error *e)
{
	struct block b;
	int rc = find_block(pg->s, kind, first, &b, e);

	return rc == 1 && load_block(pg, &b, e) == -1 ? -1 : rc;
}

static int
load_tail(struct purging *pg, enum record_kind kind, struct error *e)
{
	struct stmt *st;
	int64_t sealed;

	pg->rows.n = 0;
	if (sqlite_sealed(pg->s, kind, &sealed, e) == -1 ||
	    (st = sqlite_sql(pg->s, SQL_OF(SQL_UNSEALED_LOG, kind), e)) == NULL)
		return -1;
	stmt_bind_int(st, 1, sealed);
	stmt_bind_int(st, 2, INT64_MAX);
	stmt_bind_double(st, 3, -INFINITY);
	stmt_bind_double(st, 4, INFINITY);
	stmt_bind_null(st, 5);
	return add_rows(&pg->rows, st, e);
}

/* ---- planning ------------------------------------------------------------ */

static int
compare_arrivals(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

static int
begin_run(struct cut *c, int64_t first)
{
	struct run *more;

	if (c->run_count == c->run_room) {
		size_t room = c->run_room > 0 ? c->run_room * 2 : 64;
		if ((more = realloc(c->runs, room * sizeof(*more))) == NULL)
			return -1;
		c->runs = more;
		c->run_room = room;
	}
	c->runs[c->run_count++].first = first;
	return 0;
}

/* The text in the runs. */
static int
measure(struct purging *pg, struct cut *c, struct error *e)
{
	for (size_t i = 0; i < c->run_count; i++) {
		struct stmt *st = sqlite_sql(pg->s, SQL_OF(SQL_TEXT_LOG, c->b.kind), e);
		if (st == NULL)
			return -1;
		stmt_bind_int(st, 1, c->runs[i].first);
		stmt_bind_int(st, 2, c->runs[i].last);
		if (stmt_step(st, e) == -1)
			return -1;
		c->bytes += stmt_int(st, 0);
		stmt_reset(st);
	}
	return 0;
}

/* Sort the loaded rows into runs of those that go, and the rest, which stays in
 * pg->rows. */
static int
sort_out(struct purging *pg, struct cut *c, struct error *e)
{
	struct rows *r = &pg->rows;
	size_t kept = 0;
	bool in_run = false;

	if (r->n > 0)
		qsort(r->entries, r->n, sizeof(*r->entries), compare_arrivals);
	for (size_t i = 0; i < r->n; i++) {
		struct entry en = r->entries[i];
		if (c->rows == c->most || !goes(pg, c->x, &en)) {
			r->entries[kept++] = en;
			in_run = false;
			continue;
		}
		if (!in_run && begin_run(c, en.arrival) == -1)
			return error_memory(e);
		in_run = true;
		c->runs[c->run_count - 1].last = en.arrival;
		c->rows++;
	}
	r->n = kept;
	return measure(pg, c, e);
}

/* Does everything in the block go, as far as can be told without its index? */
static bool
goes_whole(const struct purging *pg, const struct cut *c)
{
	return pg->only.all_rows && c->x->counted == NULL && (c->b.last <= c->x->arrival ||
	    (c->b.strays == 0 && c->b.tmax < c->x->time));
}

struct counting {
	const struct purging *pg;
	const struct expiry *x;
	uint64_t n;
};

static int
count_entry(void *arg, const struct entry *en)
{
	struct counting *c = arg;

	c->n += goes(c->pg, c->x, en);
	return 0;
}

/* Does nothing of the block go, as far as a first look tells, which for a few
 * watchdogs is at their slices of the index only? */
static int
goes_not(struct purging *pg, const struct cut *c, bool *nothing, struct error *e)
{
	struct counting counting = { pg, c->x, 0 };

	*nothing = false;
	if (pg->only.all_rows || c->b.strays > 0 || c->b.rows == 0)
		return 0;
	if (filter_block(pg->s, c->b.kind, c->b.first, &pg->only, &pg->scratch, count_entry, &counting,
	    e) == -1)
		return -1;
	*nothing = counting.n == 0;
	return 0;
}

/* Only the index, and the strays, tell what goes. */
static int
look_inside(struct purging *pg, struct cut *c, struct error *e)
{
	bool nothing;

	if (goes_not(pg, c, &nothing, e) == -1)
		return -1;
	if (nothing)
		return 0;
	if (load_block(pg, &c->b, e) == -1)
		return -1;
	return sort_out(pg, c, e);
}

static size_t
at_once(const struct purging *pg, const struct block *b)
{
	int64_t rows;

	if (pg->p->dry_run || b->bytes <= PART_BYTES)
		return SIZE_MAX;
	rows = (b->rows + b->strays) * PART_BYTES / b->bytes;
	return (size_t)(rows > PART_ROWS ? rows : PART_ROWS);
}

/* Read what is to be deleted, so that it need not be waited for when others wait
 * for us. */
static int
touch(struct purging *pg, const struct cut *c, struct error *e)
{
	struct stmt *st = sqlite_sql(pg->s, SQL_OF(SQL_TOUCH_LOG, c->b.kind), e);

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, c->b.first);
	stmt_bind_int(st, 2, c->b.last);
	return stmt_run(st, e);
}

static int
plan_block(struct purging *pg, void *arg, struct error *e)
{
	struct cut *c = arg;
	int rc;

	c->rows = c->run_count = 0;
	c->bytes = 0;
	c->stale = false;
	if ((rc = find_block(pg->s, c->b.kind, c->b.first, &c->b, e)) != 1)
		return rc;
	c->most = at_once(pg, &c->b);
	c->whole = c->most == SIZE_MAX && goes_whole(pg, c);
	if (!c->whole) {
		if (look_inside(pg, c, e) == -1)
			return -1;
		c->whole = c->rows > 0 && pg->rows.n == 0;
	}
	if (!c->whole)
		return 0;
	c->rows = (uint64_t)(c->b.rows + c->b.strays);
	c->bytes = c->b.bytes;
	c->run_count = 0;
	if (begin_run(c, c->b.first) == -1)
		return error_memory(e);
	c->runs[0].last = c->b.last;
	return pg->p->dry_run ? 0 : touch(pg, c, e);
}

/* ---- doing --------------------------------------------------------------- */

static int
drop_rows(struct purging *pg, const struct cut *c, struct error *e)
{
	if (sqlite_keep_last(pg->s, e) == -1)
		return -1;
	for (size_t i = 0; i < c->run_count; i++) {
		struct stmt *st = sqlite_sql(pg->s, SQL_OF(SQL_DROP_LOG, c->b.kind), e);
		if (st == NULL)
			return -1;
		stmt_bind_int(st, 1, c->runs[i].first);
		stmt_bind_int(st, 2, c->runs[i].last);
		if (stmt_run(st, e) == -1)
			return -1;
	}
	return 0;
}

/* How many there were is added to `*n`. */
static int
drop_strays(struct purging *pg, const struct cut *c, struct run run, uint64_t *n,
    struct error *e)
{
	struct stmt *st = sqlite_sql(pg->s, SQL_DROP_STRAYS, e);

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, c->b.kind);
	stmt_bind_int(st, 2, run.first);
	stmt_bind_int(st, 3, run.last);
	if (stmt_run(st, e) == -1)
		return -1;
	*n += (uint64_t)db_changes(pg->s->db);
	return 0;
}

static int
drop_block(struct purging *pg, const struct cut *c, struct error *e)
{
	struct stmt *st = sqlite_sql(pg->s, SQL_DROP_BLOCK, e);

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, c->b.kind);
	stmt_bind_int(st, 2, c->b.first);
	if (stmt_run(st, e) == -1 || (st = sqlite_sql(pg->s, SQL_DROP_BLOCK_INDEX, e)) == NULL)
		return -1;
	stmt_bind_int(st, 1, c->b.first);
	return stmt_run(st, e);
}

/* Strays are no part of the index: where nothing else goes it stays. */
static int
fewer_strays(struct purging *pg, const struct cut *c, int64_t bytes, struct error *e)
{
	struct stmt *st = sqlite_sql(pg->s, SQL_FEWER_STRAYS, e);

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, c->b.kind);
	stmt_bind_int(st, 2, c->b.first);
	stmt_bind_int(st, 3, c->b.strays - (int64_t)c->rows);
	stmt_bind_int(st, 4, bytes);
	return stmt_run(st, e);
}

/* The block without what went. Which of the rest are strays is decided anew. */
static int
cut_index(struct purging *pg, const struct cut *c, struct error *e)
{
	int64_t bytes = c->b.bytes > c->bytes ? c->b.bytes - c->bytes : 0;
	uint64_t strays = 0;

	for (size_t i = 0; c->b.strays > 0 && i < c->run_count; i++)
		if (drop_strays(pg, c, c->runs[i], &strays, e) == -1)
			return -1;
	if (c->whole)
		return drop_block(pg, c, e);
	if (strays == c->rows)
		return fewer_strays(pg, c, bytes, e);
	if (strays < (uint64_t)c->b.strays &&
	    drop_strays(pg, c, (struct run){ c->b.first, c->b.last }, &strays, e) == -1)
		return -1;
	return sqlite_seal(pg->s, c->b.kind, pg->rows.entries, pg->rows.n, c->b.first, c->b.last,
	    bytes, e);
}

/* Rows of a sealed block only ever become fewer: as many are the same ones. */
static int
cut_block(struct purging *pg, void *arg, struct error *e)
{
	struct cut *c = arg;
	struct block now;
	int rc = find_block(pg->s, c->b.kind, c->b.first, &now, e);

	if (rc == -1)
		return -1;
	c->stale = rc == 0 || now.rows != c->b.rows || now.strays != c->b.strays;
	if (c->stale)
		return 0;
	return drop_rows(pg, c, e) == -1 ? -1 : cut_index(pg, c, e);
}

static int
plan_tail(struct purging *pg, void *arg, struct error *e)
{
	struct cut *c = arg;

	c->rows = c->run_count = 0;
	c->bytes = 0;
	return load_tail(pg, c->b.kind, e) == -1 ? -1 : sort_out(pg, c, e);
}

static int
cut_tail(struct purging *pg, void *arg, struct error *e)
{
	struct cut *c = arg;
	struct stmt *st;

	if (plan_tail(pg, c, e) == -1 || drop_rows(pg, c, e) == -1 ||
	    (st = sqlite_sql(pg->s, SQL_RAISE_EPOCH, e)) == NULL)
		return -1;
	return stmt_run(st, e);
}

static void
account(struct purging *pg, const struct cut *c)
{
	if (c->rows == 0)
		return;
	pg->out->rows[c->b.kind] += c->rows;
	pg->out->bytes[c->b.kind] += (uint64_t)c->bytes + c->rows * ROW_BYTES;
	if (c->runs[0].first < pg->first)
		pg->first = c->runs[0].first;
	if (c->runs[c->run_count - 1].last > pg->last)
		pg->last = c->runs[c->run_count - 1].last;
}

int
expire_block(struct purging *pg, enum record_kind kind, int64_t first, const struct expiry *x,
    struct error *e)
{
	struct cut c = { .b = { .kind = kind, .first = first }, .x = x, .most = SIZE_MAX };
	int rc;

	do {
		rc = purging_read(pg, plan_block, &c, e);
		if (rc == 0 && c.rows > 0 && !pg->p->dry_run)
			rc = purging_write(pg, cut_block, &c, e);
		if (rc == 0 && !c.stale)
			account(pg, &c);
	} while (rc == 0 && (c.stale || c.rows == c.most) && !purging_stopped(pg));
	free(c.runs);
	return rc;
}

int
expire_tail(struct purging *pg, enum record_kind kind, struct expiry *x, size_t most,
    struct error *e)
{
	struct cut c = { .b = { .kind = kind }, .x = x, .most = most };
	int rc = purging_read(pg, plan_tail, &c, e);

	if (rc == 0 && c.rows > 0 && !pg->p->dry_run)
		rc = purging_write(pg, cut_tail, &c, e);
	if (rc == 0)
		account(pg, &c);
	if (rc == 0 && c.rows > 0)
		x->after = c.runs[c.run_count - 1].last;
	free(c.runs);
	return rc;
}
