/*
 * Looking through everything: not at what the server sees to itself - that rows are in the
 * bounds of their partitions, and keys unique in a table - but at what this store
 * promises on top. In slices, each a statement, and so true of one moment: a writer or a purge
 * at work is not mistaken for damage.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "postgres/postgres.h"

enum { FINDINGS = 100 };   /* told one by one; the others are counted */
enum { ROWS = 2000, BATCHES = 10000 };

struct verify {
	struct postgres *s;
	void (*found)(void *arg, const char *text);
	void *arg;
	int64_t count;
	struct buf text;
	struct json json;
};

__attribute__((format(printf, 2, 3))) static void
report(struct verify *v, const char *fmt, ...)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s: ", v->s->where);
	va_list ap;

	if (v->count++ >= FINDINGS)
		return;
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	v->found(v->arg, text);
}

/* ---- rows --------------------------------------------------------------------- */

/* U+0010 that begins no escape. */
#define BROKEN(text) "(strpos(" text ", E'\\x10') > 0 AND strpos(replace(replace(" text \
	", E'\\x10\\x10', ''), E'\\x100', ''), E'\\x10') > 0)"

/* $1: the last arrival that was looked at. What is long is asked for by itself. */
#define SLICE(table, others) "SELECT arrival, time, " \
	BROKEN("sender") " OR " BROKEN("message") " OR coalesce(" BROKEN("extra") ", false)," \
	" watchdog ~ '^[A-Za-z0-9_-]{1,64}$', coalesce((SELECT last FROM monitor.batch AS b" \
	" WHERE b.first <= t.arrival ORDER BY b.first DESC LIMIT 1) >= arrival, false), " others "," \
	" extra IS NULL, CASE WHEN octet_length(extra) <= 8192 THEN extra END" \
	" FROM monitor." table " AS t WHERE arrival > $1 ORDER BY arrival LIMIT 2000"
enum { ARRIVAL, TIME, IS_BROKEN, IS_CODE, IN_BATCH, IS_TWICE, NO_EXTRA, EXTRA };

#define IN(table) "EXISTS (SELECT FROM monitor." table " AS o WHERE o.arrival = t.arrival)"

static const struct table {
	const char *name, *slice, *extra;
	bool strays;
} tables[] = {
	{ "log", SLICE("log", IN("notification") " OR " IN("stray")),
	    "SELECT extra FROM monitor.log WHERE arrival = $1", false },
	{ "notification", SLICE("notification", IN("stray")),
	    "SELECT extra FROM monitor.notification WHERE arrival = $1", false },
	{ "stray", SLICE("stray", "kind NOT IN (0, 1)"),
	    "SELECT extra FROM monitor.stray WHERE arrival = $1", true },
};

/* 1, or 0 if it is not one JSON object. */
static int
is_object(struct verify *v, struct str extra, struct error *e)
{
	struct str value;
	struct error why;

	v->text.len = 0;
	if (buf_add_str(&v->text, extra) == -1)
		return error_memory(e);
	v->text.len = text_decode(v->text.data, v->text.len);
	if (json_open(&v->json, (struct str){ v->text.data, v->text.len }, &value, &why) == 0)
		return json_is_object(value);
	return why.kind == ERROR_INVALID ? 0 : error_memory(e);
}

static int
check_extra(struct verify *v, const struct table *t, const struct pq_rows *rows, size_t i,
    struct error *e)
{
	int64_t arrival = pq_get_int(rows, i, ARRIVAL);
	struct pq_params p = { 0 };
	struct pq_rows *alone = NULL;
	int rc = 1;

	if (!pq_is_null(rows, i, EXTRA)) {
		rc = is_object(v, pq_get_text(rows, i, EXTRA), e);
	} else {
		pq_int(&p, arrival);
		if (postgres_query(v->s, t->extra, &p, &alone, e) == -1)
			return -1;
		if (pq_count(alone) == 1)   /* not purged meanwhile */
			rc = is_object(v, pq_get_text(alone, 0, 0), e);
		pq_free(&alone);
	}
	if (rc == 0)
		report(v, "%s %lld: its extra members are no JSON object", t->name, (long long)arrival);
	return rc == -1 ? -1 : 0;
}

static int
check_row(struct verify *v, const struct table *t, const struct pq_rows *rows, size_t i,
    struct error *e)
{
	int64_t arrival = pq_get_int(rows, i, ARRIVAL);
	double time = pq_get_double(rows, i, TIME);
	long long n = arrival;

	if (!isfinite(time))
		report(v, "%s %lld: its time is no number", t->name, n);
	else if (arrival_is_stray(v->s, time, arrival) != t->strays)
		report(v, t->strays ? "%s %lld: its time is near its arrival" :
		    "%s %lld: its time is far from its arrival", t->name, n);
	if (pq_get_int(rows, i, IS_BROKEN) != 0)
		report(v, "%s %lld: an escape in a text is broken", t->name, n);
	if (pq_get_int(rows, i, IS_CODE) == 0)
		report(v, "%s %lld: its watchdog is no code", t->name, n);
	if (pq_get_int(rows, i, IN_BATCH) == 0)
		report(v, "%s %lld: it is in no batch", t->name, n);
	if (pq_get_int(rows, i, IS_TWICE) != 0)
		report(v, t->strays ? "%s %lld: its kind is none" :
		    "%s %lld: another table has this arrival, too", t->name, n);
	return pq_get_int(rows, i, NO_EXTRA) != 0 ? 0 : check_extra(v, t, rows, i, e);
}

static int
check_table(struct verify *v, const struct table *t, struct error *e)
{
	struct pq_params p;
	struct pq_rows *rows = NULL;
	int64_t after = INT64_MIN;
	size_t n = ROWS;
	int rc = 0;

	while (rc == 0 && n == ROWS) {
		p = (struct pq_params){ 0 };
		pq_int(&p, after);
		if (postgres_query(v->s, t->slice, &p, &rows, e) == -1)
			return -1;
		n = pq_count(rows);
		for (size_t i = 0; rc == 0 && i < n; i++)
			rc = check_row(v, t, rows, i, e);
		if (n > 0)
			after = pq_get_int(rows, n - 1, ARRIVAL);
		pq_free(&rows);
	}
	return rc;
}

/* ---- batches -------------------------------------------------------------------- */

static const char batches[] =
	"SELECT number, first, last, high, taken, EXISTS (SELECT FROM monitor.batch AS o"
	" WHERE o.first > b.first AND o.first <= b.last) FROM monitor.batch AS b"
	" WHERE number > $1 ORDER BY number LIMIT 10000";

struct batch {
	int64_t number, first, last, high, taken;
};

/* Purged ones leave holes. */
static void
check_batch(struct verify *v, const struct batch *b, const struct batch *before, bool overlaps)
{
	long long n = b->number;

	if (b->first > b->last)
		report(v, "batch %lld: it ends before it begins", n);
	if (overlaps)
		report(v, "batch %lld: another one begins in it", n);
	if (b->high < b->last || (before != NULL && b->high < before->high))
		report(v, "batch %lld: its high is not the highest", n);
	if (before != NULL && b->taken < before->taken)
		report(v, "batch %lld: it counts fewer records than the one before it", n);
}

static int
check_batches(struct verify *v, struct error *e)
{
	struct pq_params p;
	struct pq_rows *rows = NULL;
	struct batch b = { .number = -1 }, before;
	bool any = false;
	size_t n = BATCHES;

	while (n == BATCHES) {
		p = (struct pq_params){ 0 };
		pq_int(&p, b.number);
		if (postgres_query(v->s, batches, &p, &rows, e) == -1)
			return -1;
		n = pq_count(rows);
		for (size_t i = 0; i < n; i++, any = true) {
			before = b;
			b = (struct batch){ pq_get_int(rows, i, 0), pq_get_int(rows, i, 1),
			    pq_get_int(rows, i, 2), pq_get_int(rows, i, 3), pq_get_int(rows, i, 4) };
			check_batch(v, &b, any ? &before : NULL, pq_get_int(rows, i, 5) != 0);
		}
		pq_free(&rows);
	}
	if (!any)
		report(v, "there is no batch: nothing can be added");
	return 0;
}

/* ---- the rest ---------------------------------------------------------------------- */

static const char marks[] =
	"SELECT count(*) FROM monitor.mark"
	" WHERE NOT seen BETWEEN 0 AND extract(epoch FROM clock_timestamp()) + 86400";

static const char indexes[] =
	"SELECT c.relname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
	" WHERE c.relnamespace = 'monitor'::regnamespace AND NOT i.indisvalid ORDER BY 1";

static int
check_rest(struct verify *v, struct error *e)
{
	struct pq_rows *rows = NULL;
	int64_t n;

	if (postgres_query(v->s, marks, NULL, &rows, e) == -1)
		return -1;
	if ((n = pq_get_int(rows, 0, 0)) > 0)
		report(v, "%lld marks were moved at no possible time", (long long)n);
	pq_free(&rows);
	if (postgres_query(v->s, indexes, NULL, &rows, e) == -1)
		return -1;
	for (size_t i = 0; i < pq_count(rows); i++)
		report(v, "index %.*s is not valid", STR_ARGS(pq_get_text(rows, i, 0)));
	pq_free(&rows);
	return 0;
}

int64_t
postgres_verify(void *impl, void (*found)(void *arg, const char *text), void *arg,
    struct error *e)
{
	struct verify v = { .s = impl, .found = found, .arg = arg };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
		rc = check_table(&v, &tables[i], e);
	if (rc == 0 && (rc = check_batches(&v, e)) == 0)
		rc = check_rest(&v, e);
	if (rc == 0 && v.count > FINDINGS) {
		char text[64];
		snprintf(text, sizeof(text), "... and %lld more", (long long)v.count - FINDINGS);
		found(arg, text);
	}
	json_free(&v.json);
	buf_free(&v.text);
	return rc == -1 ? -1 : v.count;
}
