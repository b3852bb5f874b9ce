/*
 * Counting, held against counting by hand.
 *
 *	tally [MAKER]   the command MAKER makes a store and prints its URL; without it: files
 */
#include "fixture.h"
#include "passes.h"

enum { RECORDS = 40000, BATCH = 3000, BATCHES = RECORDS / BATCH + 1, ROUNDS = 150 };

struct group {
	enum record_kind kind;
	char key[16];
	double time;
	int64_t level;
	uint64_t count;
};

struct groups {
	struct group *g;
	size_t n;
	size_t stop_after;   /* 0: never */
};

static struct sample *samples;
static int64_t ends[BATCHES];   /* behind each batch, as the store numbers arrivals */
static uint64_t state = 1;

static uint64_t
roll(uint64_t sides)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % sides;
}

/* ---- the model ---------------------------------------------------------------- */

/* Sample `i`, which arrived with its batch. */
static bool
counts(const struct query *q, size_t i)
{
	return passes(q, &samples[i].record) && (q->upto == INT64_MAX || ends[i / BATCH] <= q->upto);
}

static int
compare_groups(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	int rc = strcmp(x->key, y->key);

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (rc != 0)
		return rc;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return (x->level > y->level) - (x->level < y->level);
}

static struct group
group_of(const struct record *r, enum tally_by by, double interval, double offset)
{
	struct group g = { .count = 1 };

	if (by == TALLY_BY_KIND)
		g.kind = r->kind;
	if (by == TALLY_BY_SENDER)
		snprintf(g.key, sizeof(g.key), "%.*s", STR_ARGS(r->sender));
	if (by == TALLY_BY_WATCHDOG)
		snprintf(g.key, sizeof(g.key), "%.*s", STR_ARGS(r->watchdog));
	if (by == TALLY_BY_TIME) {
		g.time = floor((r->time - offset) / interval) * interval + offset;
		g.level = r->level;
	}
	return g;
}

/* All groups of one record each, sorted, and then added up. */
static void
count_by_hand(const struct query *q, enum tally_by by, double interval, double offset,
    struct groups *out)
{
	size_t n = 0;

	for (size_t i = 0; i < RECORDS; i++)
		if (counts(q, i))
			out->g[n++] = group_of(&samples[i].record, by, interval, offset);
	qsort(out->g, n, sizeof(*out->g), compare_groups);
	out->n = 0;
	for (size_t i = 0; i < n; i++)
		if (out->n > 0 && compare_groups(&out->g[out->n - 1], &out->g[i]) == 0)
			out->g[out->n - 1].count++;
		else
			out->g[out->n++] = out->g[i];
}

/* ---- the store ------------------------------------------------------------------ */

static int
take(void *arg, const struct tally *t)
{
	struct groups *out = arg;
	struct group *g = &out->g[out->n++];

	*g = (struct group){ .kind = t->kind, .time = t->time, .level = t->level, .count = t->count };
	snprintf(g->key, sizeof(g->key), "%.*s", STR_ARGS(t->key));
	return out->n == out->stop_after ? 7 : 0;
}

static bool
same(const struct groups *a, const struct groups *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++)
		if (compare_groups(&a->g[i], &b->g[i]) != 0 || a->g[i].count != b->g[i].count)
			return false;
	return a->n == b->n;
}

/* A question as anybody may ask. */
static struct query
random_query(struct str names[4], const struct match *match)
{
	struct query q = query_all();

	if (roll(3) == 0)
		q.kinds = 1 + (unsigned)roll(3);
	if (roll(2) == 0)
		q.since = fixture_time + (double)roll(RECORDS / 8);
	if (roll(2) == 0)
		q.until = fixture_time + (double)roll(RECORDS / 8);
	if (roll(3) == 0) {
		q.watchdogs = names;
		q.watchdog_count = 1 + roll(2);
	}
	if (roll(3) == 0) {
		q.senders = names + 2;
		q.sender_count = 1 + roll(2);
	}
	if (roll(3) == 0)
		q.level_max = (int64_t)roll(70);
	if (roll(4) == 0)
		q.level_min = (int64_t)roll(40);
	if (roll(4) == 0)
		q.upto = ends[roll(BATCHES)];
	if (roll(5) == 0)
		q.match = match;
	return q;
}

static void
random_queries(struct store *s, struct groups *got, struct groups *want)
{
	static const double intervals[] = { 1, 60, 3600, 0.5, 86400 };
	struct error e;
	int rounds = fixture_maker == NULL ? ROUNDS : ROUNDS / 3;   /* of a server that takes longer */
	struct match *match = match_new(str_of("99"), 0, &e);
	size_t wrong[4] = { 0 }, failed = 0, wrong_spans = 0;

	for (int i = 0; i < rounds; i++) {
		struct str names[4] = { samples[roll(RECORDS)].record.watchdog, str_of("nobody"),
			samples[roll(RECORDS)].record.sender, samples[roll(RECORDS)].record.sender };
		struct query q = random_query(names, match);
		double interval = intervals[roll(5)], offset = (double)roll(2) * 1800;
		double first = INFINITY, last = -INFINITY, got_first, got_last;
		int rc;

		for (enum tally_by by = TALLY_BY_KIND; by <= TALLY_BY_TIME; by++) {
			got->n = 0;
			failed += store_tally(s, &q, by, interval, offset, take, got, &e) != 0;
			count_by_hand(&q, by, interval, offset, want);
			wrong[by] += !same(got, want);
		}
		for (size_t j = 0; j < RECORDS; j++)
			if (counts(&q, j)) {
				first = fmin(first, samples[j].record.time);
				last = fmax(last, samples[j].record.time);
			}
		rc = store_span(s, &q, &got_first, &got_last, &e);
		wrong_spans += rc != (first <= last) || (rc == 1 && (got_first != first || got_last != last));
	}
	match_free(&match);
	tap_ok(failed == 0, "no count fails");
	tap_ok(wrong[TALLY_BY_KIND] == 0, "%d random questions are counted by kind", rounds);
	tap_ok(wrong[TALLY_BY_SENDER] == 0, "... by sender, in the order of the names' bytes");
	tap_ok(wrong[TALLY_BY_WATCHDOG] == 0, "... by watchdog, likewise");
	tap_ok(wrong[TALLY_BY_TIME] == 0, "... by time and level, in that order");
	tap_ok(wrong_spans == 0, "... and their first and last times are found");
}

/* ---- edges ------------------------------------------------------------------------ */

static void
refusals(struct store *s, struct groups *got)
{
	struct query q = query_all();
	struct error e = { 0 };

	got->n = 0;
	got->stop_after = 3;
	tap_ok(store_tally(s, &q, TALLY_BY_WATCHDOG, 0, 0, take, got, &e) == 7 && got->n == 3,
	    "what the caller's function returns ends the count");
	got->stop_after = 0;
	tap_ok(store_tally(s, &q, TALLY_BY_TIME, 0, 0, take, got, &e) == -1 && e.kind == ERROR_USAGE,
	    "an interval of 0 is refused");
	tap_ok(store_tally(s, &q, TALLY_BY_TIME, NAN, 0, take, got, &e) == -1 &&
	    e.kind == ERROR_USAGE, "one that is not a number, too");
}

static int
add_count(void *arg, const struct tally *t)
{
	*(uint64_t *)arg += t->count;
	return 0;
}

/* More intervals than can be counted at once: a clear error, and none given. */
static void
too_many(void)
{
	enum { N = 600000 };
	struct store_offer *offers = calloc(N, sizeof(*offers));
	struct store *s = fixture_open("many.db", STORE_WRITE);
	struct store_added added;
	struct query q = query_all();
	struct error e = { 0 };
	uint64_t count = 0;

	for (size_t i = 0; offers != NULL && i < N; i++)
		offers[i].record = (struct record){ .time = (double)i, .watchdog = str_of("w"),
			.sender = str_of(""), .message = str_of("") };
	if (offers == NULL || store_add(s, offers, N, &added, &e) == -1)
		fixture_fail("store_add", e.text);
	free(offers);
	tap_ok(store_tally(s, &q, TALLY_BY_TIME, 1, 0, add_count, &count, &e) == -1 &&
	    e.kind == ERROR_USAGE && strstr(e.text, "longer interval") != NULL && count == 0,
	    "%d intervals are too many, and it says what helps", N);
	tap_ok(store_tally(s, &q, TALLY_BY_TIME, 2, 0, add_count, &count, &e) == 0 && count == N,
	    "intervals twice as long are not");
	count = 0;
	tap_ok(store_tally(s, &q, TALLY_BY_SENDER, 0, 0, add_count, &count, &e) == 0 && count == N,
	    "an empty sender is a sender");
	store_close(&s);
}

static void
odd_times(void)
{
	static const double times[] = { -0.0, -1, -1e300, 1e300, 0.5, 1e18, 1e18 };
	struct store *s = fixture_open("odd.db", STORE_WRITE);
	struct store_offer offers[7] = { 0 };
	struct store_added added;
	struct query q = query_all();
	struct groups got = { calloc(16, sizeof(struct group)), 0, 0 };
	struct error e;
	double first, last;

	for (int i = 0; i < 7; i++)
		offers[i].record = (struct record){ .time = times[i], .watchdog = str_of("w"),
			.sender = str_of("s"), .message = str_of("") };
	if (got.g == NULL || store_add(s, offers, 7, &added, &e) == -1 ||
	    store_tally(s, &q, TALLY_BY_TIME, 60, 0, take, &got, &e) == -1)
		fixture_fail("odd times", e.text);
	tap_ok(got.n == 5 && got.g[0].time == -1e300 && got.g[1].time == -60 && got.g[2].time == 0 &&
	    got.g[2].count == 2 && got.g[3].time == 1e18 && got.g[3].count == 2 &&
	    got.g[4].time == 1e300, "times far out are intervals of their own, -0 and 0.5 share one");
	tap_ok(store_span(s, &q, &first, &last, &e) == 1 && first == -1e300 && last == 1e300,
	    "and they are the first and the last");
	q.since = 2;
	q.until = 1;
	tap_ok(store_span(s, &q, &first, &last, &e) == 0, "between 2 and 1 there is nothing");
	free(got.g);
	store_close(&s);
}

/* All samples, batch by batch. */
static void
fill(const char *name)
{
	struct store *s = fixture_open(name, STORE_WRITE);
	struct cursor end;
	struct error e;

	samples = fixture_samples(0, RECORDS);
	for (size_t i = 0; i < BATCHES; i++) {
		size_t n = i < BATCHES - 1 ? BATCH : RECORDS % BATCH;
		fixture_add(s, samples + i * BATCH, n, n);
		if (store_end(s, &end, &e) == -1)
			fixture_fail("store_end", e.text);
		ends[i] = end.arrival;
	}
	store_close(&s);
}

int
main(int argc, char **argv)
{
	struct groups got = { calloc(RECORDS, sizeof(struct group)), 0, 0 };
	struct groups want = { calloc(RECORDS, sizeof(struct group)), 0, 0 };
	struct store *s;

	fixture_begin_on(argc > 1 ? argv[1] : NULL);
	if (got.g == NULL || want.g == NULL)
		fixture_fail("main", "out of memory");
	fill("m.db");
	s = fixture_open("m.db", STORE_READ);
	random_queries(s, &got, &want);
	refusals(s, &got);
	store_close(&s);
	too_many();
	odd_times();
	free(samples);
	free(got.g);
	free(want.g);
	return tap_done();
}
