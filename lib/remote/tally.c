/*
 * Sums, of records that are fetched one by one.
 */
#include <math.h>

#include "remote/remote.h"
#include "sums.h"

static int
count_all(struct sums *s, struct remote *remote, const struct query *asked, struct error *e)
{
	struct query q = *asked;
	struct record r;
	void *w;
	int rc;

	q.order = QUERY_BY_TIME;
	q.reverse = false;
	q.limit = SIZE_MAX;
	q.after = NULL;
	if ((w = remote_ask(remote, &q, e)) == NULL)
		return -1;
	while ((rc = remote_next(w, &r, e)) == 1)
		if ((rc = sums_count(s, &r, e)) == -1)
			break;
	remote_end_ask(w);
	return rc;
}

int
remote_tally(void *impl, const struct query *q, enum tally_by by, double interval,
    double offset, int (*row)(void *arg, const struct tally *t), void *arg, struct error *e)
{
	struct sums s = { .by = by, .intervals = { .length = interval, .offset = offset } };
	int rc;

	if (by == TALLY_BY_TIME && !(interval > 0 && isfinite(interval) && isfinite(offset)))
		return error_set(e, ERROR_USAGE, "an interval must be longer than 0");
	if ((rc = count_all(&s, impl, q, e)) == 0)
		rc = sums_give(&s, row, arg);
	sums_free(&s);
	return rc;
}

/* ---- the first and the last -------------------------------------------------------- */

/* The time of the first that matches, or of the last: 1, or 0 if there is none. */
static int
edge(struct remote *remote, const struct query *asked, bool last, double *time, struct error *e)
{
	struct query q = *asked;
	struct record r;
	void *w;
	int rc;

	q.order = QUERY_BY_TIME;
	q.reverse = last;
	q.limit = 1;
	q.after = NULL;
	if ((w = remote_ask(remote, &q, e)) == NULL)
		return -1;
	if ((rc = remote_next(w, &r, e)) == 1)
		*time = r.time;
	remote_end_ask(w);
	return rc;
}

int
remote_span(void *impl, const struct query *q, double *first, double *last, struct error *e)
{
	int rc = edge(impl, q, false, first, e);

	return rc == 1 ? edge(impl, q, true, last, e) : rc;
}
