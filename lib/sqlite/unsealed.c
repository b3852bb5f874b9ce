/*
 * The tail of a kind: the rows behind its last block, which no index knows. Each
 * question needs to look at all of them, so a reader keeps what an index would
 * know of them in memory, and reads only those that have come since.
 */
#include <math.h>
#include <stdlib.h>

#include "sqlite/sqlite.h"

static int
add(struct unsealed *t, const struct entry *en)
{
	if (t->count == t->cap) {
		size_t cap = t->cap > 0 ? t->cap * 2 : 256;
		struct entry *entries = realloc(t->entries, cap * sizeof(*entries));

		if (entries == NULL)
			return -1;
		t->entries = entries;
		t->cap = cap;
	}
	t->entries[t->count++] = *en;
	t->tmin = fmin(t->tmin, en->time);
	t->tmax = fmax(t->tmax, en->time);
	return 0;
}

/* The rows that have come since. */
static int
read_on(struct sqlite *s, enum record_kind kind, struct unsealed *t, int64_t upto, struct error *e)
{
	struct stmt *st = sqlite_sql(s, SQL_OF(SQL_UNSEALED_LOG, kind), e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, t->count > 0 ? t->entries[t->count - 1].arrival : t->sealed);
	stmt_bind_int(st, 2, upto);
	stmt_bind_double(st, 3, -INFINITY);
	stmt_bind_double(st, 4, INFINITY);
	stmt_bind_null(st, 5);
	while ((rc = stmt_step(st, e)) == 1) {
		struct entry en = sqlite_entry(st);
		if (add(t, &en) == -1) {
			rc = error_memory(e);
			break;
		}
	}
	stmt_reset(st);
	return rc;
}

const struct unsealed *
sqlite_unsealed(struct sqlite *s, enum record_kind kind, int64_t sealed, int64_t upto,
    struct error *e)
{
	struct unsealed *t = s->unsealed[kind];
	struct head h;

	if (t == NULL && (t = s->unsealed[kind] = calloc(1, sizeof(*t))) == NULL) {
		error_memory(e);
		return NULL;
	}
	if (sqlite_head(s, &h, e) == -1)
		return NULL;
	if (t->count == 0 || t->sealed != sealed || t->epoch != h.epoch) {
		t->count = 0;
		t->tmin = INFINITY;
		t->tmax = -INFINITY;
		t->sealed = sealed;
		t->epoch = h.epoch;
	}
	return read_on(s, kind, t, upto, e) == -1 ? NULL : t;
}

void
sqlite_unsealed_free(struct sqlite *s)
{
	for (int k = 0; k < RECORD_KINDS; k++) {
		if (s->unsealed[k] != NULL)
			free(s->unsealed[k]->entries);
		free(s->unsealed[k]);
		s->unsealed[k] = NULL;
	}
}
