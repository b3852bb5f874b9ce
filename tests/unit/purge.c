/*
 * Purging, through the store's door: random records, odd ones among them, and
 * random purges, held against a plain array that forgets by the same rules.
 *
 *	purge [MAKER [SEED]]   the command MAKER makes a store and prints its URL; without
 *	                       it, or empty: a file
 */
#include <pthread.h>

#include "fixture.h"

enum { MODEL = 600000, TEXT = 32, ROUNDS = 40, BATCH = 5000 };

struct kept {
	struct record record;
	char text[TEXT];      /* the message: its place in the model */
	char watchdog[TEXT];
	char sender[TEXT];
	bool there;
};

/* All records ever added, in arrival order. */
struct model {
	struct kept *kept;
	size_t n;
	uint64_t random;
	double start;         /* nothing arrived before */
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
put(char text[TEXT], const char *prefix, uint64_t n)
{
	return (struct str){ text, (size_t)snprintf(text, TEXT, "%s%llu", prefix,
	    (unsigned long long)n) };
}

/* A record such as they come, with a time in the 20,000 s before the start, and
 * now and then one that they should not be. */
static struct record *
make_record(struct model *m)
{
	static const int64_t odd_levels[] = { INT64_MIN, -129, -128, 127, 128, INT64_MAX };
	static const double odd_times[] = { 0, -0.0, 1e300, -1e300, 4e9 };
	struct kept *k = &m->kept[m->n];
	struct record *r = &k->record;

	if (m->n == MODEL)
		abort();
	*r = (struct record){
		.kind = roll(m, 10) == 0 ? RECORD_NOTIFICATION : RECORD_LOG,
		.level = (int64_t)roll(m, 6) * 10,
		.time = m->start - 20000 + (double)m->n / 30 + (double)roll(m, 1000) / 100,
		.watchdog = put(k->watchdog, "w", roll(m, 3) == 0 ? 0 : roll(m, 40)),
		.sender = put(k->sender, "s", roll(m, 12)),
		.message = put(k->text, "", m->n),
	};
	switch (roll(m, 50)) {
	case 0:
		r->time = odd_times[roll(m, 5)];
		break;
	case 1:
		r->level = odd_levels[roll(m, 6)];
		break;
	case 2:
		r->time -= (double)roll(m, 10000);   /* late */
		break;
	case 3:
		r->extra = str_of("{\"pid\":7}");
		break;
	}
	k->there = true;
	m->n++;
	return r;
}

static bool
add(struct store *s, struct model *m, size_t n, struct error *e)
{
	static struct store_offer offers[BATCH];
	struct store_added added;

	for (size_t i = 0; i < n; i++)
		offers[i] = (struct store_offer){ .record = *make_record(m) };
	return store_add(s, offers, n, &added, e) == 0 && added.stored == n;
}

static void
print_finding(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

static bool
wanted(const struct model *m, size_t i, const char *watchdog)
{
	return m->kept[i].there &&
	    (watchdog == NULL || str_equal(m->kept[i].record.watchdog, str_of(watchdog)));
}

/* By arrival, is what is in the store (of one watchdog; NULL: all) what is in the model? By
 * time, is it as much? */
static bool
same_rows(struct store *s, const struct model *m, const char *watchdog, enum query_order order)
{
	struct query q = query_all();
	struct str name = str_of(watchdog != NULL ? watchdog : "");
	struct error e = { .text = "" };
	struct answer *a;
	struct record r;
	size_t at = 0;
	int rc;

	q.order = order;
	q.watchdogs = &name;
	q.watchdog_count = watchdog != NULL;
	if ((a = store_ask(s, &q, &e)) == NULL) {
		printf("# %s\n", e.text);
		return false;
	}
	while ((rc = answer_next(a, &r, &e)) == 1) {
		while (at < m->n && !wanted(m, at, watchdog))
			at++;
		if (at == m->n || (order == QUERY_BY_ARRIVAL &&
		    (!str_equal(r.message, m->kept[at].record.message) ||
		    !str_equal(r.watchdog, m->kept[at].record.watchdog) ||
		    !str_equal(r.sender, m->kept[at].record.sender))))
			break;
		at++;
	}
	answer_close(&a);
	while (rc == 0 && at < m->n && !wanted(m, at, watchdog))
		at++;
	if (rc != 0 || at != m->n)
		printf("# at record %zu of %zu, %s, order %d: %s\n", at, m->n, name.data, order,
		    rc == -1 ? e.text : rc == 0 ? "missing" : "another one");
	return rc == 0 && at == m->n;
}

/* Is what is in the store what is in the model, and is the store sound? */
static bool
agree(struct store *s, const struct model *m)
{
	struct error e = { .text = "" };

	if (!same_rows(s, m, NULL, QUERY_BY_ARRIVAL) || !same_rows(s, m, "w7", QUERY_BY_ARRIVAL) ||
	    !same_rows(s, m, "w0", QUERY_BY_TIME))
		return false;
	if (store_verify(s, print_finding, NULL, &e) == 0)
		return true;
	printf("# not sound: %s\n", e.text);
	return false;
}

static bool
restricted_to(const struct purge *p, const struct record *r)
{
	if (r->level < p->level_min)
		return false;
	for (size_t i = 0; i < p->watchdog_count; i++)
		if (str_equal(p->watchdogs[i], r->watchdog))
			return true;
	return p->watchdog_count == 0;
}

/* What this purge ought to do, for windows that reach back before the start. */
static void
forget(struct model *m, const struct purge *p, uint64_t rows[RECORD_KINDS])
{
	rows[RECORD_LOG] = rows[RECORD_NOTIFICATION] = 0;
	for (size_t i = 0; i < m->n; i++) {
		struct kept *k = &m->kept[i];
		double window = p->window[k->record.kind];
		if (k->there && window > 0 && k->record.time < p->now - window &&
		    restricted_to(p, &k->record)) {
			k->there = false;
			rows[k->record.kind]++;
		}
	}
}

static struct purge
purge_of(double now)
{
	return (struct purge){ .now = now, .level_min = INT64_MIN };
}

static struct purge
random_purge(struct model *m, struct str *names)
{
	struct purge p = purge_of(m->start);
	double newest = 20000 - (double)m->n / 30;

	p.window[RECORD_LOG] = newest + (double)roll(m, 2000) + 1;
	if (roll(m, 2) == 0)
		p.window[RECORD_NOTIFICATION] = newest + (double)roll(m, 2000) + 1;
	if (roll(m, 3) == 0) {
		p.watchdogs = names;
		p.watchdog_count = 1 + roll(m, 2);
	}
	if (roll(m, 3) == 0)
		p.level_min = (int64_t)roll(m, 60);
	p.shrink = roll(m, 2) == 0;
	return p;
}

/* They are told about; of a file, exactly. */
static bool
same_bytes(uint64_t got, uint64_t want)
{
	return fixture_maker == NULL ? got == want : (got > 0) == (want > 0);
}

static bool
same_counts(const struct purged *a, const struct purged *b)
{
	return a->rows[RECORD_LOG] == b->rows[RECORD_LOG] &&
	    a->rows[RECORD_NOTIFICATION] == b->rows[RECORD_NOTIFICATION] &&
	    same_bytes(a->bytes[RECORD_LOG], b->bytes[RECORD_LOG]) &&
	    same_bytes(a->bytes[RECORD_NOTIFICATION], b->bytes[RECORD_NOTIFICATION]) &&
	    a->marks == b->marks;
}

static bool
purge_as_model(struct store *s, struct model *m)
{
	struct str names[] = { str_of("w0"), str_of("w7") };
	struct purge p = random_purge(m, names);
	struct purged dry, out;
	struct error e = { .text = "" };
	uint64_t rows[RECORD_KINDS];
	bool ok;

	p.dry_run = true;
	ok = store_purge(s, &p, NULL, &dry, &e) == 0 && agree(s, m);
	p.dry_run = false;
	forget(m, &p, rows);
	ok = ok && store_purge(s, &p, NULL, &out, &e) == 0;
	if (ok && !same_counts(&dry, &out)) {
		printf("# a dry run said %llu + %llu rows, %llu + %llu bytes; it was %llu + %llu, %llu +"
		    " %llu\n", (unsigned long long)dry.rows[0], (unsigned long long)dry.rows[1],
		    (unsigned long long)dry.bytes[0], (unsigned long long)dry.bytes[1],
		    (unsigned long long)out.rows[0], (unsigned long long)out.rows[1],
		    (unsigned long long)out.bytes[0], (unsigned long long)out.bytes[1]);
		ok = false;
	}
	if (ok && (out.rows[0] != rows[0] || out.rows[1] != rows[1])) {
		printf("# %llu + %llu rows, expected %llu + %llu\n", (unsigned long long)out.rows[0],
		    (unsigned long long)out.rows[1], (unsigned long long)rows[0],
		    (unsigned long long)rows[1]);
		ok = false;
	}
	if (e.text[0] != '\0')
		printf("# %s\n", e.text);
	return ok && agree(s, m);
}

/* One handle writes and holds its tails in memory while another purges. */
static void
test_random(struct store *writer, struct store *purger, struct model *m)
{
	struct error e = { .text = "" };
	int rounds = fixture_maker == NULL ? ROUNDS : ROUNDS / 3;   /* of a server that takes longer */
	bool ok = true;

	for (int i = 0; i < rounds && ok; i++) {
		size_t n = roll(m, 4) == 0 ? 1 + roll(m, 12000) : 1 + roll(m, 500);
		for (; n > 0 && ok; n -= n < BATCH ? n : BATCH)
			ok = add(writer, m, n < BATCH ? n : BATCH, &e);
		ok = ok && purge_as_model(purger, m);
	}
	tap_ok(ok, "what a purge removes, and says that it would, is what a plain array forgets"
	    " (%zu records) %s", m->n, e.text);
}

static void
test_arrival(struct store *s, struct model *m)
{
	struct purge p = purge_of(when_now() + 1000);
	struct purged out;
	struct error e = { .text = "" };
	uint64_t rows[RECORD_KINDS] = { 0 };

	p.window[RECORD_LOG] = 1100;
	p.window[RECORD_NOTIFICATION] = 900;
	for (size_t i = 0; i < m->n; i++) {
		struct kept *k = &m->kept[i];
		if (k->there && (k->record.kind == RECORD_NOTIFICATION ||
		    k->record.time < p.now - p.window[RECORD_LOG])) {
			rows[k->record.kind]++;
			k->there = false;
		}
	}
	tap_ok(store_purge(s, &p, NULL, &out, &e) == 0 && out.rows[0] == rows[0] &&
	    out.rows[1] == rows[1] && agree(s, m),
	    "a record whose arrival is older than the window goes whatever its time says %s", e.text);
}

static void
test_stop(struct store *s, struct model *m)
{
	volatile int stop = 1;
	struct purge p = purge_of(when_now() + 1e6);
	struct purged out;
	struct error e = { .text = "" };

	p.window[RECORD_LOG] = 1;
	/* The tail is one transaction and goes; blocks are behind the first look. */
	add(s, m, BATCH, &e);
	add(s, m, BATCH, &e);
	tap_ok(store_purge(s, &p, &stop, &out, &e) == 0 && out.rows[0] == 0 && agree(s, m),
	    "a purge that was told to stop ends early %s", e.text);
}

static uint64_t
count_logs(struct store *s)
{
	struct store_stats st;
	struct error e = { .text = "" };

	if (store_stats(s, &st, &e) == -1)
		printf("# %s\n", e.text);
	return st.rows[RECORD_LOG];
}

/* The newest logs of the model stay: as many as are there. */
static void
keep_newest_logs(struct model *m, uint64_t left)
{
	for (size_t i = m->n; i-- > 0; )
		if (m->kept[i].record.kind == RECORD_LOG && m->kept[i].there) {
			m->kept[i].there = left > 0;
			left -= left > 0;
		}
}

static void
test_size(struct store *s, struct model *m)
{
	struct purge p = purge_of(m->start);
	struct purged dry, out;
	struct store_stats st;
	struct error e = { .text = "" };
	uint64_t before, left;
	bool ok;

	for (int i = 0; i < 20; i++)
		add(s, m, BATCH, &e);
	p.shrink = true;
	store_purge(s, &p, NULL, &out, &e);
	before = count_logs(s);
	p.max_size = out.size / 2;
	p.dry_run = true;
	tap_ok(store_purge(s, &p, NULL, &dry, &e) == 0 && dry.rows[RECORD_LOG] > 0 &&
	    count_logs(s) == before, "a dry run estimates what has to go for a bound on size %s", e.text);
	p.dry_run = false;
	ok = store_purge(s, &p, NULL, &out, &e) == 0 && out.size <= p.max_size &&
	    out.size > p.max_size / 2;
	tap_ok(ok, "a store that is too large is made small enough, and no"
	    " smaller (%llu of %llu bytes) %s", (unsigned long long)out.size,
	    (unsigned long long)p.max_size, e.text);
	left = count_logs(s);
	tap_ok(left == before - out.rows[RECORD_LOG] && left > 0 && out.rows[RECORD_NOTIFICATION] == 0,
	    "for size only logs go");
	tap_ok(fabs((double)dry.rows[RECORD_LOG] - (double)out.rows[RECORD_LOG]) <= 2 * 8192,
	    "the estimate was within two blocks (%llu, %llu)",
	    (unsigned long long)dry.rows[RECORD_LOG], (unsigned long long)out.rows[RECORD_LOG]);
	keep_newest_logs(m, left);
	tap_ok(agree(s, m), "and the oldest by arrival go first");
	tap_ok(store_purge(s, &p, NULL, &out, &e) == 0 && out.rows[RECORD_LOG] == 0,
	    "a store that fits is left alone");
	p.max_size = 1;
	tap_ok(store_purge(s, &p, NULL, &out, &e) == 0 && count_logs(s) == 0 &&
	    store_stats(s, &st, &e) == 0 && st.rows[RECORD_NOTIFICATION] > 0,
	    "if it cannot be made small enough all logs go, sealed or not, and nothing else");
	keep_newest_logs(m, 0);
	tap_ok(agree(s, m), "and what is left is whole");
}

/* keep_free asks for more than the filesystem could ever have. */
static void
test_keep_free(struct store *s, struct model *m)
{
	struct purge p = purge_of(m->start);
	struct purged out;
	struct error e = { .text = "" };
	bool ok = add(s, m, 100, &e);

	p.keep_free = 1;
	tap_ok(ok && store_purge(s, &p, NULL, &out, &e) == 0 && out.rows[RECORD_LOG] == 0 &&
	    agree(s, m), "while enough is free on the filesystem nothing goes for it %s", e.text);
	p.keep_free = UINT64_MAX / 2;
	keep_newest_logs(m, 0);
	tap_ok(store_purge(s, &p, NULL, &out, &e) == 0 && out.rows[RECORD_LOG] > 0 && agree(s, m),
	    "where it is not, logs go %s", e.text);
}

static uint64_t
free_bytes(struct store *s)
{
	struct store_stats st = { .free_bytes = 0 };

	store_stats(s, &st, NULL);
	return st.free_bytes;
}

static void
test_spare(struct store *s, struct model *m)
{
	struct purge p = purge_of(m->start);
	struct purged out;
	struct error e = { .text = "" };
	uint64_t bytes;
	int rc;

	for (int i = 0; i < 20; i++)
		add(s, m, BATCH, &e);
	p.max_size = 1;
	rc = store_purge(s, &p, NULL, &out, &e);
	bytes = free_bytes(s);
	tap_ok(rc == 0 && bytes > 7 << 19,
	    "without shrinking, free space stays in the file (%llu bytes) %s",
	    (unsigned long long)bytes, e.text);
	keep_newest_logs(m, 0);
	p.max_size = 0;
	p.shrink = true;
	p.spare = 2 << 20;
	rc = store_purge(s, &p, NULL, &out, &e);
	bytes = free_bytes(s);
	tap_ok(rc == 0 && bytes <= p.spare && bytes > p.spare - 65536 && out.given_back > 0,
	    "some of it can be kept for the next records (%llu bytes) %s",
	    (unsigned long long)bytes, e.text);
	p.spare = 0;
	tap_ok(store_purge(s, &p, NULL, &out, &e) == 0 && free_bytes(s) == 0 &&
	    out.given_back > 3 << 19 && agree(s, m), "or all of it given back %s", e.text);
}

/* All logs go. */
static void
clear_logs(struct store *s, struct model *m)
{
	struct purge p = purge_of(when_now() + 1e6);
	struct purged out;
	struct error e;

	p.window[RECORD_LOG] = 1;
	if (store_purge(s, &p, NULL, &out, &e) == -1)
		fixture_fail("store_purge", e.text);
	keep_newest_logs(m, 0);
}

/* Messages so long that their blocks go in parts. */
static void
test_long(struct store *s, struct model *m)
{
	static char text[20000];
	struct store_offer offers[100];
	struct store_added added;
	struct purge p = purge_of(m->start);
	struct purged dry, out;
	struct error e = { .text = "" };
	bool ok = true;

	clear_logs(s, m);
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 20 && ok; i++) {
		for (int j = 0; j < 100; j++)
			offers[j] = (struct store_offer){ .record = { .kind = RECORD_LOG,
			    .time = m->start - 100 + i, .watchdog = str_of("long"),
			    .sender = str_of("long"), .message = { text, sizeof(text) } } };
		ok = store_add(s, offers, 100, &added, &e) == 0;
	}
	p.window[RECORD_LOG] = 90;
	p.dry_run = true;
	ok = ok && store_purge(s, &p, NULL, &dry, &e) == 0;
	p.dry_run = false;
	tap_ok(ok && store_purge(s, &p, NULL, &out, &e) == 0 && out.rows[RECORD_LOG] == 1000 &&
	    same_bytes(out.bytes[RECORD_LOG], 1000 * 20040) && same_counts(&dry, &out) &&
	    store_verify(s, print_finding, NULL, &e) == 0,
	    "a block of long messages goes in parts, as far as it is old %s", e.text);
	p.window[RECORD_LOG] = 1;
	tap_ok(store_purge(s, &p, NULL, &out, &e) == 0 && out.rows[RECORD_LOG] == 1000 &&
	    same_bytes(out.bytes[RECORD_LOG], 1000 * 20040) && agree(s, m),
	    "and then the rest of it %s", e.text);
}

static void
test_marks(struct store *s)
{
	struct store_offer o = { .record = { .watchdog = str_of("w1"), .sender = str_of("marks"),
	    .time = 1 }, .source = str_of("a source"), .seq = 7 };
	struct store_added added;
	struct purge p = purge_of(when_now() + 100);
	struct purged dry, out;
	struct error e = { .text = "" };
	bool ok = store_add(s, &o, 1, &added, &e) == 0 && added.stored == 1;

	p.marks_window = 200;
	ok = ok && store_purge(s, &p, NULL, &out, &e) == 0 && out.marks == 0 &&
	    store_add(s, &o, 1, &added, &e) == 0 && added.duplicates == 1;
	tap_ok(ok, "a source that was heard of lately keeps its mark %s", e.text);
	p.marks_window = 50;
	p.dry_run = true;
	/* (A writer may keep marks of its own.) */
	ok = store_purge(s, &p, NULL, &dry, &e) == 0 && dry.marks >= 1;
	p.dry_run = false;
	ok = ok && store_purge(s, &p, NULL, &out, &e) == 0 && out.marks == dry.marks &&
	    store_add(s, &o, 1, &added, &e) == 0 && added.stored == 1;
	tap_ok(ok, "one that has been silent for longer is forgotten %s", e.text);
	p.window[RECORD_LOG] = 1;
	store_purge(s, &p, NULL, &out, &e);
}

static uint64_t
count_sender(struct store *s, const char *name)
{
	struct str sender = str_of(name);
	struct query q = query_all();
	struct error e = { .text = "" };
	struct answer *a;
	struct record r;
	uint64_t n = 0;

	q.senders = &sender;
	q.sender_count = 1;
	if ((a = store_ask(s, &q, &e)) == NULL)
		return 0;
	while (answer_next(a, &r, &e) == 1)
		n += str_equal(r.sender, sender);
	answer_close(&a);
	return n;
}

static bool
add_from(struct store *s, const char *sender, double time, struct error *e)
{
	struct store_offer o = { .record = { .kind = RECORD_LOG, .time = time,
	    .watchdog = str_of("w1"), .sender = str_of(sender), .message = str_of("hello") } };
	struct store_added added;

	return store_add(s, &o, 1, &added, e) == 0;
}

/* 30,000 senders, of which one stays in a block and one in the tail, which loses
 * nothing. The writer has them all in its memory. */
static void
test_names(struct store *writer, struct store *purger, struct model *m)
{
	static struct store_offer offers[BATCH];
	static char names[BATCH][TEXT];
	struct store_stats before, after;
	struct store_added added;
	struct purge p = purge_of(m->start);
	struct purged out;
	struct error e = { .text = "" };
	bool ok = true;

	for (uint64_t i = 0; i < 30000 && ok; i += BATCH) {
		for (uint64_t j = 0; j < BATCH; j++)
			offers[j] = (struct store_offer){ .record = { .kind = RECORD_LOG,
			    .time = m->start - (i + j == 9000 ? 10 : 1000), .watchdog = str_of("w1"),
			    .sender = put(names[j], "name", i + j), .message = str_of("hello") } };
		ok = store_add(writer, offers, BATCH, &added, &e) == 0;
	}
	for (int i = 0; i < 9000 && ok; i += 3000) {
		for (int j = 0; j < 3000; j++)
			offers[j].record.sender = str_of("the last"), offers[j].record.time = m->start - 10;
		ok = store_add(writer, offers, 3000, &added, &e) == 0;
	}
	ok = ok && store_stats(purger, &before, &e) == 0;
	p.window[RECORD_LOG] = 100;
	ok = ok && store_purge(purger, &p, NULL, &out, &e) == 0 && out.rows[RECORD_LOG] == 29999 &&
	    store_stats(purger, &after, &e) == 0;
	/* The model's twelve are those of notifications. */
	tap_ok(ok && before.senders >= 30000 && after.senders == 2 + 12, "names that no record has any more go when they have become many (%llu, %llu) %s",
	    (unsigned long long)before.senders, (unsigned long long)after.senders, e.text);
	tap_ok(count_sender(purger, "name9000") == 1 && count_sender(purger, "the last") == 9000,
	    "those that are used stay");
	tap_ok(add_from(writer, "name5", m->start - 10, &e) && count_sender(purger, "name5") == 1 &&
	    store_verify(purger, print_finding, NULL, &e) == 0,
	    "and a writer that still had one in mind stores it anew %s", e.text);
	p.window[RECORD_LOG] = 1;
	store_purge(purger, &p, NULL, &out, &e);
}

struct other {
	const struct purge *p;
	struct purged out;
	struct error e;
	int rc;
};

static void *
purge_too(void *arg)
{
	struct other *o = arg;
	struct store *s = store_open(fixture_url("m.db"), STORE_PURGE, &o->e);

	o->rc = s == NULL ? -1 : store_purge(s, o->p, NULL, &o->out, &o->e);
	store_close(&s);
	return NULL;
}

static void
test_two(struct store *s, struct model *m)
{
	struct str w0 = str_of("w0");
	struct purge p = purge_of(m->start), q;
	struct other o = { .p = &q };
	struct purged out;
	struct error e = { .text = "" };
	uint64_t rows[RECORD_KINDS], more[RECORD_KINDS];
	pthread_t thread;
	int rc;

	for (int i = 0; i < 20; i++)
		add(s, m, BATCH, &e);
	p.window[RECORD_LOG] = p.window[RECORD_NOTIFICATION] = 20000 - (double)m->n / 30 + 1000;
	p.shrink = true;
	q = p;
	p.level_min = 20;
	q.watchdogs = &w0;
	q.watchdog_count = 1;
	if (pthread_create(&thread, NULL, purge_too, &o) != 0)
		abort();
	rc = store_purge(s, &p, NULL, &out, &e);
	pthread_join(thread, NULL);
	forget(m, &p, rows);
	forget(m, &q, more);
	tap_ok(rc == 0 && o.rc == 0 && rows[0] > 0 &&
	    out.rows[0] + o.out.rows[0] == rows[0] + more[0] &&
	    out.rows[1] + o.out.rows[1] == rows[1] + more[1] && agree(s, m),
	    "two different purges at once each do what the other leaves them (%llu and %llu logs) %s%s",
	    (unsigned long long)out.rows[0], (unsigned long long)o.out.rows[0], e.text, o.e.text);
}

int
main(int argc, char **argv)
{
	struct model m = { .random = argc > 2 ? strtoull(argv[2], NULL, 10) : 88172645463325252u,
	    .start = when_now() };
	struct error e = { .text = "" };
	struct store *writer, *purger;

	fixture_begin_on(argc > 1 ? argv[1] : NULL);
	if ((m.kept = calloc(MODEL, sizeof(*m.kept))) == NULL)
		fixture_fail("main", "out of memory");
	tap_ok(store_open(fixture_nowhere(), STORE_PURGE, &e) == NULL && e.kind == ERROR_ABSENT,
	    "a purge does not make a store");
	writer = fixture_open("m.db", STORE_WRITE);
	purger = fixture_open("m.db", STORE_PURGE);
	test_random(writer, purger, &m);
	test_arrival(purger, &m);
	test_stop(writer, &m);
	if (fixture_maker == NULL) {   /* files, their size, and names that are stored once */
		test_size(writer, &m);
		test_keep_free(writer, &m);
		test_spare(writer, &m);
		test_names(writer, purger, &m);
	}
	test_long(writer, &m);
	test_marks(writer);
	test_two(writer, &m);
	store_close(&purger);
	store_close(&writer);
	free(m.kept);
	return tap_done();
}
