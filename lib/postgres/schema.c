#include <stdio.h>
#include <string.h>

#include "crypto.h"
#include "postgres/postgres.h"
#include "schema_postgres.h"
#include "schema_postgres_roles.h"

static int
no_store(const struct postgres *s, struct error *e)
{
	return error_set(e, ERROR_ABSENT, "%s: no store there (monitor-ingest --create-schema makes one)",
	    s->where);
}

static int
take_settings(struct postgres *s, const struct pq_rows *rows, struct error *e)
{
	int64_t version = pq_get_int(rows, 0, 0), id = pq_get_int(rows, 0, 1);

	if (version > POSTGRES_SCHEMA_VERSION)
		return error_set(e, ERROR_NEWER, "%s: made by a newer version (schema %lld)", s->where,
		    (long long)version);
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

int
store_schema(double interval, struct buf *b, struct error *e)
{
	(void)interval;
	if (buf_add_str(b, str_of(schema_postgres)) == -1)
		return error_memory(e);
	return 0;
}
