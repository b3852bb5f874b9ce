/*
 * Asking a store behind a daemon, held against the same store at hand.
 */
#include <inttypes.h>

#include "client.h"
#include "fake_daemon.h"
#include "match.h"

enum { RECORDS = 9000 };

static struct error e;
static struct store *near, *far;

static struct store *
reach(struct fake_daemon *d)
{
	struct client_settings s = { .url = d->fake.url, .token = "secret" };
	struct store *store = store_open_remote(&s, STORE_READ, &e);

	if (store == NULL)
		fixture_fail("store_open_remote", e.text);
	return store;
}

/* ---- asking ---- */

static bool
same_record(const struct record *a, const struct record *b)
{
	return a->kind == b->kind && a->level == b->level && a->time == b->time &&
	    str_equal(a->watchdog, b->watchdog) && str_equal(a->sender, b->sender) &&
	    str_equal(a->message, b->message) && str_equal(a->extra, b->extra);
}

/* Do both stores give the same answer? -1, or how long it is. */
static int64_t
same_answer(const struct query *q)
{
	struct answer *a = store_ask(near, q, &e), *b = store_ask(far, q, &e);
	struct record x, y;
	struct cursor c, d;
	int64_t n = 0;
	int rc = -1, other = -1;

	while (a != NULL && b != NULL && (rc = answer_next(a, &x, &e)) == 1 &&
	    (other = answer_next(b, &y, &e)) == 1 && same_record(&x, &y)) {
		answer_cursor(a, &c);
		answer_cursor(b, &d);
		if (c.arrival != d.arrival || c.time != d.time || c.store != d.store)
			break;
		n++;
	}
	if (rc == 0)
		other = answer_next(b, &y, &e);
	answer_close(&a);
	answer_close(&b);
	if (rc == 0 && other == 0)
		return n;
	printf("# after %" PRId64 " records: %d, %d (%s)\n", n, rc, other, other == -1 ? e.text : "");
	return -1;
}

static void
test_orders(const char *what)
{
	struct query q = query_all();

	for (int i = 0; i < 4; i++) {
		q.order = i % 2 == 0 ? QUERY_BY_TIME : QUERY_BY_ARRIVAL;
		q.reverse = i > 1;
		tap_ok(same_answer(&q) == RECORDS, "%s: all, by %s%s", what, i % 2 == 0 ? "time" : "arrival",
		    i > 1 ? ", backwards" : "");
	}
}

static void
test_limits(const char *what)
{
	static const size_t limits[] = { 0, 1, 99, 100, 101, 1000, 1001, 2500, RECORDS, RECORDS + 1 };
	struct query q = query_all();
	bool same = true;

	for (int i = 0; i < 4; i++)
		for (size_t k = 0; k < sizeof(limits) / sizeof(limits[0]); k++) {
			q.order = i % 2 == 0 ? QUERY_BY_TIME : QUERY_BY_ARRIVAL;
			q.reverse = i > 1;
			q.limit = limits[k];
			same = same_answer(&q) == (int64_t)(limits[k] < RECORDS ? limits[k] : RECORDS) && same;
		}
	tap_ok(same, "%s: the newest so many, in every order", what);
}

static void
test_senders(void)
{
	struct query q = query_all();
	struct str senders[150];
	char names[150][24];

	for (size_t i = 0; i < 150; i++) {
		snprintf(names[i], sizeof(names[i]), "s%zu", i * 3);
		senders[i] = str_of(names[i]);
	}
	q.senders = senders;
	q.sender_count = 2;
	tap_ok(same_answer(&q) > 1000, "two senders");
	q.sender_count = 150;
	tap_ok(same_answer(&q) > 1000, "more senders than a request can hold");
	senders[0] = (struct str){ "\xff", 1 };
	q.sender_count = 1;
	tap_ok(same_answer(&q) == 0, "a sender that no JSON can name");
}

/* Up to the middle of all. */
static void
only_before(void)
{
	struct query q = query_all();
	struct cursor at;
	struct record r;
	struct answer *a;

	q.order = QUERY_BY_ARRIVAL;
	a = store_ask(near, &q, &e);
	for (int i = 0; i < 4000; i++)
		if (a == NULL || answer_next(a, &r, &e) != 1)
			fixture_fail("answer_next", e.text);
	answer_cursor(a, &at);
	answer_close(&a);
	q.upto = at.arrival;
	tap_ok(same_answer(&q) == 4000, "only what had arrived by then");
}

static void
test_filters(void)
{
	struct match *m = match_new(str_of("[37], 1"), MATCH_PATTERN, &e);
	struct query q = query_all();
	struct str watchdog;

	q.kinds = RECORD_KIND_BIT(RECORD_NOTIFICATION);
	tap_ok(same_answer(&q) > 500, "one kind");
	q = query_all();
	q.level_min = 10;
	q.level_max = 20;
	tap_ok(same_answer(&q) > 1000, "a range of levels");
	q = query_all();
	q.since = fixture_time + 100.0 / 3;
	q.until = fixture_time + 200.0 / 3;
	tap_ok(same_answer(&q) > 100, "a range of times, to the last bit");
	q = query_all();
	q.match = m;
	tap_ok(same_answer(&q) > 100, "a pattern");
	q.limit = 70;
	tap_ok(same_answer(&q) == 70, "... and a limit, of what matches");
	q.reverse = true;
	tap_ok(same_answer(&q) == 70, "... backwards");
	q = query_all();
	q.watchdogs = &watchdog;
	q.watchdog_count = 1;
	watchdog = str_of("w0");
	tap_ok(same_answer(&q) == RECORDS, "the watchdog of the token");
	watchdog = str_of("w1");
	tap_ok(same_answer(&q) == 0, "another watchdog");
	q.limit = 2500;
	tap_ok(same_answer(&q) == 0, "... and the newest of its records");
	only_before();
	match_free(&m);
}

/* Stop anywhere, and go on from there. */
static void
test_cursors(void)
{
	struct query q = query_all();
	struct record r;
	struct cursor at, end;
	struct answer *a = store_ask(far, &q, &e);

	for (int i = 0; i < 1234; i++)
		if (a == NULL || answer_next(a, &r, &e) != 1)
			fixture_fail("answer_next", e.text);
	answer_cursor(a, &at);
	answer_close(&a);
	q.after = &at;
	tap_ok(same_answer(&q) == RECORDS - 1234, "an answer is left in its midst, and gone on with");
	q.limit = 50;
	tap_ok(same_answer(&q) == 50, "... and the next so many of it");
	q.reverse = true;
	q.limit = SIZE_MAX;
	tap_ok(same_answer(&q) == 1233, "... and backwards");
	tap_ok(store_end(far, &at, &e) == 0 && store_end(near, &end, &e) == 0 &&
	    at.arrival == end.arrival && at.store == end.store, "the end");
}

/* ---- sums ---- */

struct rows {
	struct buf text;
	unsigned left;
};

static int
add_row(void *arg, const struct tally *t)
{
	struct rows *r = arg;

	buf_printf(&r->text, "%d %.*s %a %" PRId64 " %" PRIu64 "\n", (int)t->kind, STR_ARGS(t->key),
	    t->time, t->level, t->count);
	return --r->left == 0 ? 7 : 0;
}

static void
test_tally(const struct query *q, enum tally_by by, unsigned most, const char *what)
{
	struct rows a = { .left = most }, b = { .left = most };
	int rc = store_tally(near, q, by, 7, 0.3, add_row, &a, &e);
	int other = store_tally(far, q, by, 7, 0.3, add_row, &b, &e);

	tap_ok(rc == other && rc == (most > 0 ? 7 : 0) && a.text.len > 0 &&
	    a.text.len == b.text.len && memcmp(a.text.data, b.text.data, a.text.len) == 0, "%s", what);
	buf_free(&a.text);
	buf_free(&b.text);
}

static void
test_sums(void)
{
	struct query q = query_all();
	double a, b, c, d;

	test_tally(&q, TALLY_BY_KIND, 0, "counted by kind");
	test_tally(&q, TALLY_BY_WATCHDOG, 0, "counted by watchdog");
	test_tally(&q, TALLY_BY_TIME, 0, "counted by time and level");
	test_tally(&q, TALLY_BY_SENDER, 0, "counted by sender");
	test_tally(&q, TALLY_BY_SENDER, 3, "... until there are enough");
	q.limit = 5;
	q.reverse = true;
	test_tally(&q, TALLY_BY_KIND, 0, "a limit is none of theirs");
	q = query_all();
	tap_ok(store_tally(far, &q, TALLY_BY_TIME, 0, 0, add_row, NULL, &e) == -1 &&
	    e.kind == ERROR_USAGE, "an interval of nothing");
	tap_ok(store_span(near, &q, &a, &b, &e) == 1 && store_span(far, &q, &c, &d, &e) == 1 &&
	    a == c && b == d, "the first and the last time");
	q.level_min = INT64_MAX;
	tap_ok(store_span(far, &q, &c, &d, &e) == 0, "... of nothing");
}

static void
test_only_local(void)
{
	struct store_stats st;

	tap_ok(store_stats(far, &st, &e) == -1 && e.kind == ERROR_USAGE &&
	    store_backup(far, "x", &e) == -1 && e.kind == ERROR_USAGE &&
	    store_verify(far, NULL, NULL, &e) == -1 && e.kind == ERROR_USAGE &&
	    store_salvage(far, "x", NULL, &e) == -1 && e.kind == ERROR_USAGE &&
	    store_purge(far, NULL, NULL, NULL, &e) == -1 && e.kind == ERROR_USAGE,
	    "what only a local store can do");
}

/* ---- daemons ---- */

/* Of one watchdog, and with extra members called as ours is. */
static void
fill(const char *path)
{
	struct store *s = fixture_open(path, STORE_WRITE);
	struct sample *samples = fixture_samples(0, RECORDS);

	for (size_t i = 0; i < RECORDS; i++) {
		samples[i].record.watchdog = str_of("w0");
		if (i % 5 == 0)
			samples[i].record.extra = str_of("{\"a\":[1,{\"cursor\":\"x\"}],\"cursor\":\"mine\"}");
	}
	fixture_add(s, samples, RECORDS, 3000);
	free(samples);
	store_close(&s);
}

static void
test_good_daemon(void)
{
	struct fake_daemon d = { .path = "full.db", .chatter = true };

	fake_daemon_start(&d);
	far = reach(&d);
	test_orders("a daemon");
	test_limits("a daemon");
	test_senders();
	test_filters();
	test_cursors();
	test_sums();
	test_only_local();
	store_close(&far);
	fake_daemon_stop(&d);
	tap_ok(d.opened == 1, "all of it over one connection");
}

static void
test_mean_daemon(void)
{
	struct fake_daemon d = { .path = "full.db", .bound = 333 };

	fake_daemon_start(&d);
	far = reach(&d);
	test_orders("a daemon that answers little at once");
	test_limits("a daemon that answers little at once");
	store_close(&far);
	fake_daemon_stop(&d);
}

static void
test_weak_daemon(void)
{
	struct fake_daemon d = { .path = "full.db", .drop_before = 5, .drop_after = 7,
	    .drop_within = 3 };

	fake_daemon_start(&d);
	far = reach(&d);
	test_orders("connections that break");
	store_close(&far);
	fake_daemon_stop(&d);
	tap_ok(d.opened > 4, "... and they did");
}

/* The daemon goes away in the midst of an answer, and does not come back. */
static void
test_vanished_daemon(void)
{
	struct fake_daemon d = { .path = "full.db", .drop_from = 3 };
	struct query q = query_all();
	struct answer *a;
	struct record r;
	int n = 0, rc;

	fake_daemon_start(&d);
	far = reach(&d);
	if ((a = store_ask(far, &q, &e)) == NULL)
		fixture_fail("store_ask", e.text);
	while ((rc = answer_next(a, &r, &e)) == 1)
		n++;
	tap_ok(rc == -1 && e.kind == ERROR_BUSY && n == 2100,
	    "a connection that breaks again and again is given up: %s", e.text);
	answer_close(&a);
	store_close(&far);
	fake_daemon_stop(&d);
	tap_ok(d.opened > 3, "... after a few attempts");
}

static void
test_nobody(void)
{
	struct fake_daemon d = { 0 };
	struct query q = query_all();
	struct answer *a;
	struct record r;

	fake_listen(&d.fake, 0);
	close(d.fake.listener);
	far = reach(&d);
	a = store_ask(far, &q, &e);
	tap_ok(a != NULL && answer_next(a, &r, &e) == -1 && e.kind == ERROR_BUSY &&
	    strstr(e.text, "refused") != NULL, "nobody there: %s", e.text);
	answer_close(&a);
	store_close(&far);
}

static void
test_refusal(void)
{
	struct fake_daemon d = { .path = "full.db", .comment = "the cursor is of another store" };
	struct query q = query_all();
	struct answer *a;
	struct record r;

	fake_daemon_start(&d);
	far = reach(&d);
	a = store_ask(far, &q, &e);
	tap_ok(a != NULL && answer_next(a, &r, &e) == -1 && e.kind == ERROR_INVALID &&
	    strstr(e.text, "another store") != NULL, "a refusal: %s", e.text);
	answer_close(&a);
	d.comment = "The store is busy, try again";
	a = store_ask(far, &q, &e);
	tap_ok(a != NULL && answer_next(a, &r, &e) == -1 && e.kind == ERROR_BUSY &&
	    strstr(e.text, "is busy") != NULL, "one that may pass: %s", e.text);
	answer_close(&a);
	store_close(&far);
	fake_daemon_stop(&d);
}

int
main(int argc, char **argv)
{
	fixture_begin_on(argc > 1 ? argv[1] : NULL);
	fill("full.db");
	near = fixture_open("full.db", STORE_READ);
	test_good_daemon();
	if (fixture_maker == NULL) {   /* what daemons do with any store */
		test_mean_daemon();
		test_weak_daemon();
		test_vanished_daemon();
		test_nobody();
		test_refusal();
	}
	store_close(&near);
	return tap_done();
}
