/*
 * Statistics. What is small is counted. Of what is large PostgreSQL knows about how many rows there
 * are; to count them, or the names in them, would take as long as to read them all.
 */
#include <stdio.h>

#include "postgres/postgres.h"

#define SMALL_BYTES "67108864"   /* as much as is read in a moment */

/* ---- extents ------------------------------------------------------------------ */

/* The server's own counts are gone after a crash or a failover (to count what it has would then
 * be to read it all, for a month); then there is that of the last VACUUM or ANALYZE. */
#define ABOUT "CASE WHEN pg_stat_get_live_tuples(c.oid) > 0 THEN pg_stat_get_live_tuples(c.oid)" \
	" ELSE greatest(c.reltuples, 0)::bigint END"

static const char extent[] =
	"SELECT coalesce(pg_total_relation_size(c.oid), 0), " ABOUT ","
	" pg_relation_size(c.oid) <= " SMALL_BYTES " FROM pg_class AS c WHERE c.oid = to_regclass('monitor.' || $1)";

static int
count_rows(struct postgres *s, const char *from, uint64_t *n, struct error *e)
{
	struct pq_rows *rows = NULL;
	char sql[256];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM monitor.%s", from);
	if (postgres_query(s, sql, NULL, &rows, e) == -1)
		return -1;
	*n = (uint64_t)pq_get_int(rows, 0, 0);
	pq_free(&rows);
	return 0;
}

int
postgres_measure(struct postgres *s, const char *table, const char *from,
    struct postgres_extent *x, struct error *e)
{
	struct pq_params p = { 0 };
	struct pq_rows *rows = NULL;
	bool small;

	pq_text(&p, str_of(table));
	if (postgres_query(s, extent, &p, &rows, e) == -1)
		return -1;
	*x = (struct postgres_extent){ 0 };
	if (pq_count(rows) == 0) {   /* dropped by another purge */
		pq_free(&rows);
		return 0;
	}
	x->bytes = (uint64_t)pq_get_int(rows, 0, 0);
	x->rows = (uint64_t)pq_get_int(rows, 0, 1);
	small = pq_get_int(rows, 0, 2) != 0;
	pq_free(&rows);
	return small || x->rows == 0 ? count_rows(s, from, &x->rows, e) : 0;
}

int
postgres_size(struct postgres *s, uint64_t *bytes, struct error *e)
{
	struct pq_rows *rows = NULL;

	if (postgres_query(s, "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class"
	    " WHERE relnamespace = 'monitor'::regnamespace AND relkind IN ('r', 'S')", NULL, &rows, e) == -1)
		return -1;
	*bytes = (uint64_t)pq_get_int(rows, 0, 0);
	pq_free(&rows);
	return 0;
}

/* ---- statistics ------------------------------------------------------------------ */

static const char extents[] =
	"SELECT coalesce(sum(" ABOUT "), 0)::bigint,"
	" coalesce(sum(pg_relation_size(c.oid)), 0) <= " SMALL_BYTES " FROM pg_inherits AS i"
	" JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass('monitor.' || $1)";

/* Strays are few, as a rule. */
static const char singles[] =
	"SELECT s.version, b.taken, (SELECT count(*) FROM monitor.mark), t.logs, t.n - t.logs, t.n"
	" FROM monitor.store AS s, (SELECT taken FROM monitor.batch ORDER BY number DESC LIMIT 1) AS b,"
	" (SELECT count(*), count(*) FILTER (WHERE kind = 0) FROM monitor.stray) AS t (n, logs)";

static const char names[] =
	"SELECT count(DISTINCT watchdog), count(DISTINCT sender) FROM"
	" (SELECT DISTINCT watchdog, sender FROM monitor.log UNION SELECT DISTINCT watchdog, sender"
	" FROM monitor.notification UNION SELECT DISTINCT watchdog, sender FROM monitor.stray) AS n";

static int
read_kind(struct postgres *s, enum record_kind kind, struct store_stats *st, struct error *e)
{
	struct pq_params p = { 0 };
	struct pq_rows *rows = NULL;
	uint64_t n;
	bool small;

	pq_text(&p, str_of(record_kind_name(kind)));
	if (postgres_query(s, extents, &p, &rows, e) == -1)
		return -1;
	n = (uint64_t)pq_get_int(rows, 0, 0);
	small = pq_get_int(rows, 0, 1) != 0;
	pq_free(&rows);
	if (small && count_rows(s, record_kind_name(kind), &n, e) == -1)
		return -1;
	st->about = st->about || !small;
	st->rows[kind] += n;
	return 0;
}

static int
read_singles(struct postgres *s, struct store_stats *st, struct error *e)
{
	struct pq_rows *rows = NULL;

	if (postgres_query(s, singles, NULL, &rows, e) == -1)
		return -1;
	if (pq_count(rows) == 1) {
		st->schema = (int)pq_get_int(rows, 0, 0);
		st->arrival = pq_get_int(rows, 0, 1);
		st->sources = (uint64_t)pq_get_int(rows, 0, 2);
		st->rows[RECORD_LOG] = (uint64_t)pq_get_int(rows, 0, 3);
		st->rows[RECORD_NOTIFICATION] = (uint64_t)pq_get_int(rows, 0, 4);
		st->strays = (uint64_t)pq_get_int(rows, 0, 5);
	}
	pq_free(&rows);
	return 0;
}

static int
read_names(struct postgres *s, struct store_stats *st, struct error *e)
{
	struct pq_rows *rows = NULL;

	if (postgres_query(s, names, NULL, &rows, e) == -1)
		return -1;
	st->watchdogs = (uint64_t)pq_get_int(rows, 0, 0);
	st->senders = (uint64_t)pq_get_int(rows, 0, 1);
	pq_free(&rows);
	return 0;
}

int
postgres_stats(void *impl, struct store_stats *st, struct error *e)
{
	struct postgres *s = impl;
	struct query q = query_all();

	*st = (struct store_stats){ .engine = "postgresql" };
	if (read_singles(s, st, e) == -1 || postgres_size(s, &st->bytes, e) == -1)
		return -1;
	for (int k = 0; k < RECORD_KINDS; k++) {
		q.kinds = RECORD_KIND_BIT(k);
		if (read_kind(s, k, st, e) == -1 ||
		    postgres_span(s, &q, &st->first[k], &st->last[k], e) == -1)
			return -1;
	}
	return st->about ? 0 : read_names(s, st, e);
}
