/*
 * Counting: by the server; but where a text is looked for, which it would do in its own way,
 * row by row.
 */
#include <math.h>
#include <stdlib.h>

#include "postgres/course.h"
#include "sums.h"

typedef int give(void *arg, const struct tally *t);

/* Where an interval begins, as lib/intervals.c has it; but the server fails where a number grows
 * beyond a double's range, or shrinks to nothing. */
#define NEAR "(CASE WHEN time > 0 AND time < 1e-200 THEN 0 WHEN time < 0 AND time > -1e-200" \
	" THEN -1e-200 ELSE time END)"
#define NTH "floor((" NEAR " - $21) / $20)"
static const char by_time[] = "SELECT CASE WHEN abs(time) < 1e200 AND abs(" NTH ") < 9007199254740992"
	" THEN " NTH " * $20 + $21 ELSE time END + 0::float8, level, count(*)";

static const struct {
	const char *select, *group;
} statements[] = {
	[TALLY_BY_KIND] = { "SELECT coalesce(kind, 0), count(*)", " GROUP BY 1 ORDER BY 1" },
	[TALLY_BY_SENDER] = { "SELECT sender, count(*)", " GROUP BY 1" },
	[TALLY_BY_WATCHDOG] = { "SELECT watchdog, count(*)", " GROUP BY 1" },
	[TALLY_BY_TIME] = { by_time, " GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 524289" },
};
_Static_assert(INTERVALS_MOST == 524288, "one more shows that there are too many");

/* ---- giving out ------------------------------------------------------------------------- */

static int
give_kinds(struct pq_rows *rows, give *row, void *arg)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < pq_count(rows); i++)
		rc = row(arg, &(struct tally){ .kind = (enum record_kind)pq_get_int(rows, i, 0),
		    .count = (uint64_t)pq_get_int(rows, i, 1) });
	return rc;
}

static int
compare_names(const void *a, const void *b)
{
	struct str x = ((const struct tally *)a)->key, y = ((const struct tally *)b)->key;
	int order = memcmp(x.data, y.data, x.len < y.len ? x.len : y.len);

	return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

/* Sorted here: U+0000 makes the order of what is stored another one. */
static int
give_names(struct pq_rows *rows, give *row, void *arg, struct error *e)
{
	size_t n = pq_count(rows);
	struct tally *all = calloc(n + 1, sizeof(*all));
	int rc = 0;

	if (all == NULL)
		return error_memory(e);
	for (size_t i = 0; i < n; i++) {
		struct str key = pq_get_text(rows, i, 0);
		key.len = text_decode((char *)(uintptr_t)key.data, key.len);
		all[i] = (struct tally){ .key = key, .count = (uint64_t)pq_get_int(rows, i, 1) };
	}
	qsort(all, n, sizeof(*all), compare_names);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = row(arg, &all[i]);
	free(all);
	return rc;
}

static int
give_intervals(struct pq_rows *rows, give *row, void *arg, struct error *e)
{
	int rc = 0;

	if (pq_count(rows) > INTERVALS_MOST)
		return intervals_too_many(e);
	for (size_t i = 0; rc == 0 && i < pq_count(rows); i++)
		rc = row(arg, &(struct tally){ .time = pq_get_double(rows, i, 0),
		    .level = pq_get_int(rows, i, 1), .count = (uint64_t)pq_get_int(rows, i, 2) });
	return rc;
}

/* ---- counting ---------------------------------------------------------------------------- */

static int
count_there(struct postgres *s, const struct query *q, enum tally_by by, double interval,
    double offset, give *row, void *arg, struct error *e)
{
	struct where w = { 0 };
	struct where_bounds b;
	struct pq_rows *rows = NULL;
	int rc = -1;

	if (course_bounds(s, q, &b, e) == -1 || where_init(&w, q, e) == -1)
		return -1;
	if (where_count(&w, &b, statements[by].select, statements[by].group, interval, offset, e) == -1 ||
	    postgres_query(s, w.sql.data, &w.params, &rows, e) == -1)
		goto out;
	if (by == TALLY_BY_KIND)
		rc = give_kinds(rows, row, arg);
	else if (by == TALLY_BY_TIME)
		rc = give_intervals(rows, row, arg, e);
	else
		rc = give_names(rows, row, arg, e);
out:
	pq_free(&rows);
	where_free(&w);
	return rc;
}

static int
count_here(struct postgres *s, const struct query *q, enum tally_by by, double interval,
    double offset, give *row, void *arg, struct error *e)
{
	struct sums sums = { .by = by, .intervals = { .length = interval, .offset = offset } };
	struct record r;
	void *answer = postgres_ask(s, q, e);
	int rc;

	if (answer == NULL)
		return -1;
	while ((rc = postgres_next(answer, &r, e)) == 1)
		if ((rc = sums_count(&sums, &r, e)) == -1)
			break;
	postgres_end_ask(answer);
	if (rc == 0)
		rc = sums_give(&sums, row, arg);
	sums_free(&sums);
	return rc;
}

/* Without what a count does not heed. */
static struct query
all_of(const struct query *q)
{
	struct query all = *q;

	all.order = QUERY_BY_TIME;
	all.reverse = false;
	all.limit = all.work = SIZE_MAX;
	all.after = NULL;
	return all;
}

int
postgres_tally(void *impl, const struct query *asked, enum tally_by by, double interval,
    double offset, give *row, void *arg, struct error *e)
{
	struct query q = all_of(asked);

	if (by == TALLY_BY_TIME && !(interval > 0 && isfinite(interval) && isfinite(offset)))
		return error_set(e, ERROR_USAGE, "an interval must be longer than 0");
	if (where_nothing(&q))
		return 0;
	return (q.match == NULL ? count_there : count_here)(impl, &q, by, interval, offset, row, arg, e);
}

/* ---- the first and the last ---------------------------------------------------------------- */

/* The time of the first that matches, or of the last: 1, or 0 if there is none. */
static int
find_edge(struct postgres *s, const struct query *asked, bool last, double *time, struct error *e)
{
	struct query q = all_of(asked);
	struct record r;
	void *answer;
	int rc;

	q.reverse = last;
	if ((answer = postgres_ask(s, &q, e)) == NULL)
		return -1;
	if ((rc = postgres_next(answer, &r, e)) == 1)
		*time = r.time;
	postgres_end_ask(answer);
	return rc;
}

int
postgres_span(void *impl, const struct query *q, double *first, double *last, struct error *e)
{
	int rc = find_edge(impl, q, false, first, e);

	return rc == 1 ? find_edge(impl, q, true, last, e) : rc;
}
