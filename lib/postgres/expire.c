/*
 * Rows that go. They are looked for in the order of an index, so many at a time, and what of
 * these goes is deleted in the same statement; the next one begins behind the last row that
 * was looked at. So each transaction is of bounded work, whatever the purge is
 * restricted to.
 */
#include "postgres/purge.h"

enum { STEP = 10000 };

/* What a row takes besides its texts, about: its head and its numbers, and three entries in
 * indexes. */
#define ROW_BYTES "120 + 2 * octet_length(watchdog) + octet_length(sender) + octet_length(message)" \
	" + coalesce(octet_length(extra), 0)"

/* $1, $2: the time and the arrival of the last row; $3: before this time; $4: before this
 * arrival; $5: this level or a less severe one; $6: of this watchdog; $7: of this kind;
 * $8, $9: the partition's arrivals. */
struct sweep {
	struct purging *pg;
	enum record_kind kind;
	const struct partition *part;   /* NULL: strays */
	struct expiry x;
	const struct str *watchdog;     /* NULL: all */
	struct str name;                /* as the tables have it */
	double time;                    /* of the last row */
	int64_t arrival;
	uint64_t seen;                  /* by the last step */
};

/* By time those that are too old by their time; by arrival the others. */
struct order {
	const char *key, *backwards, *rows, *goes;
};
static const struct order by_time = {
	"time, arrival", "time DESC, arrival DESC", "(time, arrival) > ($1, $2) AND time < $3", "true",
};
static const struct order by_arrival = {
	"arrival", "arrival DESC", "arrival > $2 AND arrival < $4", "time >= $3",
};

/* A dry run is for those, too, who may read the table, but do not own its partitions. */
static int
write_sql(struct buf *b, const struct sweep *w, const struct order *o)
{
	const char *table = w->part == NULL ? "stray" :
	    w->pg->p->dry_run ? record_kind_name(w->kind) : w->part->name;

	b->len = 0;
	if (buf_printf(b, "WITH seen AS MATERIALIZED (SELECT ctid AS place, time, arrival, " ROW_BYTES
	    " AS bytes, %s AND level >= $5%s AS goes FROM monitor.%s WHERE %s%s"
	    " AND arrival >= $8 AND arrival < $9 ORDER BY %s LIMIT %d), ",
	    o->goes, w->part == NULL ? " AND kind = $7" : "", table, o->rows,
	    w->watchdog != NULL ? " AND watchdog = $6" : "", o->key, STEP) == -1)
		return -1;
	if (w->pg->p->dry_run ?
	    buf_printf(b, "gone AS (SELECT bytes FROM seen WHERE goes)") == -1 :
	    buf_printf(b, "gone AS (DELETE FROM monitor.%s WHERE ctid = ANY (ARRAY("
	    "SELECT place FROM seen WHERE goes)) RETURNING " ROW_BYTES " AS bytes)", table) == -1)
		return -1;
	return buf_printf(b, " SELECT gone.n, gone.bytes, all_seen.n, last.time, last.arrival"
	    " FROM (SELECT count(*) AS n, coalesce(sum(bytes), 0)::bigint AS bytes FROM gone) AS gone,"
	    " (SELECT count(*) AS n FROM seen) AS all_seen LEFT JOIN"
	    " (SELECT time, arrival FROM seen ORDER BY %s LIMIT 1) AS last ON true%c", o->backwards, '\0');
}

static void
set_params(struct pq_params *p, const struct sweep *w)
{
	*p = (struct pq_params){ 0 };
	pq_double(p, w->time);
	pq_int(p, w->arrival);
	pq_double(p, w->x.time);
	pq_int(p, w->x.arrival);
	pq_int(p, w->pg->p->level_min);
	pq_text(p, w->name);
	pq_int(p, w->kind);
	pq_int(p, w->part != NULL ? w->part->first : INT64_MIN);
	pq_int(p, w->part != NULL ? w->part->end : INT64_MAX);
}

/* Another purge may have dropped the partition: then nothing is left in it. */
static int
step(struct sweep *w, const char *sql, struct error *e)
{
	struct pq_params p;
	struct pq_rows *rows = NULL;
	struct error why;

	set_params(&p, w);
	w->seen = 0;
	if (pq_query_within(w->pg->s->pq, INFINITY, sql, &p, &rows, &why) == -1) {
		if (why.kind == ERROR_ABSENT)
			return 0;
		if (e != NULL)
			*e = why;
		return -1;
	}
	w->pg->out->rows[w->kind] += (uint64_t)pq_get_int(rows, 0, 0);
	w->pg->out->bytes[w->kind] += (uint64_t)pq_get_int(rows, 0, 1);
	w->seen = (uint64_t)pq_get_int(rows, 0, 2);
	w->time = pq_get_double(rows, 0, 3);
	w->arrival = pq_get_int(rows, 0, 4);
	pq_free(&rows);
	return 0;
}

static int
sweep(struct sweep *w, const struct order *o, struct error *e)
{
	struct buf sql = { 0 };
	int rc = write_sql(&sql, w, o) == -1 ? error_memory(e) : 0;

	w->time = -INFINITY;
	w->arrival = INT64_MIN;
	w->seen = STEP;
	while (rc == 0 && w->seen == STEP && !purging_stopped(w->pg))
		rc = step(w, sql.data, e);
	buf_free(&sql);
	return rc;
}

/* Was this watchdog named before? */
static bool
repeated(const struct purge *p, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (str_equal(p->watchdogs[i], p->watchdogs[j]))
			return true;
	return false;
}

int
expire_rows(struct purging *pg, enum record_kind kind, const struct partition *part,
    const struct expiry *x, struct error *e)
{
	const struct purge *p = pg->p;
	struct sweep w = { .pg = pg, .kind = kind, .part = part, .x = *x };
	size_t i = 0;

	/* Where all arrived before that, time does not matter. */
	if (part != NULL && part->end <= x->arrival)
		w.x = (struct expiry){ .time = INFINITY, .arrival = INT64_MIN };
	do {
		if (p->watchdog_count > 0 && repeated(p, i))
			continue;
		w.watchdog = p->watchdog_count > 0 ? &p->watchdogs[i] : NULL;
		w.name = w.watchdog != NULL ? *w.watchdog : str_of("");
		if (sweep(&w, &by_time, e) == -1)
			return -1;
		if ((part == NULL || part->first < w.x.arrival) && sweep(&w, &by_arrival, e) == -1)
			return -1;
	} while (++i < p->watchdog_count);
	return 0;
}
