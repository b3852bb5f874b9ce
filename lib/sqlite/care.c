#include <stdio.h>

#include "sqlite/sqlite.h"

static uint64_t
disk_size(const char *path, const char *suffix)
{
	char name[4096];
	struct stat st;

	if ((size_t)snprintf(name, sizeof(name), "%s%s", path, suffix) >= sizeof(name) ||
	    stat(name, &st) == -1)
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

static int
count_rows(struct sqlite *s, enum record_kind kind, struct store_stats *st, struct error *e)
{
	struct stmt *sums, *tail;
	int64_t sealed;

	if (sqlite_sealed(s, kind, &sealed, e) == -1 ||
	    (sums = sqlite_sql(s, SQL_BLOCK_SUMS, e)) == NULL)
		return -1;
	stmt_bind_int(sums, 1, kind);
	if (stmt_step(sums, e) == -1 ||
	    (tail = sqlite_sql(s, SQL_OF(SQL_COUNT_TAIL_LOG, kind), e)) == NULL)
		return -1;
	stmt_bind_int(tail, 1, sealed);
	if (stmt_step(tail, e) == -1)
		return -1;
	st->rows[kind] = (uint64_t)(stmt_int(sums, 0) + stmt_int(sums, 1) + stmt_int(tail, 0));
	st->strays += (uint64_t)stmt_int(sums, 1);
	stmt_reset(sums);
	stmt_reset(tail);
	return 0;
}

/* All that one slice can tell: rows by their blocks' sums, nothing by counting
 * rows. */
static int
read_stats(struct sqlite *s, struct store_stats *st, struct error *e)
{
	struct stmt *names, *file;
	struct head h;

	*st = (struct store_stats){ .engine = "sqlite" };
	if (sqlite_head(s, &h, e) == -1 || count_rows(s, RECORD_LOG, st, e) == -1 ||
	    count_rows(s, RECORD_NOTIFICATION, st, e) == -1 ||
	    (names = sqlite_sql(s, SQL_COUNT_NAMES, e)) == NULL || stmt_step(names, e) == -1 ||
	    (file = sqlite_sql(s, SQL_FILE, e)) == NULL || stmt_step(file, e) == -1)
		return -1;
	st->arrival = h.arrival;
	st->watchdogs = (uint64_t)stmt_int(names, 0);
	st->senders = (uint64_t)stmt_int(names, 1);
	st->sources = (uint64_t)stmt_int(names, 2);
	st->schema = (int)stmt_int(file, 0);
	st->free_bytes = (uint64_t)stmt_int(file, 1);
	stmt_reset(names);
	stmt_reset(file);
	return 0;
}

int
sqlite_stats(void *impl, struct store_stats *st, struct error *e)
{
	struct sqlite *s = impl;
	struct query q = query_all();
	int rc;

	do {
		if (sqlite_begin(s, e) == -1)
			return -1;
		if (read_stats(s, st, e) == -1) {
			sqlite_abort(s);
			return -1;
		}
	} while ((rc = sqlite_end(s, e)) == 1);
	st->bytes = disk_size(s->path, "") + disk_size(s->path, "-wal") + disk_size(s->path, "-shm");
	for (int k = 0; rc == 0 && k < RECORD_KINDS; k++) {
		q.kinds = RECORD_KIND_BIT(k);
		rc = sqlite_span(s, &q, &st->first[k], &st->last[k], e) == -1 ? -1 : 0;
	}
	return rc;
}
