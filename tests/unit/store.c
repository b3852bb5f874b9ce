/*
 * The store, whatever the engine: random records, odd ones among them, held
 * against a plain array that is asked the same questions.
 *
 *	store [MAKER [SEED]]   the command MAKER makes a store and prints its URL; without
 *	                       it, or empty: a file
 */
#include "fixture.h"
#include "passes.h"

enum { ROUNDS = 60, QUESTIONS = 8, MODEL = 60000, TEXT = 32 };

struct model {
	struct record *records;   /* in arrival order */
	size_t n;
	uint64_t random;
	char *texts;              /* all strings that were made, one behind the other */
	size_t used;
};

static uint64_t
roll(struct model *m, uint64_t sides)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % sides;
}

static struct str
format(struct model *m, const char *fmt, uint64_t n)
{
	char *text = m->texts + m->used;
	int len = snprintf(text, TEXT, fmt, (unsigned long long)n);

	m->used += (size_t)len;
	return (struct str){ text, (size_t)len };
}

/* A record such as they come, and now and then one that they should not be. */
static struct record
make_record(struct model *m)
{
	static const int64_t odd_levels[] = { INT64_MIN, -129, -128, 127, 128, INT64_MAX };
	struct record r = {
		.kind = roll(m, 10) == 0 ? RECORD_NOTIFICATION : RECORD_LOG,
		.level = (int64_t)roll(m, 6) * 10,
		.time = fixture_time + (double)m->n / 9 + (double)roll(m, 1000) / 100,
		.watchdog = format(m, "w%llu", roll(m, 2) == 0 ? 0 : roll(m, 40)),
		.sender = format(m, "s%llu", roll(m, 12)),
		.message = format(m, "message %llu", m->n),
	};

	switch (roll(m, 60)) {
	case 0:
		r.time = (double)roll(m, 3);   /* 1970, and equal times */
		break;
	case 1:
		r.time = roll(m, 2) == 0 ? 1e300 : -1e300;
		break;
	case 2:
		r.time = -0.0;
		break;
	case 3:
		r.level = odd_levels[roll(m, 6)];
		break;
	case 4:
		r.time -= (double)roll(m, 200000);   /* late */
		break;
	case 5:
		r.extra = str_of("{\"pid\":7}");
		break;
	case 6:
		r.message = (struct str){ "nul \0 inside", 12 };
		break;
	case 7:
		r.sender = r.message = str_of("");
		break;
	case 8:
		r.time = floor(r.time);
		break;
	}
	return r;
}

static int
add_some(struct store *s, struct model *m, size_t n, struct error *e)
{
	struct store_offer *offers = calloc(n, sizeof(*offers));
	struct store_added added;
	int rc;

	if (offers == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		offers[i].record = m->records[m->n++] = make_record(m);
	rc = store_add(s, offers, n, &added, e);
	free(offers);
	return rc == 0 && added.stored == n ? 0 : -1;
}

/* ---- the same question, asked of both ---------------------------------------- */

static const struct model *sorting;   /* qsort(3) has no argument for it */

static int
by_time(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	double tx = sorting->records[x].time, ty = sorting->records[y].time;

	if (tx != ty)
		return tx < ty ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* The places of the records that answer, in order; returns how many. */
static size_t
model_ask(const struct model *m, const struct query *q, size_t skip, size_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		if (passes(q, &m->records[i]))
			out[n++] = i;
	if (q->order == QUERY_BY_TIME) {
		sorting = m;
		qsort(out, n, sizeof(*out), by_time);
	}
	if (q->reverse)
		for (size_t i = 0; i < n / 2; i++) {
			size_t swap = out[i];
			out[i] = out[n - 1 - i];
			out[n - 1 - i] = swap;
		}
	if (q->limit < n && !q->reverse && skip == 0) {
		memmove(out, out + n - q->limit, q->limit * sizeof(*out));
		n = q->limit;
	}
	memmove(out, out + skip, (n - skip) * sizeof(*out));
	n -= skip;
	return n < q->limit ? n : q->limit;
}

static bool
same(const struct record *a, const struct record *b)
{
	return a->kind == b->kind && a->level == b->level &&
	    memcmp(&a->time, &b->time, sizeof(a->time)) == 0 &&
	    str_equal(a->watchdog, b->watchdog) && str_equal(a->sender, b->sender) &&
	    str_equal(a->message, b->message) && str_equal(a->extra, b->extra);
}

static void
show_query(const struct query *q)
{
	printf("# kinds %u watchdogs %zu senders %zu level %lld..%lld time %.17g..%.17g match %d"
	    " order %d reverse %d limit %zd upto %lld after %.17g/%lld\n", q->kinds,
	    q->watchdog_count, q->sender_count, (long long)q->level_min, (long long)q->level_max,
	    q->since, q->until, q->match != NULL, q->order, q->reverse, (ssize_t)q->limit,
	    (long long)q->upto, q->after != NULL ? q->after->time : 0,
	    q->after != NULL ? (long long)q->after->arrival : 0);
}

/* Where an answer pauses it is asked for again from there on. */
static int
next(struct store *s, struct answer **a, struct query *q, struct cursor *at, struct record *r,
    struct error *e)
{
	int rc = answer_next(*a, r, e);

	while (rc == 2) {
		answer_cursor(*a, at);
		answer_close(a);
		q->after = at;
		if ((*a = store_ask(s, q, e)) == NULL)
			return -1;
		rc = answer_next(*a, r, e);
	}
	if (rc == 1 && q->limit != SIZE_MAX)
		q->limit--;
	return rc;
}

/* Ask, and compare; at record `stop` remember the cursor. */
static bool
agree(struct store *s, const struct model *m, const struct query *question, const size_t *want,
    size_t n, size_t stop, struct cursor *cursor)
{
	struct query asked = *question, *q = &asked;
	struct cursor at;
	struct error e = { 0 };
	struct answer *a = store_ask(s, q, &e);
	struct record r;
	size_t i = 0;
	int rc;

	if (a == NULL) {
		printf("# %s\n", e.text);
		return false;
	}
	while ((rc = next(s, &a, q, &at, &r, &e)) == 1) {
		if (i >= n || !same(&r, &m->records[want[i]])) {
			printf("# record %zu of %zu: got time %.17g \"%.*s\"\n", i, n, r.time,
			    STR_ARGS(r.message));
			if (i < n)
				printf("# expected time %.17g \"%.*s\"\n", m->records[want[i]].time,
				    STR_ARGS(m->records[want[i]].message));
			break;
		}
		if (++i == stop)
			answer_cursor(a, cursor);
	}
	answer_close(&a);
	if (rc == -1)
		printf("# %s\n", e.text);
	if (rc == 0 && i != n)
		printf("# %zu records instead of %zu\n", i, n);
	if (rc != 0 || i != n)
		show_query(q);
	return rc == 0 && i == n;
}

static struct query
make_query(struct model *m, struct str *names, const struct match *match)
{
	struct query q = query_all();

	q.order = roll(m, 4) == 0 ? QUERY_BY_ARRIVAL : QUERY_BY_TIME;
	q.reverse = roll(m, 3) == 0;
	if (roll(m, 3) == 0)
		q.kinds = RECORD_KIND_BIT(roll(m, 2));
	if (roll(m, 2) == 0) {
		q.watchdogs = names;
		q.watchdog_count = 1 + roll(m, 3);
	}
	if (roll(m, 3) == 0) {
		q.senders = names + 3;
		q.sender_count = 1 + roll(m, 2);
	}
	if (roll(m, 3) == 0)
		q.level_max = (int64_t)roll(m, 40);
	if (roll(m, 6) == 0)
		q.level_min = 10;
	if (roll(m, 2) == 0)
		q.since = fixture_time + (double)roll(m, m->n + 1) / 9;
	if (roll(m, 3) == 0)
		q.until = q.since + (double)roll(m, 1000);
	if (roll(m, 5) == 0)
		q.limit = roll(m, 8) == 0 ? 900 + roll(m, 2000) : roll(m, 300);
	if (roll(m, 6) == 0)
		q.match = match;
	/* (The newest so many, oldest first, are not found piece by piece.) */
	if (roll(m, 3) == 0 && (q.limit == SIZE_MAX || q.reverse))
		q.work = 200 + roll(m, 10000);
	return q;
}

/* One question, and again from a cursor in the middle of its answer. */
static bool
ask_both(struct store *s, struct model *m, size_t *want, const struct match *match)
{
	struct str names[] = { format(m, "w%llu", roll(m, 42)), format(m, "w%llu", roll(m, 42)),
		str_of("w0"), format(m, "s%llu", roll(m, 13)), format(m, "s%llu", roll(m, 13)) };
	struct query q = make_query(m, names, match);
	struct cursor cursor = { 0 };
	size_t n = model_ask(m, &q, 0, want), stop, last;

	stop = n == 0 ? 0 : 1 + roll(m, n);
	if (!agree(s, m, &q, want, n, stop, &cursor))
		return false;
	if (stop == 0)
		return true;
	last = want[stop - 1];
	if (q.limit != SIZE_MAX)
		q.limit = SIZE_MAX, n = model_ask(m, &q, 0, want);
	for (stop = 1; want[stop - 1] != last; stop++)   /* where it is without the limit */
		;
	if (roll(m, 2) == 0)
		q.limit = 1 + roll(m, 200);
	n = model_ask(m, &q, stop, want);
	q.after = &cursor;
	return agree(s, m, &q, want, n, 0, NULL);
}

static void
test_marks(struct store *s)
{
	struct error e = { 0 };
	struct store_added added;
	struct record r = { .watchdog = str_of("w1"), .sender = str_of("marks"), .time = 1 };
	struct store_offer o[] = {
		{ .record = r, .source = str_of("a"), .seq = 5 },
		{ .record = r, .source = str_of("b"), .seq = 0 },
		{ .record = r, .source = str_of("a"), .seq = 5 },
		{ .source = str_of("a"), .seq = 9, .refused = true },
		{ .record = r, .source = str_of("a"), .seq = 8 },
		{ .record = r },
	};

	tap_ok(store_add(s, o, 6, &added, &e) == 0 && added.stored == 3 && added.duplicates == 2,
	    "of a source's lines each number is stored once, and none below its mark");
	tap_ok(store_add(s, o, 6, &added, &e) == 0 && added.stored == 1 && added.duplicates == 4,
	    "a resent batch is dropped, but for lines without a number");
}

/* The newest `limit` of `n` records whose levels are their numbers; then, from the cursor of the
 * first on, all but that. */
static bool
newest(struct store *s, struct query q, size_t n, struct error *e)
{
	struct cursor first = { 0 };
	struct answer *a = store_ask(s, &q, e);
	struct record r;
	size_t from = n - q.limit, i = from;
	int rc = -1;

	while (a != NULL && (rc = answer_next(a, &r, e)) == 1 && r.level == (int64_t)i)
		if (i++ == from)
			answer_cursor(a, &first);
	answer_close(&a);
	if (rc != 0 || i != n)
		return false;
	q.after = &first;
	q.limit = SIZE_MAX;
	i = from + 1;
	a = store_ask(s, &q, e);
	while (a != NULL && (rc = answer_next(a, &r, e)) == 1 && r.level == (int64_t)i)
		i++;
	answer_close(&a);
	return rc == 0 && i == n;
}

/* Some 6 MiB of text: a few of these are kept and turned round, more are not. */
static void
test_newest(struct store *s)
{
	enum { RECORDS = 8, LENGTH = 768 << 10 };
	char *message = malloc(LENGTH);
	struct store_offer o[RECORDS];
	struct store_added added;
	struct error e = { .text = "" };
	struct str name = str_of("long");
	struct query q = query_all();
	bool all = true;

	if (message == NULL)
		fixture_fail("test_newest", "out of memory");
	memset(message, 'x', LENGTH);
	for (int i = 0; i < RECORDS; i++)
		o[i] = (struct store_offer){ .record = { .level = i, .time = fixture_time + i,
		    .watchdog = name, .sender = name, .message = { message, LENGTH } } };
	if (store_add(s, o, RECORDS, &added, &e) == -1)
		fixture_fail("store_add", e.text);
	q.watchdogs = &name;
	q.watchdog_count = 1;
	for (int order = QUERY_BY_TIME; order <= QUERY_BY_ARRIVAL; order++)
		for (q.order = order, q.limit = 1; q.limit <= RECORDS; q.limit++)
			all = newest(s, q, RECORDS, &e) && all;
	tap_ok(all, "the newest few, oldest first, whatever they take %s", e.text);
	free(message);
}

int
main(int argc, char **argv)
{
	struct model m = { .random = argc > 2 ? strtoull(argv[2], NULL, 10) : 88172645463325252u };
	struct error e = { .text = "" };
	struct match *match = match_new(str_of("7"), 0, &e);
	struct store *s, *reader;
	size_t *want = calloc(MODEL, sizeof(*want));
	bool all = true;

	fixture_begin_on(argc > 1 ? argv[1] : NULL);
	m.records = calloc(MODEL, sizeof(*m.records));
	m.texts = calloc(MODEL * 4, TEXT);
	if (want == NULL || m.records == NULL || m.texts == NULL || match == NULL)
		fixture_fail("main", "out of memory");
	tap_ok(store_open(fixture_nowhere(), STORE_READ, &e) == NULL && e.kind == ERROR_ABSENT,
	    "a store that is not there is absent to a reader");
	e.text[0] = '\0';
	s = fixture_open("m.db", STORE_WRITE);
	reader = fixture_open("m.db", STORE_READ);
	for (int i = 0; i < ROUNDS && all; i++) {
		size_t n = roll(&m, 6) == 0 ? 1 + roll(&m, 12000) : 1 + roll(&m, 300);
		if (m.n + n > MODEL)
			n = 1;
		all = add_some(s, &m, n, &e) == 0;
		for (int j = 0; j < QUESTIONS && all; j++)
			all = ask_both(reader, &m, want, match);
	}
	tap_ok(all, "every question gets the plain array's answer (%zu records) %s", m.n, e.text);
	test_marks(s);
	test_newest(s);
	store_close(&reader);
	store_close(&s);
	match_free(&match);
	free(m.texts);
	free(m.records);
	free(want);
	return tap_done();
}
