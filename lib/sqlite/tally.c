#include <math.h>
#include <stdlib.h>

#include "intervals.h"
#include "sqlite/sqlite.h"

enum {
	ID_PAGE = 1 << 16,          /* counts of so many numbers lie together */
	NAMES_SLICE = 1024,         /* groups given out at a time */
	NAMES_BYTES = 1 << 20,
	NAMES_WORK = 1 << 16,       /* names looked at in one slice, counted or not */
};

struct counts {
	struct sqlite *s;
	enum tally_by by;
	uint64_t kinds[RECORD_KINDS];
	uint64_t **ids;             /* by number, in pages: [number / ID_PAGE][number % ID_PAGE] */
	struct intervals intervals;
	struct error *e;
};

/* ---- counting by number ---------------------------------------------------- */

static int
count_id(struct counts *c, uint32_t id, uint64_t n)
{
	uint64_t **page = &c->ids[id / ID_PAGE];

	if (*page == NULL && (*page = calloc(ID_PAGE, sizeof(**page))) == NULL)
		return error_memory(c->e);
	(*page)[id % ID_PAGE] += n;
	return 0;
}

static uint64_t
count_of(const struct counts *c, int64_t id)
{
	const uint64_t *page = id >= 0 && id <= UINT32_MAX ? c->ids[id / ID_PAGE] : NULL;

	return page != NULL ? page[id % ID_PAGE] : 0;
}

/* A whole block, by watchdog: the head of its index has the sums. */
static int
count_watchdogs(struct counts *c, int64_t first)
{
	struct stmt *st = sqlite_sql(c->s, SQL_BLOCK_WATCHDOGS, c->e);
	struct str watchdogs;
	uint32_t id;
	size_t n;
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, first);
	if ((rc = stmt_step(st, c->e)) != 1)
		return rc;
	watchdogs = stmt_blob(st, 0);
	rc = 0;
	for (size_t i = 0; rc == 0 && block_watchdog(watchdogs, i, &id, &n); i++)
		rc = count_id(c, id, n);
	stmt_reset(st);
	return rc;
}

/* ---- counting --------------------------------------------------------------- */

static void
forget(struct counts *c)
{
	memset(c->kinds, 0, sizeof(c->kinds));
	for (size_t i = 0; c->ids != NULL && i <= UINT32_MAX / ID_PAGE; i++) {
		free(c->ids[i]);
		c->ids[i] = NULL;
	}
	intervals_clear(&c->intervals);
}

static void
begin(void *arg)
{
	forget(arg);
}

static int
count_block(void *arg, const struct every_block *b)
{
	struct counts *c = arg;

	if (!b->whole)
		return 0;
	switch (c->by) {
	case TALLY_BY_KIND:
		c->kinds[b->kind] += (uint64_t)b->rows;
		return 1;
	case TALLY_BY_WATCHDOG:
		return count_watchdogs(c, b->first) == -1 ? -1 : 1;
	default:
		return 0;
	}
}

static int
count_entry(void *arg, enum record_kind kind, const struct entry *en)
{
	struct counts *c = arg;

	switch (c->by) {
	case TALLY_BY_KIND:
		c->kinds[kind]++;
		return 0;
	case TALLY_BY_WATCHDOG:
		return count_id(c, en->watchdog, 1);
	case TALLY_BY_SENDER:
		return count_id(c, en->sender, 1);
	default:
		return intervals_count(&c->intervals, en->time, en->level, c->e);
	}
}

static const struct every_calls counting = { begin, count_block, count_entry };

/* ---- giving out -------------------------------------------------------------- */

typedef int give(void *arg, const struct tally *t);

static int
give_kinds(const struct counts *c, give *row, void *arg)
{
	int rc = 0;

	for (int k = 0; rc == 0 && k < RECORD_KINDS; k++)
		if (c->kinds[k] > 0)
			rc = row(arg, &(struct tally){ .kind = (enum record_kind)k,
			    .count = c->kinds[k] });
	return rc;
}

/* Names with what was counted of them, read in a slice. */
struct named {
	struct { size_t at, len; uint64_t count; } names[NAMES_SLICE];
	size_t n;
	struct buf text;   /* the names' bytes */
	struct buf last;   /* the last name that was looked at */
	bool began, more;
};

/* One slice, from behind `last` on: what is counted of the names that come
 * next. Leaves `last` alone, which the caller moves on when the slice holds. */
static int
read_names(struct counts *c, struct named *t, struct buf *last, struct error *e)
{
	struct stmt *st = sqlite_sql(c->s,
	    c->by == TALLY_BY_SENDER ? SQL_ALL_SENDERS : SQL_ALL_WATCHDOGS, e);
	struct str from = { t->last.data, t->last.len }, name;
	int rc = 1;

	t->n = t->text.len = 0;
	if (st == NULL)
		return -1;
	stmt_bind_text(st, 1, from);
	for (size_t looked = 0; t->n < NAMES_SLICE && t->text.len < NAMES_BYTES &&
	    looked < NAMES_WORK && (rc = stmt_step(st, e)) == 1; looked++) {
		uint64_t count;
		name = stmt_text(st, 1);
		last->len = 0;
		if (buf_add_str(last, name) == -1)
			goto memory;
		if ((t->began && str_equal(name, from)) || (count = count_of(c, stmt_int(st, 0))) == 0)
			continue;
		t->names[t->n].at = t->text.len;
		t->names[t->n].len = name.len;
		t->names[t->n++].count = count;
		if (buf_add_str(&t->text, name) == -1)
			goto memory;
	}
	stmt_reset(st);
	t->more = rc == 1;
	return rc == -1 ? -1 : 0;
memory:
	stmt_reset(st);
	return error_memory(e);
}

/* One slice of names, and then, with no transaction open, to `row`. */
static int
give_some_names(struct counts *c, struct named *t, give *row, void *arg, struct error *e)
{
	struct buf last = { 0 };
	int rc;

	do {
		if ((rc = sqlite_begin(c->s, e)) == -1)
			goto out;
		if ((rc = read_names(c, t, &last, e)) == -1)
			sqlite_abort(c->s);
	} while (rc != -1 && (rc = sqlite_end(c->s, e)) == 1);
	for (size_t i = 0; rc == 0 && i < t->n; i++)
		rc = row(arg, &(struct tally){ .count = t->names[i].count,
		    .key = { t->text.data + t->names[i].at, t->names[i].len } });
	buf_free(&t->last);
	t->last = last;
	t->began = true;
	return rc;
out:
	buf_free(&last);
	return rc;
}

static int
give_names(struct counts *c, give *row, void *arg, struct error *e)
{
	struct named *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return error_memory(e);
	do
		rc = give_some_names(c, t, row, arg, e);
	while (rc == 0 && t->more);
	buf_free(&t->text);
	buf_free(&t->last);
	free(t);
	return rc;
}

int
sqlite_tally(void *impl, const struct query *q, enum tally_by by, double interval,
    double offset, give *row, void *arg, struct error *e)
{
	struct counts c = { .s = impl, .by = by, .e = e,
	    .intervals = { .length = interval, .offset = offset } };
	int rc;

	if (by == TALLY_BY_TIME && !(interval > 0 && isfinite(interval) && isfinite(offset)))
		return error_set(e, ERROR_USAGE, "an interval must be longer than 0");
	if ((by == TALLY_BY_SENDER || by == TALLY_BY_WATCHDOG) &&
	    (c.ids = calloc(UINT32_MAX / ID_PAGE + 1, sizeof(uint64_t *))) == NULL)
		return error_memory(e);
	if ((rc = sqlite_every(c.s, q, &counting, &c, e)) == -1)
		goto out;
	if (by == TALLY_BY_KIND)
		rc = give_kinds(&c, row, arg);
	else if (by == TALLY_BY_TIME)
		rc = intervals_give(&c.intervals, row, arg);
	else
		rc = give_names(&c, row, arg, e);
out:
	forget(&c);
	free(c.ids);
	return rc;
}

/* ---- the first and the last -------------------------------------------------- */

struct extent {
	double first, last;
	bool any;
};

static void
widen(struct extent *x, double first, double last)
{
	x->first = x->any ? fmin(x->first, first) : first;
	x->last = x->any ? fmax(x->last, last) : last;
	x->any = true;
}

static void
begin_extent(void *arg)
{
	*(struct extent *)arg = (struct extent){ 0 };
}

static int
extent_block(void *arg, const struct every_block *b)
{
	struct extent *x = arg;

	if (b->whole)
		widen(x, b->tmin, b->tmax);
	return x->any && x->first <= b->tmin && b->tmax <= x->last;
}

static int
extent_entry(void *arg, enum record_kind kind, const struct entry *en)
{
	(void)kind;
	widen(arg, en->time, en->time);
	return 0;
}

int
sqlite_span(void *impl, const struct query *q, double *first, double *last, struct error *e)
{
	static const struct every_calls calls = { begin_extent, extent_block, extent_entry };
	struct extent x = { 0 };

	if (sqlite_every(impl, q, &calls, &x, e) == -1)
		return -1;
	*first = x.first;
	*last = x.last;
	return x.any;
}
