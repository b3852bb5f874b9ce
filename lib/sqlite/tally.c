#include <math.h>
#include <stdlib.h>

#include "sqlite/sqlite.h"

enum {
	ID_PAGE = 1 << 16,          /* counts of so many numbers lie together */
	INTERVALS_MOST = 1 << 19,   /* counted at once, one for each level */
	NAMES_SLICE = 1024,         /* groups given out at a time */
	NAMES_BYTES = 1 << 20,
	NAMES_WORK = 1 << 16,       /* names looked at in one slice, counted or not */
};

/* An interval of a histogram, at one level; an empty slot where count is 0. */
struct interval {
	double time;                /* where it begins */
	int64_t level;
	uint64_t count;
};

struct counts {
	struct sqlite *s;
	enum tally_by by;
	double interval, offset;
	uint64_t kinds[RECORD_KINDS];
	uint64_t **ids;             /* by number, in pages: [number / ID_PAGE][number % ID_PAGE] */
	struct interval *slots;     /* open addressing */
	size_t slot_count, used;    /* slot_count a power of two */
	struct interval *last;      /* the slot of the last row */
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

/* ---- counting by time ------------------------------------------------------ */

/* Where the interval that holds `time` begins. Far out, where neighbouring
 * numbers are further apart than intervals, every time is its own. */
static double
interval_of(const struct counts *c, double time)
{
	double n = floor((time - c->offset) / c->interval), begin = n * c->interval + c->offset;

	return fabs(n) < 0x1p53 && isfinite(begin) ? begin : time;
}

static struct interval *
slot_of(struct interval *slots, size_t count, double time, int64_t level)
{
	uint64_t h;

	time += 0.0;   /* -0.0 is 0.0 */
	memcpy(&h, &time, sizeof(h));
	h = (h ^ (uint64_t)level * 0x9e3779b97f4a7c15u) * 0x9fb21c651e98df25u;
	h ^= h >> 32;
	while (slots[h & (count - 1)].count > 0 && (slots[h & (count - 1)].time != time ||
	    slots[h & (count - 1)].level != level))
		h++;
	return &slots[h & (count - 1)];
}

static int
more_slots(struct counts *c)
{
	size_t n = c->slot_count > 0 ? c->slot_count * 2 : 1024;
	struct interval *slots;

	if (c->used >= INTERVALS_MOST)
		return error_set(c->e, ERROR_USAGE, "more than %d intervals and levels to count:"
		    " choose a longer interval or a shorter time", INTERVALS_MOST);
	if ((slots = calloc(n, sizeof(*slots))) == NULL)
		return error_memory(c->e);
	for (size_t i = 0; i < c->slot_count; i++)
		if (c->slots[i].count > 0)
			*slot_of(slots, n, c->slots[i].time, c->slots[i].level) = c->slots[i];
	free(c->slots);
	c->slots = slots;
	c->slot_count = n;
	c->last = NULL;
	return 0;
}

static int
count_time(struct counts *c, const struct entry *en)
{
	double time = interval_of(c, en->time);

	if (c->last == NULL || c->last->time != time || c->last->level != en->level) {
		if (c->used >= c->slot_count / 2 && more_slots(c) == -1)
			return -1;
		c->last = slot_of(c->slots, c->slot_count, time, en->level);
		if (c->last->count == 0) {
			*c->last = (struct interval){ time + 0.0, en->level, 0 };
			c->used++;
		}
	}
	c->last->count++;
	return 0;
}

static int
by_time(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return (x->level > y->level) - (x->level < y->level);
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
	free(c->slots);
	c->slots = c->last = NULL;
	c->slot_count = c->used = 0;
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
		return count_time(c, en);
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

static int
give_intervals(struct counts *c, give *row, void *arg)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < c->slot_count; i++)
		if (c->slots[i].count > 0)
			c->slots[n++] = c->slots[i];
	if (n > 0)
		qsort(c->slots, n, sizeof(*c->slots), by_time);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = row(arg, &(struct tally){ .time = c->slots[i].time, .level = c->slots[i].level,
		    .count = c->slots[i].count });
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
	struct counts c = { .s = impl, .by = by, .interval = interval, .offset = offset, .e = e };
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
		rc = give_intervals(&c, row, arg);
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
