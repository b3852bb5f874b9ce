/*
 * Every row that matches, as of one moment, in no particular order: what
 * counting needs. The moment is that of the first slice, which also reads the
 * unsealed tails; what is sealed or arrives after it is left alone. Rows are
 * read only where a message must match: what else is asked, the indexes know.
 */
#include <stdlib.h>

#include "match.h"
#include "sqlite/sqlite.h"

enum {
	SLICE_WORK = 1 << 19,   /* about what a slice may do, in entries of an index */
	WORK_BLOCK = 256,       /* what opening a block costs, in that measure */
	WORK_STRAY = 8,
	WORK_MESSAGE = 8,       /* and one more for each 16 bytes */
	STEP_OVER = 4,          /* rows cheaper to step over than to seek */
};

struct every {
	struct sqlite *s;
	const struct query *q;
	const struct every_calls *calls;
	void *arg;
	struct filter f;
	bool planned;
	int64_t upto;                    /* the moment: arrivals behind it came later */
	int64_t sealed[RECORD_KINDS];    /* as of then */
	struct every_block *blocks;      /* by tmin */
	size_t block_count, block_cap, next_block;
	unsigned strays;                 /* kinds whose strays are still to be read */
	double stray_time;               /* the last stray that was read */
	int64_t stray_arrival;
	enum record_kind kind;           /* of what is being read */
	struct entry *found, *spare;     /* entries whose messages must be looked at */
	size_t found_count, found_cap;
	uint32_t places[BLOCK_SPAN + 1]; /* all 0, but in sort_found() */
	struct buf scratch;
	uint64_t work;
	bool refused;                    /* it was a call that failed: `e` is filled */
	struct error *e;
};

/* ---- entries -------------------------------------------------------------- */

static int
more_found(struct every *v)
{
	size_t cap = v->found_cap > 0 ? v->found_cap * 2 : 1024;
	struct entry *found = realloc(v->found, cap * sizeof(*found)), *spare;

	if (found == NULL)
		return -1;
	v->found = found;
	if ((spare = realloc(v->spare, cap * sizeof(*spare))) == NULL)
		return -1;
	v->spare = spare;
	v->found_cap = cap;
	return 0;
}

/* -1 from here reads as "no memory", unless `refused` says otherwise. */
static int
take_entry(void *arg, const struct entry *en)
{
	struct every *v = arg;

	if (en->arrival > v->upto)
		return 0;
	v->work++;
	if (v->f.match == NULL) {
		v->refused = v->calls->entry(v->arg, v->kind, en) == -1;
		return v->refused ? -1 : 0;
	}
	if (v->found_count == v->found_cap && more_found(v) == -1)
		return -1;
	v->found[v->found_count++] = *en;
	return 0;
}

static int
by_arrival(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

/* Into the order of arrival. Those of a block lie so close together that each
 * can be put in its place at once. */
static void
sort_found(struct every *v)
{
	int64_t low = INT64_MAX, high = 0;
	struct entry *found = v->found;
	bool sorted = true;
	size_t n = 0;

	for (size_t i = 0; i < v->found_count; i++) {
		sorted = sorted && found[i].arrival > high;
		low = found[i].arrival < low ? found[i].arrival : low;
		high = found[i].arrival > high ? found[i].arrival : high;
	}
	if (sorted)
		return;
	if (high - low > BLOCK_SPAN) {
		qsort(found, v->found_count, sizeof(*found), by_arrival);
		return;
	}
	for (size_t i = 0; i < v->found_count; i++)
		v->places[found[i].arrival - low] = (uint32_t)i + 1;
	for (int64_t i = 0; i <= high - low; i++) {
		if (v->places[i] != 0)
			v->spare[n++] = found[v->places[i] - 1];
		v->places[i] = 0;
	}
	v->found = v->spare;
	v->spare = found;
	v->found_count = n;
}

/* Step, or seek, to the first row at or behind `arrival`; `*at` is the arrival
 * that the statement stands on, 0 if on none. */
static int
seek_message(struct every *v, struct stmt **st, int64_t arrival, int64_t *at)
{
	int rc = 1;

	if (*at == 0 || arrival - *at > STEP_OVER) {
		if ((*st = sqlite_sql(v->s, SQL_OF(SQL_MESSAGES_LOG, v->kind), v->e)) == NULL)
			return -1;
		stmt_bind_int(*st, 1, arrival);
		*at = 0;
	}
	while (*at < arrival && (rc = stmt_step(*st, v->e)) == 1)
		*at = stmt_int(*st, 0);
	return rc;
}

/* Pass on those of the found entries whose messages match. */
static int
look_at_messages(struct every *v)
{
	struct stmt *st = NULL;
	int64_t at = 0;
	int rc = 1;

	sort_found(v);
	for (size_t i = 0; i < v->found_count && rc == 1; i++) {
		const struct entry *en = &v->found[i];
		struct str message;

		if ((rc = seek_message(v, &st, en->arrival, &at)) != 1 || at != en->arrival)
			continue;   /* purged since, or failed */
		message = stmt_text(st, 1);
		v->work += WORK_MESSAGE + message.len / 16;
		if (match_test(v->f.match, message) && v->calls->entry(v->arg, v->kind, en) == -1) {
			v->refused = true;
			rc = -1;
		}
	}
	v->found_count = 0;
	if (st != NULL)
		stmt_reset(st);
	return rc == -1 ? -1 : 0;
}

/* ---- where entries come from ------------------------------------------------ */

static int
read_tail(struct every *v)
{
	struct stmt *st = sqlite_sql(v->s, SQL_OF(SQL_UNSEALED_LOG, v->kind), v->e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, v->sealed[v->kind]);
	stmt_bind_int(st, 2, v->upto);
	stmt_bind_double(st, 3, v->f.since);
	stmt_bind_double(st, 4, v->f.until);
	stmt_bind_null(st, 5);
	while ((rc = stmt_step(st, v->e)) == 1) {
		struct entry en = sqlite_entry(st);
		if (filter_entry(&v->f, &en) && take_entry(v, &en) == -1) {
			rc = error_memory(v->e);
			break;
		}
	}
	stmt_reset(st);
	return rc == -1 ? -1 : look_at_messages(v);
}

static int
read_block(struct every *v, const struct every_block *b)
{
	int rc = v->calls->block(v->arg, b);

	v->kind = b->kind;
	v->work += WORK_BLOCK;
	v->refused = rc == -1;
	if (rc != 0)
		return rc == -1 ? -1 : 0;
	v->work += (uint64_t)b->rows / 8;
	if (filter_block(v->s, b->kind, b->first, &v->f, &v->scratch, take_entry, v, v->e) == -1)
		return -1;
	return look_at_messages(v);
}

/* The next strays of v->kind, as many as the slice allows. */
static int
read_strays(struct every *v)
{
	struct stmt *st = sqlite_sql(v->s, SQL_STRAYS, v->e);
	int rc = 1;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, v->kind);
	stmt_bind_double(st, 2, v->stray_time);
	stmt_bind_int(st, 3, v->stray_arrival);
	stmt_bind_double(st, 4, v->f.until);
	while (v->work < SLICE_WORK && (rc = stmt_step(st, v->e)) == 1) {
		struct entry en = {
			.time = stmt_double(st, 0),
			.arrival = stmt_int(st, 1),
			.watchdog = (uint32_t)stmt_int(st, 2),
			.level = stmt_int(st, 3),
			.sender = (uint32_t)stmt_int(st, 4),
		};
		v->work += WORK_STRAY;
		v->stray_time = en.time;
		v->stray_arrival = en.arrival;
		/* What was sealed since the first slice was in a tail then. */
		if (en.arrival <= v->sealed[v->kind] && filter_entry(&v->f, &en) &&
		    take_entry(v, &en) == -1) {
			rc = error_memory(v->e);
			break;
		}
	}
	stmt_reset(st);
	if (rc == 0) {
		v->strays &= ~RECORD_KIND_BIT(v->kind);
		v->stray_time = v->f.since;
		v->stray_arrival = INT64_MIN;
	}
	return rc == -1 ? -1 : look_at_messages(v);
}

/* ---- slices ---------------------------------------------------------------- */

static int
list_blocks(struct every *v)
{
	struct stmt *st = sqlite_sql(v->s, SQL_EVERY_BLOCK, v->e);
	int64_t sealed = v->sealed[v->kind];
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, v->kind);
	stmt_bind_double(st, 2, v->f.since);
	stmt_bind_double(st, 3, v->f.until);
	stmt_bind_int(st, 4, v->upto < sealed ? v->upto : sealed);
	while ((rc = stmt_step(st, v->e)) == 1) {
		struct every_block b = { v->kind, stmt_int(st, 0), stmt_int(st, 2),
			stmt_double(st, 3), stmt_double(st, 4), false };
		b.whole = v->f.all_rows && b.tmin >= v->f.since && b.tmax < v->f.until &&
		    stmt_int(st, 1) <= v->upto;
		if (v->block_count == v->block_cap) {
			size_t cap = v->block_cap > 0 ? v->block_cap * 2 : 64;
			struct every_block *blocks = realloc(v->blocks, cap * sizeof(*blocks));
			if (blocks == NULL) {
				stmt_reset(st);
				return error_memory(v->e);
			}
			v->blocks = blocks;
			v->block_cap = cap;
		}
		v->blocks[v->block_count++] = b;
	}
	stmt_reset(st);
	return rc;
}

static int
by_tmin(const void *a, const void *b)
{
	const struct every_block *x = a, *y = b;

	return (x->tmin > y->tmin) - (x->tmin < y->tmin);
}

/* At the beginning of the first slice: fix the moment, list what is to be read,
 * and read the tails. */
static int
plan(struct every *v)
{
	struct head h;

	filter_free(&v->f);
	v->calls->begin(v->arg);
	v->block_count = v->next_block = 0;
	v->strays = 0;
	if (sqlite_head(v->s, &h, v->e) == -1 || filter_init(&v->f, v->s, v->q, v->e) == -1)
		return -1;
	v->upto = h.arrival < v->q->upto ? h.arrival : v->q->upto;
	v->stray_time = v->f.since;
	v->stray_arrival = INT64_MIN;
	v->planned = true;
	if (v->f.nothing)
		return 0;
	for (int k = 0; k < RECORD_KINDS; k++) {
		v->kind = (enum record_kind)k;
		if ((v->f.kinds & RECORD_KIND_BIT(k)) == 0)
			continue;
		v->strays |= RECORD_KIND_BIT(k);
		if (sqlite_sealed(v->s, v->kind, &v->sealed[k], v->e) == -1 ||
		    list_blocks(v) == -1 || read_tail(v) == -1)
			return -1;
	}
	if (v->block_count > 0)
		qsort(v->blocks, v->block_count, sizeof(*v->blocks), by_tmin);
	return 0;
}

/* Blocks from both ends in turn: who looks for the extremes has them soon, and
 * can pass over the rest. */
static const struct every_block *
take_block(struct every *v)
{
	size_t i = v->next_block++;

	return &v->blocks[i % 2 == 0 ? i / 2 : v->block_count - 1 - i / 2];
}

static int
read_slice(struct every *v)
{
	v->work = 0;
	if (!v->planned && plan(v) == -1)
		return -1;
	while (v->work < SLICE_WORK && v->next_block < v->block_count)
		if (read_block(v, take_block(v)) == -1)
			return -1;
	while (v->work < SLICE_WORK && v->strays != 0) {
		v->kind = (v->strays & RECORD_KIND_BIT(RECORD_LOG)) != 0 ? RECORD_LOG :
		    RECORD_NOTIFICATION;
		if (read_strays(v) == -1)
			return -1;
	}
	return 0;
}

static int
read_slices(struct every *v)
{
	int rc;

	do {
		if (sqlite_begin(v->s, v->e) == -1)
			return -1;
		if ((rc = read_slice(v)) == -1)
			sqlite_abort(v->s);
		else if ((rc = sqlite_end(v->s, v->e)) == 1)
			v->planned = false;   /* not to be trusted: everything again */
	} while (rc != -1 && (!v->planned || v->next_block < v->block_count || v->strays != 0));
	return rc;
}

int
sqlite_every(struct sqlite *s, const struct query *q, const struct every_calls *calls,
    void *arg, struct error *e)
{
	struct every *v = calloc(1, sizeof(*v));
	struct error own = { .kind = ERROR_NONE };
	int rc;

	if (v == NULL)
		return error_memory(e);
	v->s = s;
	v->q = q;
	v->calls = calls;
	v->arg = arg;
	v->e = &own;
	if ((rc = read_slices(v)) == -1 && !v->refused)
		error_set(e, own.kind, "%s", own.text);
	filter_free(&v->f);
	free(v->blocks);
	free(v->found);
	free(v->spare);
	buf_free(&v->scratch);
	free(v);
	return rc == -1 ? -1 : 0;
}
