#include <stdlib.h>

#include "sqlite/known.h"
#include "sqlite/sqlite.h"

enum { FEW = 16 };       /* watchdogs of which only their slices of an index are read */

static int
compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The numbers of these names; those that nobody has are left out. */
static int
resolve(struct sqlite *s, enum sql find, const struct str *names, size_t n, uint32_t **ids,
    size_t *count, struct error *e)
{
	struct stmt *st;
	size_t found = 0;
	int rc;

	*count = 0;
	if ((*ids = malloc(n * sizeof(**ids))) == NULL)
		return error_memory(e);
	for (size_t i = 0; i < n; i++) {
		if ((st = sqlite_sql(s, find, e)) == NULL)
			return -1;
		stmt_bind_text(st, 1, names[i]);
		if ((rc = stmt_step(st, e)) == -1)
			return -1;
		if (rc == 1)
			(*ids)[found++] = (uint32_t)stmt_int(st, 0);
		stmt_reset(st);
	}
	qsort(*ids, found, sizeof(**ids), compare_ids);
	for (size_t i = 0; i < found; i++)   /* a name given twice counts once */
		if (i == 0 || (*ids)[i] != (*ids)[i - 1])
			(*ids)[(*count)++] = (*ids)[i];
	return 0;
}

int
filter_init(struct filter *f, struct sqlite *s, const struct query *q, struct error *e)
{
	*f = (struct filter){
		.level_min = q->level_min,
		.level_max = q->level_max,
		.since = q->since,
		.until = q->until,
		.kinds = q->kinds,
		.match = q->match,
		.back = q->reverse,
	};
	if (q->watchdog_count > 0 && resolve(s, SQL_WATCHDOG_ID, q->watchdogs, q->watchdog_count,
	    &f->watchdogs, &f->watchdog_count, e) == -1)
		goto fail;
	if (q->sender_count > 0 && resolve(s, SQL_SENDER_ID, q->senders, q->sender_count,
	    &f->senders, &f->sender_count, e) == -1)
		goto fail;
	f->nothing = (f->watchdogs != NULL && f->watchdog_count == 0) ||
	    (f->senders != NULL && f->sender_count == 0) || !(f->since < f->until) ||
	    f->level_min > f->level_max;
	f->all_rows = f->watchdogs == NULL && f->senders == NULL && f->level_min == INT64_MIN &&
	    f->level_max == INT64_MAX && f->match == NULL;
	return 0;
fail:
	filter_free(f);
	return -1;
}

void
filter_free(struct filter *f)
{
	free(f->watchdogs);
	free(f->senders);
	f->watchdogs = f->senders = NULL;
}

bool
filter_ids(const uint32_t *ids, size_t n, uint32_t id)
{
	return n == 1 ? *ids == id : bsearch(&id, ids, n, sizeof(*ids), compare_ids) != NULL;
}

/* ---- a block's index ------------------------------------------------------ */

struct reading {
	enum record_kind kind;
	int64_t first;
	const struct filter *f;
	int (*each)(void *arg, const struct entry *en);
	void *arg;
};

static int
read_slice(const struct reading *r, uint32_t watchdog, const char *p, size_t count,
    struct error *e)
{
	struct entry en = { .watchdog = watchdog };

	for (size_t i = 0; i < count; i++) {
		block_entry(p + (r->f->back ? count - 1 - i : i) * BLOCK_ENTRY, r->first, &en);
		if (en.time >= r->f->since && en.time < r->f->until &&
		    en.level >= r->f->level_min && en.level <= r->f->level_max &&
		    (r->f->senders == NULL ||
		    filter_ids(r->f->senders, r->f->sender_count, en.sender)) &&
		    r->each(r->arg, &en) == -1)
			return error_memory(e);
	}
	return 0;
}

static int
damaged(const struct sqlite *s, int64_t first, struct error *e)
{
	return error_set(e, ERROR_CORRUPT, "%s: damaged: the index of block %lld does not fit"
	    " together", s->path, (long long)first);
}

/* The whole index: what every watchdog, or more than a few, are asked for. */
static int
read_all(struct sqlite *s, const struct reading *r, struct error *e)
{
	struct stmt *st = sqlite_sql(s, SQL_BLOCK_INDEX, e);
	struct str watchdogs, entries;
	size_t count, at = 0;
	uint32_t id;
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, r->first);
	if ((rc = stmt_step(st, e)) != 1)
		return rc;
	watchdogs = stmt_blob(st, 0);
	entries = stmt_blob(st, 1);
	rc = 0;
	for (size_t i = 0; rc == 0 && block_watchdog(watchdogs, i, &id, &count); i++) {
		if ((at + count) * BLOCK_ENTRY > entries.len)
			rc = damaged(s, r->first, e);
		else if (r->f->watchdogs == NULL ||
		    filter_ids(r->f->watchdogs, r->f->watchdog_count, id))
			rc = read_slice(r, id, entries.data + at * BLOCK_ENTRY, count, e);
		at += count;
	}
	stmt_reset(st);
	return rc;
}

/* A few watchdogs' slices, without reading the rest. */
static int
read_some(struct sqlite *s, const struct reading *r, struct buf *scratch, struct error *e)
{
	struct stmt *st = sqlite_sql(s, SQL_BLOCK_WATCHDOGS, e);
	struct str watchdogs;
	size_t before, count;
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, r->first);
	stmt_bind_int(st, 2, r->kind);
	if ((rc = stmt_step(st, e)) != 1)
		return rc;
	watchdogs = stmt_blob(st, 0);
	known_note(&s->known[r->kind],
	    &(struct known_block){ r->first, stmt_double(st, 1), stmt_double(st, 2) }, watchdogs);
	rc = 0;
	for (size_t i = 0; rc == 0 && i < r->f->watchdog_count; i++) {
		if (!block_find(watchdogs, r->f->watchdogs[i], &before, &count))
			continue;
		scratch->len = 0;
		if (buf_reserve(scratch, count * BLOCK_ENTRY) == -1)
			rc = error_memory(e);
		else if ((rc = db_blob_read(s->db, "block_index", "entries", r->first,
		    before * BLOCK_ENTRY, scratch->data, count * BLOCK_ENTRY, e)) == 0)
			rc = read_slice(r, r->f->watchdogs[i], scratch->data, count, e);
	}
	stmt_reset(st);
	return rc;
}

bool
filter_few(const struct filter *f)
{
	return f->watchdogs != NULL && f->watchdog_count <= FEW;
}

size_t
filter_work(const struct filter *f)
{
	return filter_few(f) ? 64 : 256;
}

int
filter_block(struct sqlite *s, enum record_kind kind, int64_t first, const struct filter *f,
    struct buf *scratch, int (*each)(void *arg, const struct entry *en), void *arg, struct error *e)
{
	struct reading r = { kind, first, f, each, arg };

	if (filter_few(f))
		return read_some(s, &r, scratch, e);
	return read_all(s, &r, e);
}
