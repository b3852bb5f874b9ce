/*
 * Forgetting. First what is older than its window, by time or by arrival; then the oldest
 * logs, a partition at a time, until the bound on size holds; then what nothing refers to any more.
 */
#include "postgres/purge.h"

enum { STEP = 10000 };

/* ---- records ----------------------------------------------------------------------- */

static bool
restricted(const struct purge *p)
{
	return p->watchdog_count > 0 || p->level_min != INT64_MIN;
}

/* What is as old by its time as `x` says cannot have arrived much later, unless it is a
 * stray. */
static int
purge_by_age(struct purging *pg, enum record_kind kind, struct error *e)
{
	double time = pg->p->now - pg->p->window[kind];
	struct expiry x = { .time = time, .arrival = arrival_of(time) };
	int64_t end = arrival_of(time + pg->s->bound + 1);
	struct partitions *ps = &pg->partitions[kind];

	for (size_t i = 0; i < ps->n && ps->v[i].first < end && !purging_stopped(pg); i++) {
		struct partition *part = &ps->v[i];
		bool whole = part->end <= x.arrival && part->end <= pg->closed && !restricted(pg->p);
		if (!whole && pg->p->whole)
			break;
		if ((whole ? partition_drop(pg, kind, part, e) : expire_rows(pg, kind, part, &x, e)) == -1)
			return -1;
	}
	return purging_stopped(pg) ? 0 : expire_rows(pg, kind, NULL, &x, e);
}

/* Does the store take more than it may? Asked anew each time, because others may purge meanwhile; on a
 * dry run what would be dropped is still there. 1 or 0; or -1. */
static int
is_too_large(struct purging *pg, struct error *e)
{
	uint64_t size;

	if (postgres_size(pg->s, &size, e) == -1)
		return -1;
	return size > pg->p->max_size + (pg->p->dry_run ? pg->dropped : 0);
}

/* Strays go with those that arrived when they did. */
static int
purge_by_size(struct purging *pg, struct error *e)
{
	struct partitions *ps = &pg->partitions[RECORD_LOG];
	struct expiry x = { .time = -INFINITY, .arrival = INT64_MIN };
	int large = 1;

	for (size_t i = 0; i < ps->n && !pg->in_use && !purging_stopped(pg); i++) {
		struct partition *part = &ps->v[i];
		if (part->gone)
			continue;
		if (part->end > pg->closed || (large = is_too_large(pg, e)) != 1)
			break;
		if (partition_drop(pg, RECORD_LOG, part, e) == -1)
			return -1;
		if (!pg->in_use)
			x.arrival = part->end;
	}
	return large == -1 ? -1 : x.arrival == INT64_MIN ? 0 : expire_rows(pg, RECORD_LOG, NULL, &x, e);
}

static int
purge_records(struct purging *pg, struct error *e)
{
	for (int k = 0; k < RECORD_KINDS; k++)
		if (pg->p->window[k] > 0 && !purging_stopped(pg) && purge_by_age(pg, k, e) == -1)
			return -1;
	return pg->p->max_size > 0 && !purging_stopped(pg) ? purge_by_size(pg, e) : 0;
}

/* ---- marks --------------------------------------------------------------------------- */

static const char count_marks[] = "SELECT count(*) FROM monitor.mark WHERE seen < $1";

static const char drop_marks[] =
	"WITH step AS MATERIALIZED"
	" (SELECT source, seen FROM monitor.mark WHERE source > $2 ORDER BY source LIMIT 10000),"
	" gone AS (DELETE FROM monitor.mark WHERE seen < $1"
	" AND source = ANY (ARRAY(SELECT source FROM step WHERE seen < $1)) RETURNING 1)"
	" SELECT (SELECT count(*) FROM gone), count(*), max(source) FROM step";

static int
count_old_marks(struct purging *pg, double limit, struct error *e)
{
	struct pq_params p = { 0 };
	struct pq_rows *rows = NULL;

	pq_double(&p, limit);
	if (postgres_query(pg->s, count_marks, &p, &rows, e) == -1)
		return -1;
	pg->out->marks = (uint64_t)pq_get_int(rows, 0, 0);
	pq_free(&rows);
	return 0;
}

/* Of those behind the name in `after`, which moves on; 1 if there are more. */
static int
drop_some_marks(struct purging *pg, double limit, struct buf *after, struct error *e)
{
	struct pq_params p = { 0 };
	struct pq_rows *rows = NULL;
	int rc;

	pq_double(&p, limit);
	pq_text(&p, (struct str){ after->len > 0 ? after->data : "", after->len });
	if (pq_query_within(pg->s->pq, PURGE_PATIENCE, drop_marks, &p, &rows, e) == -1)
		return -1;
	pg->out->marks += (uint64_t)pq_get_int(rows, 0, 0);
	rc = pq_get_int(rows, 0, 1) == STEP;
	after->len = 0;
	if (buf_add_str(after, pq_get_text(rows, 0, 2)) == -1)
		rc = error_memory(e);
	pq_free(&rows);
	return rc;
}

static int
purge_marks(struct purging *pg, struct error *e)
{
	double limit = pg->p->now - pg->p->marks_window;
	struct buf after = { 0 };
	int rc = 1;

	if (pg->p->dry_run)
		return count_old_marks(pg, limit, e);
	while (rc == 1 && !purging_stopped(pg))
		rc = drop_some_marks(pg, limit, &after, e);
	buf_free(&after);
	return rc == -1 ? -1 : 0;
}

/* ---- batches ---------------------------------------------------------------------------- */

static const char oldest[] =
	"SELECT least((SELECT min(arrival) FROM monitor.log), (SELECT min(arrival) FROM monitor.notification),"
	" (SELECT min(arrival) FROM monitor.stray)), (SELECT max(number) FROM monitor.batch)";

/* From the first on, as far as no record is left of them; but never the last. $1: the oldest record;
 * $2: the last batch that there was then. (Without any record all batches up to that were empty;
 * those that have come since are not.) */
static const char drop_batches[] =
	"WITH head AS (SELECT number, last FROM monitor.batch ORDER BY number LIMIT 10001)"
	" DELETE FROM monitor.batch WHERE number <"
	" (SELECT least(coalesce(min(number) FILTER (WHERE last >= $1), max(number)), $2) FROM head)";

static int
drop_first_batches(struct purging *pg, struct error *e)
{
	struct pq_params p = { 0 };
	struct pq_rows *rows = NULL;
	uint64_t n = STEP;

	if (pq_query(pg->s->pq, oldest, NULL, &rows, e) == -1)
		return -1;
	pq_int(&p, pq_is_null(rows, 0, 0) ? INT64_MAX : pq_get_int(rows, 0, 0));
	pq_int(&p, pq_get_int(rows, 0, 1));
	pq_free(&rows);
	while (n == STEP && !purging_stopped(pg)) {
		if (pq_query_within(pg->s->pq, INFINITY, drop_batches, &p, &rows, e) == -1)
			return -1;
		n = pq_affected(rows);
		pq_free(&rows);
	}
	return 0;
}

/* Records that are kept for ever do not keep the batches of all others: those, too, go of which no
 * record is left. $1: behind this arrival; $2: before this one. */
#define NOT_IN(table) "NOT EXISTS (SELECT FROM monitor." table " AS r WHERE r.arrival >= b.first AND r.arrival <= b.last)"
static const char drop_empty_batches[] =
	"WITH step AS MATERIALIZED (SELECT number, first, last FROM monitor.batch"
	" WHERE first > $1 AND first < $2 ORDER BY first LIMIT 10000),"
	" gone AS (DELETE FROM monitor.batch WHERE number = ANY (ARRAY(SELECT number FROM step AS b"
	" WHERE " NOT_IN("log") " AND " NOT_IN("notification") " AND " NOT_IN("stray") "))"
	" AND number < (SELECT max(number) FROM monitor.batch))"
	" SELECT count(*), max(first) FROM step";

static int
drop_batches_of(struct purging *pg, const struct partition *part, struct error *e)
{
	int64_t after = part->first - 1, n = STEP;
	struct pq_rows *rows = NULL;

	while (n == STEP && !purging_stopped(pg)) {
		struct pq_params p = { 0 };
		pq_int(&p, after);
		pq_int(&p, part->end);
		if (pq_query_within(pg->s->pq, INFINITY, drop_empty_batches, &p, &rows, e) == -1)
			return -1;
		n = pq_get_int(rows, 0, 0);
		after = pq_get_int(rows, 0, 1);
		pq_free(&rows);
	}
	return 0;
}

static int
purge_batches(struct purging *pg, struct error *e)
{
	if (drop_first_batches(pg, e) == -1)
		return -1;
	for (int k = 0; k < RECORD_KINDS; k++)
		for (size_t i = 0; i < pg->partitions[k].n; i++)
			if (pg->partitions[k].v[i].gone &&
			    drop_batches_of(pg, &pg->partitions[k].v[i], e) == -1)
				return -1;
	return 0;
}

/* ---- a purge ------------------------------------------------------------------------------ */

/* So that writers seldom have to. */
static const char make_partitions[] = "SELECT monitor.make_due_partitions()";

static int
purge_all(struct purging *pg, struct error *e)
{
	const struct purge *p = pg->p;

	if (partitions_list(pg, e) == -1 || (!p->dry_run && partitions_finish(pg, e) == -1) ||
	    purge_records(pg, e) == -1 ||
	    (p->marks_window > 0 && !purging_stopped(pg) && purge_marks(pg, e) == -1))
		return -1;
	if (p->dry_run || purging_stopped(pg))
		return 0;
	if (purge_batches(pg, e) == -1)
		return -1;
	return pq_query_within(pg->s->pq, PURGE_PATIENCE, make_partitions, NULL, NULL, e);
}

static int
check(const struct postgres *s, const struct purge *p, struct error *e)
{
	if (p->keep_free > 0)
		return error_set(e, ERROR_USAGE, "%s: how much is free on the server's disk is not known;"
		    " bound the size of the store instead", s->where);
	if ((p->max_size > 0 || p->whole) && restricted(p))
		return error_set(e, ERROR_USAGE, "%s: whole partitions go with every watchdog and level in"
		    " them", s->where);
	return 0;
}

int
postgres_purge(void *impl, const struct purge *p, const volatile int *stop, struct purged *out,
    struct error *e)
{
	struct postgres *s = impl;
	struct purging pg = { .s = s, .p = p, .stop = stop, .out = out };
	struct error why;
	int rc;

	*out = (struct purged){ 0 };
	if (check(s, p, e) == -1)
		return -1;
	if ((rc = purge_all(&pg, &why)) == 0 && (rc = postgres_size(s, &out->size, &why)) == 0 &&
	    pg.in_use) {
		why = pg.why;
		rc = -1;
	}
	out->given_back = p->dry_run ? 0 : pg.dropped;
	partitions_free(&pg);
	if (rc == -1 && why.kind == ERROR_NONE)   /* told to stop */
		return 0;
	if (rc == -1 && why.kind == ERROR_DENIED)
		error_set(e, ERROR_DENIED, "%s (a purge takes a member of monitor_purger)", why.text);
	else if (rc == -1 && e != NULL)
		*e = why;
	return rc;
}
