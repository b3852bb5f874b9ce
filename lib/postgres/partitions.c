/*
 * Whole partitions. DETACH ... CONCURRENTLY first makes a partition invisible to every query
 * that begins, then waits for those that had begun, holding nothing that others want; only
 * then it is dropped. It cannot be part of a transaction, and what waits for too long is
 * cancelled: so between any two steps a purge may have ended, or another be at the same
 * partition. Each step looks where it stands.
 *
 * What was detached by somebody else, to be kept, is not ours: a partition is marked first, by
 * a comment.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "postgres/purge.h"
#include "when.h"

/* Between attempts: at first, and at most. */
enum { AGAIN_MS = 20, AGAIN_MS_MAX = 500 };

#define MARK "to be dropped by monitor-purge"

static const char list[] =
	"SELECT name, (bounds)[1]::bigint, (bounds)[2]::bigint, closed FROM"
	" (SELECT quote_ident(c.relname) AS name, regexp_match(pg_get_expr(c.relpartbound, c.oid),"
	" 'FROM [(]''?(-?[0-9]+)''?[)] TO [(]''?(-?[0-9]+)''?[)]') AS bounds"
	" FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
	" WHERE i.inhparent = to_regclass('monitor.' || $1) AND NOT i.inhdetachpending) AS p,"
	" monitor.arrival_of(floor(extract(epoch FROM clock_timestamp()))::bigint - $2) AS closed"
	" WHERE bounds IS NOT NULL ORDER BY 2";

/* Interrupted: a detach, or what was to follow. */
static const char unfinished[] =
	"SELECT quote_ident(c.relname),"
	" coalesce(i.inhparent = to_regclass('monitor.notification'), c.relname LIKE 'notification%')"
	" FROM pg_class AS c"
	" LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid"
	" WHERE c.relnamespace = 'monitor'::regnamespace AND c.relkind = 'r' AND (i.inhdetachpending"
	" OR (NOT c.relispartition AND obj_description(c.oid, 'pg_class') = '" MARK "'))";

static const char look[] =
	"SELECT c.relispartition, coalesce(i.inhdetachpending, false),"
	" coalesce(obj_description(c.oid, 'pg_class') = '" MARK "', false)"
	" FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid"
	" WHERE c.oid = to_regclass('monitor.' || $1)";

/* ---- which there are --------------------------------------------------------------- */

/* A writer may reserve an arrival, and take its time to copy the rows in. */
enum { CLOSED_AFTER = 600 };   /* seconds */

static void
copy_name(struct partition *part, struct str name)
{
	snprintf(part->name, sizeof(part->name), "%.*s", STR_ARGS(name));
}

static int
list_kind(struct purging *pg, enum record_kind kind, struct error *e)
{
	struct partitions *ps = &pg->partitions[kind];
	struct pq_params p = { 0 };
	struct pq_rows *rows = NULL;

	pq_text(&p, str_of(record_kind_name(kind)));
	pq_int(&p, CLOSED_AFTER);
	if (postgres_query(pg->s, list, &p, &rows, e) == -1)
		return -1;
	ps->n = pq_count(rows);
	if ((ps->v = calloc(ps->n + 1, sizeof(*ps->v))) == NULL) {
		pq_free(&rows);
		return error_memory(e);
	}
	for (size_t i = 0; i < ps->n; i++) {
		copy_name(&ps->v[i], pq_get_text(rows, i, 0));
		ps->v[i].first = pq_get_int(rows, i, 1);
		ps->v[i].end = pq_get_int(rows, i, 2);
		pg->closed = pq_get_int(rows, i, 3);
	}
	pq_free(&rows);
	return 0;
}

int
partitions_list(struct purging *pg, struct error *e)
{
	for (int k = 0; k < RECORD_KINDS; k++)
		if (list_kind(pg, k, e) == -1)
			return -1;
	return 0;
}

void
partitions_free(struct purging *pg)
{
	for (int k = 0; k < RECORD_KINDS; k++)
		free(pg->partitions[k].v);
}

/* ---- counting one ------------------------------------------------------------------- */

static void
count(struct purging *pg, enum record_kind kind, const struct postgres_extent *x)
{
	pg->out->rows[kind] += x->rows;
	pg->out->bytes[kind] += x->bytes;
	pg->dropped += x->bytes;
}

/* ---- step by step ----------------------------------------------------------------------- */

enum place { ATTACHED, MARKED, DETACHING, DETACHED, GONE };

struct dropping {
	struct purging *pg;
	enum record_kind kind;
	const char *name;
	double end;         /* of our patience */
	struct buf sql;
	struct postgres_extent extent;
};

static int
find(struct dropping *d, enum place *place, struct error *e)
{
	struct pq_params p = { 0 };
	struct pq_rows *rows = NULL;

	pq_text(&p, str_of(d->name));
	if (pq_query(d->pg->s->pq, look, &p, &rows, e) == -1)
		return -1;
	*place = GONE;
	if (pq_count(rows) == 1) {
		bool attached = pq_get_int(rows, 0, 0) != 0, detaching = pq_get_int(rows, 0, 1) != 0;
		bool marked = pq_get_int(rows, 0, 2) != 0;
		*place = detaching ? DETACHING : attached ? (marked ? MARKED : ATTACHED) :
		    marked ? DETACHED : GONE;   /* to us */
	}
	pq_free(&rows);
	return 0;
}

static int
write_step(struct dropping *d, enum place place)
{
	const char *kind = record_kind_name(d->kind);

	d->sql.len = 0;
	switch (place) {
	case ATTACHED:
		return buf_printf(&d->sql, "COMMENT ON TABLE monitor.%s IS '" MARK "'%c", d->name, '\0');
	case MARKED:
		return buf_printf(&d->sql, "ALTER TABLE monitor.%s DETACH PARTITION monitor.%s CONCURRENTLY%c",
		    kind, d->name, '\0');
	case DETACHING:
		return buf_printf(&d->sql, "ALTER TABLE monitor.%s DETACH PARTITION monitor.%s FINALIZE%c",
		    kind, d->name, '\0');
	default:
		return buf_printf(&d->sql, "DROP TABLE monitor.%s%c", d->name, '\0');
	}
}

static int
take_step(struct dropping *d, enum place place, struct error *e)
{
	if (write_step(d, place) == -1)
		return error_memory(e);
	if (place == DETACHED && postgres_measure(d->pg->s, d->name, d->name, &d->extent, e) == -1)
		return -1;
	return pq_query_within(d->pg->s->pq, d->end - when_ticks(), d->sql.data, NULL, NULL, e);
}

/* Another purge may have been faster, or be at it. */
static bool
may_pass(struct pq *q, const struct error *e)
{
	return !pq_lost(q) && (e->kind == ERROR_BUSY || e->kind == ERROR_ABSENT ||
	    strcmp(pq_state(q), "55000") == 0);
}

/* Until it is gone: 1 if it was we who dropped it. */
static int
take_steps(struct dropping *d, struct error *e)
{
	enum place place;
	struct error why;
	int ms = AGAIN_MS;

	while (!purging_stopped(d->pg)) {
		if (find(d, &place, &why) == 0) {
			if (place == GONE)
				return 0;
			if (take_step(d, place, &why) == 0) {
				if (place == DETACHED)
					return 1;
				continue;
			}
		}
		if (!may_pass(d->pg->s->pq, &why)) {
			if (e != NULL)
				*e = why;
			return -1;
		}
		if (when_ticks() >= d->end) {
			d->pg->in_use = true;
			error_set(&d->pg->why, ERROR_BUSY, "%s: %s is in use, by a transaction that does not"
			    " end", d->pg->s->where, d->name);
			return 0;
		}
		poll(NULL, 0, ms);
		ms = ms * 2 < AGAIN_MS_MAX ? ms * 2 : AGAIN_MS_MAX;
	}
	return 0;
}

static int
drop(struct purging *pg, enum record_kind kind, const char *name, struct error *e)
{
	struct dropping d = { .pg = pg, .kind = kind, .name = name,
	    .end = when_ticks() + PURGE_PATIENCE };
	int rc = pg->in_use ? 0 : take_steps(&d, e);

	buf_free(&d.sql);
	if (rc == 1)
		count(pg, kind, &d.extent);
	return rc == -1 ? -1 : 0;
}

/* On a dry run it is looked at through the table of its kind, which is all that readers may read. */
int
partition_drop(struct purging *pg, enum record_kind kind, struct partition *part, struct error *e)
{
	struct postgres_extent x;
	char from[128];

	part->gone = true;
	if (!pg->p->dry_run)
		return drop(pg, kind, part->name, e);
	snprintf(from, sizeof(from), "%s WHERE arrival >= %lld AND arrival < %lld",
	    record_kind_name(kind), (long long)part->first, (long long)part->end);
	if (postgres_measure(pg->s, part->name, from, &x, e) == -1)
		return -1;
	count(pg, kind, &x);
	return 0;
}

int
partitions_finish(struct purging *pg, struct error *e)
{
	struct pq_rows *rows = NULL;
	struct partition part;
	int rc = 0;

	if (postgres_query(pg->s, unfinished, NULL, &rows, e) == -1)
		return -1;
	for (size_t i = 0; rc == 0 && i < pq_count(rows); i++) {
		copy_name(&part, pq_get_text(rows, i, 0));
		rc = drop(pg, pq_get_int(rows, i, 1) != 0 ? RECORD_NOTIFICATION : RECORD_LOG, part.name, e);
	}
	pq_free(&rows);
	return rc;
}
