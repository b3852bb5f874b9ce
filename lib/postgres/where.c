#include "postgres/where.h"

#include <stdlib.h>

#include "utf8.h"

/* Up to so many watchdogs are looked up one by one, in an index that has their rows in order. */
enum { APART = 64 };

/* The kinds' tables, and then the one of both. (A log's kind, 0, is given as null: the server takes
 * a twelfth of its time for a column that is not.) */
enum table { LOG, NOTIFICATION, STRAY, TABLES };

static const struct {
	const char *name, *kind;
	unsigned kinds;         /* what it may hold */
	const char *arrivals;   /* which are to be looked at */
} tables[TABLES] = {
	[LOG] = { "monitor.log", "NULL::bigint", RECORD_KIND_BIT(RECORD_LOG),
	    "arrival >= $3 AND arrival <= $4" },
	[NOTIFICATION] = { "monitor.notification", "1::bigint", RECORD_KIND_BIT(RECORD_NOTIFICATION),
	    "arrival >= $3 AND arrival <= $4" },
	[STRAY] = { "monitor.stray", "kind::bigint", RECORD_ALL_KINDS,
	    "arrival >= $5 AND arrival <= $6" },
};

/* Texts behind the length (WHERE_TEXT_MAX) are left out, unseen. */
static const char texts[] =
	"CASE WHEN octet_length(sender) <= $19 THEN sender END AS sender,"
	" CASE WHEN octet_length(message) <= $19 THEN message END AS message,"
	" CASE WHEN octet_length(extra) > $19 THEN '' ELSE extra END AS extra";

/* ---- conditions ------------------------------------------------------------------------ */

/* Which of them a statement has. */
enum {
	SINCE = 1, UNTIL = 2, BEHIND = 4, BEFORE = 8, EDGE = 16, EDGE_BACK = 32,
	WATCHDOG = 128, WATCHDOGS = 256, EACH = 512, SENDERS = 1024, LEVEL_MIN = 2048,
	LEVEL_MAX = 4096, NUMBER = 8192, CUT = 16384,
};

/* What has no index is looked at last. A batch whose number is too high may have arrivals that
 * are not: there are few, those that were under way. */
static const struct {
	unsigned when;
	const char *sql;
} conditions[] = {
	{ SINCE, " AND time >= $1" },
	{ UNTIL, " AND time < $2" },
	{ BEHIND, " AND (time, arrival) > ($7, $8)" },
	{ BEFORE, " AND (time, arrival) < ($7, $8)" },
	{ EDGE, " AND (time, arrival) <= ($9, $10)" },
	{ EDGE_BACK, " AND (time, arrival) >= ($9, $10)" },
	{ WATCHDOG, " AND watchdog = $11" },
	{ WATCHDOGS, " AND watchdog = ANY ($11)" },
	{ EACH, " AND watchdog = w.code" },
	{ SENDERS, " AND sender = ANY ($12)" },
	{ LEVEL_MIN, " AND level >= $13" },
	{ LEVEL_MAX, " AND level <= $14" },
	{ NUMBER, " AND arrival >> 18 <> ALL (ARRAY(SELECT first >> 18 FROM monitor.batch"
	    " WHERE number > $15 AND first <= $6))" },
	{ CUT, " AND (arrival < $16 OR arrival > $17)" },
};

static unsigned
conditions_of(const struct where *w, const struct where_bounds *b)
{
	const struct query *q = w->q;
	unsigned c = 0;

	c |= b->since != -INFINITY ? SINCE : 0;
	c |= b->until != INFINITY ? UNTIL : 0;
	c |= !b->behind ? 0 : q->reverse ? BEFORE : BEHIND;
	c |= !b->edged ? 0 : q->reverse ? EDGE_BACK : EDGE;
	c |= q->watchdog_count == 0 ? 0 : q->watchdog_count == 1 ? WATCHDOG : WATCHDOGS;
	c |= q->sender_count > 0 ? SENDERS : 0;
	c |= q->level_min != INT64_MIN ? LEVEL_MIN : 0;
	c |= q->level_max != INT64_MAX ? LEVEL_MAX : 0;
	c |= b->number != INT64_MAX ? NUMBER : 0;
	c |= b->cut_last > 0 ? CUT : 0;
	return c;
}

static int
add(struct where *w, const char *text)
{
	return buf_add_str(&w->sql, str_of(text));
}

/* FROM ... WHERE ... of one table. */
static int
add_source(struct where *w, enum table t, unsigned c)
{
	if (buf_printf(&w->sql, " FROM %s WHERE %s", tables[t].name, tables[t].arrivals) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++)
		if ((c & conditions[i].when) != 0 && add(w, conditions[i].sql) == -1)
			return -1;
	if (t == STRAY && w->q->kinds != RECORD_ALL_KINDS)
		return add(w, w->q->kinds == RECORD_KIND_BIT(RECORD_LOG) ? " AND kind = 0" : " AND kind = 1");
	return 0;
}

bool
where_nothing(const struct query *q)
{
	return !(q->since < q->until) || q->level_min > q->level_max;
}

bool
where_picks(const struct query *q)
{
	return q->sender_count > 0 || q->level_min != INT64_MIN || q->level_max != INT64_MAX;
}

/* ---- parameters ------------------------------------------------------------------------ */

static void
set_params(struct where *w, const struct where_bounds *b, size_t limit)
{
	const struct query *q = w->q;
	struct pq_params *p = &w->params;

	p->n = 0;
	pq_double(p, b->since);
	pq_double(p, b->until);
	pq_int(p, b->first);
	pq_int(p, b->last);
	pq_int(p, b->stray_first);
	pq_int(p, b->stray_last);
	pq_double(p, b->time);
	pq_int(p, b->arrival);
	pq_double(p, b->edge_time);
	pq_int(p, b->edge_arrival);
	if (q->watchdog_count > 1)
		pq_array(p, &w->watchdogs, PQ_TEXTS);
	else
		pq_text(p, (struct str){ w->watchdogs.data, w->watchdogs.len });
	if (q->sender_count > 0)
		pq_array(p, &w->senders, PQ_TEXTS);
	else
		pq_text(p, (struct str){ NULL, 0 });
	pq_int(p, q->level_min);
	pq_int(p, q->level_max);
	pq_int(p, b->number);
	pq_int(p, b->cut_first);
	pq_int(p, b->cut_last);
	pq_int(p, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
	pq_int(p, WHERE_TEXT_MAX);
}

/* A name as the tables have it, at the end of `array` or, if it is the only one, of `b`. */
static int
add_name(struct buf *b, struct str name, bool array)
{
	struct buf encoded = { 0 };
	int rc;

	if (text_is_plain(name))
		return array ? pq_array_text(b, name) : buf_add_str(b, name);
	if ((rc = text_encode(&encoded, name)) == 0) {
		name = (struct str){ encoded.data, encoded.len };
		rc = array ? pq_array_text(b, name) : buf_add_str(b, name);
	}
	buf_free(&encoded);
	return rc;
}

/* What is not UTF-8 is nobody's name, and nothing to trouble the server with. */
static int
add_names(struct buf *b, const struct str *names, size_t n, bool array)
{
	if (array && pq_array_begin(b, PQ_TEXTS) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (utf8_check(names[i]) == names[i].len && add_name(b, names[i], array) == -1)
			return -1;
	return 0;
}

int
where_init(struct where *w, const struct query *q, struct error *e)
{
	*w = (struct where){ .q = q };
	if (add_names(&w->watchdogs, q->watchdogs, q->watchdog_count, q->watchdog_count > 1) == 0 &&
	    (q->sender_count == 0 || add_names(&w->senders, q->senders, q->sender_count, true) == 0))
		return 0;
	where_free(w);
	return error_memory(e);
}

void
where_free(struct where *w)
{
	buf_free(&w->watchdogs);
	buf_free(&w->senders);
	buf_free(&w->sql);
}

/* ---- statements ------------------------------------------------------------------------ */

static const char *
order_of(const struct query *q)
{
	if (q->order == QUERY_BY_TIME)
		return q->reverse ? " ORDER BY time DESC, arrival DESC" : " ORDER BY time, arrival";
	return q->reverse ? " ORDER BY arrival DESC" : " ORDER BY arrival";
}

/* What a statement is to give. */
struct shape {
	const char *columns;   /* of a table, before what it is */
	const char *texts;
	const char *each;      /* how many of each table, */
	const char *all;       /* and of these */
	unsigned without;      /* conditions that it does not have */
};

static const struct shape rows_shape = { "arrival, time, level, ", texts, " LIMIT $18", " LIMIT $18", 0 };
static const struct shape edge_shape = { "arrival, time, ", "true", " LIMIT $18 + 1", " OFFSET $18 LIMIT 1",
	SENDERS | LEVEL_MIN | LEVEL_MAX };

/* The first rows of one table that match, in order. Of several watchdogs: of each the first, so
 * that each is read from where its rows are in order. */
static int
add_first_rows(struct where *w, enum table t, const struct shape *s, unsigned c)
{
	bool apart = (c & WATCHDOGS) != 0 && w->q->watchdog_count <= APART &&
	    w->q->order == QUERY_BY_TIME;

	if (apart) {
		c = (c & ~(unsigned)WATCHDOGS) | EACH;
		if (add(w, "SELECT l.* FROM (SELECT DISTINCT unnest($11)) AS w (code), LATERAL (") == -1)
			return -1;
	}
	if (buf_printf(&w->sql, "SELECT %s%s AS kind, watchdog, %s", s->columns, tables[t].kind,
	    s->texts) == -1 || add_source(w, t, c) == -1 || add(w, order_of(w->q)) == -1 ||
	    add(w, s->each) == -1)
		return -1;
	return apart ? add(w, ") AS l") : 0;
}

static int
make(struct where *w, const struct where_bounds *b, const struct shape *s, size_t limit, struct error *e)
{
	unsigned c = conditions_of(w, b) & ~s->without;
	const char *between = "SELECT * FROM ((";

	set_params(w, b, limit);
	w->sql.len = 0;
	for (enum table t = 0; t < TABLES; t++) {
		if ((w->q->kinds & tables[t].kinds) == 0)
			continue;
		if (add(w, between) == -1 || add_first_rows(w, t, s, c) == -1)
			return error_memory(e);
		between = ") UNION ALL (";
	}
	if (add(w, ")) AS r") == -1 || add(w, order_of(w->q)) == -1 || add(w, s->all) == -1 ||
	    buf_add(&w->sql, "", 1) == -1)
		return error_memory(e);
	return 0;
}

int
where_rows(struct where *w, const struct where_bounds *b, size_t limit, struct error *e)
{
	return make(w, b, &rows_shape, limit, e);
}

int
where_edge(struct where *w, const struct where_bounds *b, size_t limit, struct error *e)
{
	return make(w, b, &edge_shape, limit, e);
}

int
where_count(struct where *w, const struct where_bounds *b, const char *select, const char *group,
    double x, double y, struct error *e)
{
	unsigned c = conditions_of(w, b);
	const char *between = " FROM (";

	set_params(w, b, 0);
	pq_double(&w->params, x);
	pq_double(&w->params, y);
	w->sql.len = 0;
	if (add(w, select) == -1)
		return error_memory(e);
	for (enum table t = 0; t < TABLES; t++) {
		if ((w->q->kinds & tables[t].kinds) == 0)
			continue;
		if (buf_printf(&w->sql, "%sSELECT %s AS kind, watchdog, sender, level, time", between,
		    tables[t].kind) == -1 || add_source(w, t, c) == -1)
			return error_memory(e);
		between = " UNION ALL ";
	}
	if (add(w, ") AS r") == -1 || add(w, group) == -1 || buf_add(&w->sql, "", 1) == -1)
		return error_memory(e);
	return 0;
}
