/*
 * Sums, of records that are fetched one by one.
 */
#include <math.h>
#include <stdlib.h>

#include "intervals.h"
#include "remote/remote.h"

struct name {
	char *text;
	size_t len;
	uint64_t count;      /* 0: a free slot */
};

struct sums {
	enum tally_by by;
	uint64_t kinds[RECORD_KINDS];
	struct intervals intervals;
	struct name *names, *last;   /* open addressing; the last record's */
	size_t slots, used;          /* `slots` a power of two */
};

/* ---- names -------------------------------------------------------------------- */

static struct name *
find(struct name *names, size_t slots, struct str s)
{
	uint64_t h = 14695981039346656037u;   /* FNV-1a */

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.data[i]) * 1099511628211u;
	for (h ^= h >> 32;; h++) {
		struct name *n = &names[h & (slots - 1)];

		if (n->count == 0 || str_equal((struct str){ n->text, n->len }, s))
			return n;
	}
}

/* Keep the table at most half full. */
static int
more_names(struct sums *s, struct error *e)
{
	size_t slots = s->slots > 0 ? s->slots * 2 : 64;
	struct name *names;

	if (s->used < s->slots / 2)
		return 0;
	if ((names = calloc(slots, sizeof(*names))) == NULL)
		return error_memory(e);
	for (size_t i = 0; i < s->slots; i++)
		if (s->names[i].count > 0)
			*find(names, slots, (struct str){ s->names[i].text, s->names[i].len }) = s->names[i];
	free(s->names);
	s->names = names;
	s->slots = slots;
	s->last = NULL;
	return 0;
}

static int
count_name(struct sums *s, struct str name, struct error *e)
{
	struct name *n = s->last;

	if (n == NULL || !str_equal((struct str){ n->text, n->len }, name)) {
		if (more_names(s, e) == -1)
			return -1;
		n = find(s->names, s->slots, name);
	}
	if (n->count == 0) {
		if ((n->text = malloc(name.len + 1)) == NULL)
			return error_memory(e);
		memcpy(n->text, name.len > 0 ? name.data : "", name.len);
		n->len = name.len;
		s->used++;
	}
	n->count++;
	s->last = n;
	return 0;
}

static int
by_bytes(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static int
give_names(struct sums *s, int (*row)(void *arg, const struct tally *t), void *arg)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < s->slots; i++)
		if (s->names[i].count > 0)
			s->names[n++] = s->names[i];
	s->slots = n;
	if (n > 0)
		qsort(s->names, n, sizeof(*s->names), by_bytes);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = row(arg, &(struct tally){ .key = { s->names[i].text, s->names[i].len },
		    .count = s->names[i].count });
	return rc;
}

/* ---- all of them ---------------------------------------------------------------- */

static int
count(struct sums *s, const struct record *r, struct error *e)
{
	switch (s->by) {
	case TALLY_BY_KIND:
		s->kinds[r->kind]++;
		return 0;
	case TALLY_BY_SENDER:
		return count_name(s, r->sender, e);
	case TALLY_BY_WATCHDOG:
		return count_name(s, r->watchdog, e);
	default:
		return intervals_count(&s->intervals, r->time, r->level, e);
	}
}

static int
give(struct sums *s, int (*row)(void *arg, const struct tally *t), void *arg)
{
	int rc = 0;

	if (s->by == TALLY_BY_TIME)
		return intervals_give(&s->intervals, row, arg);
	if (s->by != TALLY_BY_KIND)
		return give_names(s, row, arg);
	for (unsigned k = 0; rc == 0 && k < RECORD_KINDS; k++)
		if (s->kinds[k] > 0)
			rc = row(arg, &(struct tally){ .kind = (enum record_kind)k,
			    .count = s->kinds[k] });
	return rc;
}

static int
count_all(struct sums *s, struct remote *remote, const struct query *asked, struct error *e)
{
	struct query q = *asked;
	struct record r;
	struct walk *w;
	int rc;

	q.order = QUERY_BY_TIME;
	q.reverse = false;
	q.limit = SIZE_MAX;
	q.after = NULL;
	if ((w = remote_walk(remote, &q, e)) == NULL)
		return -1;
	while ((rc = remote_next(w, &r, e)) == 1)
		if ((rc = count(s, &r, e)) == -1)
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
		rc = give(&s, row, arg);
	intervals_clear(&s.intervals);
	for (size_t i = 0; i < s.slots; i++)
		free(s.names[i].text);
	free(s.names);
	return rc;
}

/* ---- the first and the last -------------------------------------------------------- */

/* The time of the first that matches, or of the last: 1, or 0 if there is none. */
static int
edge(struct remote *remote, const struct query *asked, bool last, double *time, struct error *e)
{
	struct query q = *asked;
	struct record r;
	struct walk *w;
	int rc;

	q.order = QUERY_BY_TIME;
	q.reverse = last;
	q.limit = 1;
	q.after = NULL;
	if ((w = remote_walk(remote, &q, e)) == NULL)
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
