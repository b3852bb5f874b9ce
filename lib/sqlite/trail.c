#include "sqlite/trail.h"

#include <stdlib.h>

enum { TAIL_WORK = 32 };   /* so many entries of the tail, as much work as a row */

int
trail_plan(struct trail *t, struct sqlite *s, const struct filter *f, enum record_kind kind,
    int64_t upto, struct error *e)
{
	t->s = s;
	t->f = f;
	t->kind = kind;
	t->upto = upto;
	t->first = t->last = 0;
	return sqlite_sealed(s, kind, &t->sealed, e);
}

void
trail_free(struct trail *t)
{
	free(t->rows);
	buf_free(&t->scratch);
}

static int
add_row(void *arg, const struct entry *en)
{
	struct trail *t = arg;

	if (t->count == t->cap) {
		size_t cap = t->cap > 0 ? t->cap * 2 : 64;
		int64_t *rows = realloc(t->rows, cap * sizeof(*rows));

		if (rows == NULL)
			return -1;
		t->rows = rows;
		t->cap = cap;
	}
	t->rows[t->count++] = en->arrival;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int
compare_back(const void *a, const void *b)
{
	return compare(b, a);
}

/* The slices of several watchdogs, and strays, do not come in one order. */
static void
sort(struct trail *t)
{
	int (*order)(const void *, const void *) = t->f->back ? compare_back : compare;

	for (size_t i = 1; i < t->count; i++)
		if (order(&t->rows[i - 1], &t->rows[i]) > 0) {
			qsort(t->rows, t->count, sizeof(*t->rows), order);
			break;
		}
}

/* ---- the parts of the store ------------------------------------------------- */

struct block {
	int64_t first, last;
	bool indexed, strays;   /* may its index, may its strays hold something? */
};

/* The next block that may hold something: 1, or 0 if there is none. */
static int
find_block(struct trail *t, int64_t from, struct block *b, struct error *e)
{
	struct stmt *st = sqlite_sql(t->s, t->f->back ? SQL_BLOCK_BACK : SQL_BLOCK_AHEAD, e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, t->kind);
	stmt_bind_int(st, 2, from);
	stmt_bind_int(st, 3, t->sealed);
	stmt_bind_double(st, 4, t->f->since);
	stmt_bind_double(st, 5, t->f->until);
	if ((rc = stmt_step(st, e)) == 1)
		*b = (struct block){ stmt_int(st, 0), stmt_int(st, 1), stmt_int(st, 2) != 0,
			stmt_int(st, 3) != 0 };
	stmt_reset(st);
	return rc;
}

static int
read_strays(struct trail *t, const struct block *b, struct error *e)
{
	struct stmt *st = sqlite_sql(t->s, SQL_BLOCK_STRAYS, e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, t->kind);
	stmt_bind_int(st, 2, b->first);
	stmt_bind_int(st, 3, b->last);
	while ((rc = stmt_step(st, e)) == 1) {
		struct entry en = sqlite_entry(st);

		t->work++;
		if (filter_entry(t->f, &en) && add_row(t, &en) == -1)
			rc = error_memory(e);
		if (rc == -1)
			break;
	}
	stmt_reset(st);
	return rc;
}

static int
load_block(struct trail *t, const struct block *b, struct error *e)
{
	if (b->indexed) {
		t->work += filter_work(t->f);
		if (filter_block(t->s, t->kind, b->first, t->f, &t->scratch, add_row, t, e) == -1)
			return -1;
	}
	if (b->strays && read_strays(t, b, e) == -1)
		return -1;
	sort(t);
	t->first = b->first;
	t->last = b->last;
	return 1;
}

static int
load_tail(struct trail *t, struct error *e)
{
	const struct unsealed *u = sqlite_unsealed(t->s, t->kind, t->sealed, t->upto, e);

	if (u == NULL)
		return -1;
	t->work += u->count / TAIL_WORK;
	for (size_t i = 0; i < u->count; i++) {
		const struct entry *en = &u->entries[t->f->back ? u->count - 1 - i : i];

		if (en->arrival <= t->upto && filter_entry(t->f, en) && add_row(t, en) == -1)
			return error_memory(e);
	}
	t->first = t->sealed + 1;
	t->last = t->upto;
	return 1;
}

/* The part of the store in which `from` lies, or the next that may hold something: 1, or
 * 0 if there is none. */
static int
load(struct trail *t, int64_t from, struct error *e)
{
	struct block b;
	int rc = 0;

	t->count = t->at = 0;
	t->first = t->last = 0;
	if (t->f->back && from > t->sealed)
		return load_tail(t, e);
	if (from <= t->sealed && (rc = find_block(t, from, &b, e)) == 1)
		return load_block(t, &b, e);
	return rc == 0 && !t->f->back && from <= t->upto ? load_tail(t, e) : rc;
}

int
trail_next(struct trail *t, int64_t from, int64_t *to, struct error *e)
{
	bool back = t->f->back;
	int rc;

	if ((from < t->first || from > t->last) && (rc = load(t, from, e)) != 1)
		return rc;
	while (t->at < t->count && (back ? t->rows[t->at] > from : t->rows[t->at] < from))
		t->at++;
	if (t->at < t->count) {
		*to = t->rows[t->at];
		return TRAIL_ROW;
	}
	*to = back ? t->first - 1 : t->last + 1;
	return TRAIL_LOOK;
}
