#include <stdio.h>
#include <string.h>

#include "crypto.h"
#include "postgres/postgres.h"
#include "schema_postgres.h"
#include "schema_postgres_functions.h"
#include "schema_postgres_roles.h"

static int
no_store(const struct postgres *s, struct error *e)
{
	return error_set(e, ERROR_ABSENT, "%s: no store there (monitor-ingest --create-schema makes one)",
	    s->where);
}

static int
newer(const char *where, int64_t version, struct error *e)
{
	return error_set(e, ERROR_NEWER, "%s: made by a newer monitor (schema %lld, this one knows %d)",
	    where, (long long)version, POSTGRES_SCHEMA_VERSION);
}

static int
take_settings(struct postgres *s, const struct pq_rows *rows, struct error *e)
{
	int64_t version = pq_get_int(rows, 0, 0), id = pq_get_int(rows, 0, 1);

	if (version > POSTGRES_SCHEMA_VERSION)
		return newer(s->where, version, e);
	if (version < POSTGRES_SCHEMA_VERSION)
		return error_set(e, ERROR_INVALID, "%s: made by an older monitor (schema %lld): run"
		    " monitor-ingest --create-schema", s->where, (long long)version);
	if (s->id != 0 && s->id != id)
		return error_set(e, ERROR_GONE, "%s: was replaced by another store", s->where);
	s->id = id;
	s->interval[RECORD_LOG] = pq_get_int(rows, 0, 2);
	s->interval[RECORD_NOTIFICATION] = pq_get_int(rows, 0, 3);
	s->bound = (double)pq_get_int(rows, 0, 4);
	return 0;
}

int
postgres_check(struct postgres *s, struct error *e)
{
	struct pq_rows *rows = NULL;
	int rc;

	if (pq_query(s->pq, "SELECT version, id, log_interval, notification_interval, bound"
	    " FROM monitor.store", NULL, &rows, e) == -1)
		return strncmp(pq_state(s->pq), "42P01", 5) == 0 || strncmp(pq_state(s->pq), "3F000", 5) == 0 ?
		    no_store(s, e) : -1;
	rc = pq_count(rows) == 1 ? take_settings(s, rows, e) : no_store(s, e);
	pq_free(&rows);
	return rc;
}

/* ---- making it ------------------------------------------------------------------- */

enum { BOUND = 86400, NOTIFICATION_INTERVALS = 30 };

/* Arrivals end in 2088 (ARRIVAL_SECOND_BITS), and partitions of notifications are made two ahead. */
enum { INTERVAL_MOST = 100 * 86400 };

/* Two who make it at once: the second finds it there. */
static const char begin[] = "BEGIN; SELECT pg_advisory_xact_lock(1835954290, 0)";

/* The tables, what is called, and the row of monitor.store, with an id that nobody has had before. */
static int
add_schema(double interval, struct buf *text)
{
	if (buf_add_str(text, str_of(schema_postgres)) == -1 || buf_add(text, "\n", 1) == -1 ||
	    buf_add_str(text, str_of(schema_postgres_functions)) == -1)
		return -1;
	return buf_printf(text, "\nINSERT INTO monitor.store VALUES (true, %d,\n"
	    "\t('x' || left(replace(gen_random_uuid()::text, '-', ''), 15))::bit(60)::bigint + 1,\n"
	    "\t%.0f, %.0f, %d);\n", POSTGRES_SCHEMA_VERSION, interval,
	    interval * NOTIFICATION_INTERVALS, BOUND);
}

static int
check_interval(double interval, struct error *e)
{
	if (interval >= 1 && interval <= INTERVAL_MOST && interval == floor(interval))
		return 0;
	return error_set(e, ERROR_USAGE, "a partition holds 1 second to 100 days, in whole seconds");
}

int
postgres_schema(double interval, bool roles_only, struct buf *text, struct error *e)
{
	if (check_interval(interval, e) == -1)
		return -1;
	if (!roles_only && (add_schema(interval, text) == -1 || buf_add(text, "\n", 1) == -1))
		return error_memory(e);
	return buf_add_str(text, str_of(schema_postgres_roles)) == 0 ? 0 : error_memory(e);
}

static int
run_text(struct pq *q, struct buf *text, struct error *e)
{
	if (buf_add(text, "", 1) == -1)
		return error_memory(e);
	return pq_run(q, text->data, e);
}

static int
make(struct pq *q, double interval, struct error *left, struct error *e)
{
	struct buf text = { 0 };
	int rc = -1;

	if (add_schema(interval, &text) == -1)
		error_memory(e);
	else
		rc = run_text(q, &text, e);
	buf_free(&text);
	if (rc == -1 || pq_run(q, "SAVEPOINT roles", e) == -1)
		return -1;
	if (pq_run(q, schema_postgres_roles, left) == 0)
		return 0;
	if (left->kind != ERROR_DENIED)
		return error_set(e, left->kind, "%s", left->text);
	return pq_run(q, "ROLLBACK TO roles", e);
}

/* What has changed so far are functions, and what they have to themselves: the newest take the place
 * of all others. (Version 1 had locks that whoever may log in could hold. A batch that still waits for
 * one may take the number of one that holds the new lock: then it is tried again.) */
static int
migrate(struct pq *q, struct error *e)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "UPDATE monitor.store SET version = %d", POSTGRES_SCHEMA_VERSION);
	return pq_run(q, schema_postgres_functions, e) == -1 ? -1 : pq_run(q, sql, e);
}

/* What version there is; 0: no store. */
static int
find_version(struct pq *q, int64_t *version, struct error *e)
{
	struct pq_rows *rows = NULL;
	int rc;

	*version = 0;
	if (pq_query(q, "SELECT 1 WHERE to_regclass('monitor.store') IS NOT NULL", NULL, &rows, e) == -1)
		return -1;
	rc = pq_count(rows) == 1;
	pq_free(&rows);
	if (rc == 0)
		return 0;
	if (pq_query(q, "SELECT version FROM monitor.store", NULL, &rows, e) == -1)
		return -1;
	rc = 0;
	if (pq_count(rows) == 1)
		*version = pq_get_int(rows, 0, 0);
	else
		rc = error_set(e, ERROR_CORRUPT, "%s: damaged: no schema version", pq_where(q));
	pq_free(&rows);
	return rc;
}

static int
make_or_migrate(struct pq *q, double interval, enum store_made *made, struct error *left,
    struct error *e)
{
	int64_t version;

	if (pq_run(q, begin, e) == -1 || find_version(q, &version, e) == -1)
		return -1;
	if (version > POSTGRES_SCHEMA_VERSION)
		return newer(pq_where(q), version, e);
	*made = version == 0 ? STORE_MADE :
	    version < POSTGRES_SCHEMA_VERSION ? STORE_MIGRATED : STORE_THERE;
	if (*made == STORE_MADE ? make(q, interval, left, e) == -1 :
	    *made == STORE_MIGRATED && migrate(q, e) == -1)
		return -1;
	return pq_run(q, "COMMIT", e);
}

int
postgres_create_schema(const char *conninfo, double interval, enum store_made *made,
    struct error *left, struct error *e)
{
	struct pq *q;
	int rc;

	*left = (struct error){ 0 };
	if (check_interval(interval, e) == -1 ||
	    (q = pq_open(conninfo, "monitor schema", true, -1, e)) == NULL)
		return -1;
	rc = make_or_migrate(q, interval, made, left, e);
	pq_close(&q);
	return rc;
}
