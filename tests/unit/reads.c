/*
 * reads.h, answers: whatever the slices, an answer is what the store itself says; and
 * what comes of stores that are absent, damaged, or replaced meanwhile.
 *
 *	reads [MAKER]   the command MAKER makes a store and prints its URL; without it: files
 */
#include "reads.h"

#include <sys/stat.h>

#include "asking.h"
#include "match.h"

/* ---- what the store itself says ---------------------------------------------- */

/* The same answer, in one straight walk. */
static void
expect(const char *url, const struct proto_request *q, const char *watchdog, size_t limit,
    struct buf *out)
{
	const struct proto_read *r = &q->read;
	struct store *s = fixture_open(url, STORE_READ);
	struct str code = str_of(watchdog);
	struct query query = query_all();
	struct cursor at = { 0, 0, 0 }, end;
	struct record record;
	struct answer *a;
	struct error e;
	size_t nth = 0;
	int rc = 0;

	query.kinds = r->kinds;
	query.watchdogs = &code;
	query.watchdog_count = 1;
	query.senders = r->senders;
	query.sender_count = r->sender_count;
	query.level_min = r->level_min;
	query.level_max = r->level_max;
	query.since = r->since;
	query.until = r->until;
	query.order = r->order;
	query.reverse = r->reverse;
	query.limit = r->limit;
	query.after = r->has_cursor ? &r->cursor : NULL;
	query.match = r->text.data != NULL ? match_new(r->text, 0, &e) : NULL;
	if (store_end(s, &end, &e) == -1 || (a = store_ask(s, &query, &e)) == NULL)
		fixture_fail("store_ask", e.text);
	proto_answer_begin(out, q->action, q->id);
	while (nth < limit && (rc = answer_next(a, &record, &e)) == 1) {
		answer_cursor(a, &at);
		proto_answer_record(out, r->shape, &record, &at, nth++);
	}
	if (rc == 0 && (!r->has_cursor || nth < r->limit) && r->order == QUERY_BY_ARRIVAL && !r->reverse)
		at = (struct cursor){ at.time, end.arrival, end.store };
	proto_answer_end(out, r->shape, at.store != 0 ? &at : r->has_cursor ? &r->cursor : NULL);
	answer_close(&a);
	match_free((struct match **)(uintptr_t)&query.match);
	store_close(&s);
}

/* The text of an answer; backwards by arrival without the cursor at its end, which is behind all
 * that was looked at, however far that is behind the last record. */
static struct str
text_of(const struct buf *b, const struct proto_request *q)
{
	static const char key[] = "\"cursor\":";
	struct str s = { b->data, b->len };

	if (q->read.order == QUERY_BY_ARRIVAL && q->read.reverse)
		while (s.len > sizeof(key) && memcmp(s.data + s.len - sizeof(key), key, sizeof(key) - 1) != 0)
			s.len--;
	return s;
}

/* Whatever the size of the slices, it is the same. (A server is asked anew for each.) */
static void
same(struct reads *r, const char *url, const struct proto_request *q, const char *watchdog,
    size_t limit, const char *name)
{
	static const size_t sizes[] = { 0, 700, 65536 };
	size_t first = fixture_maker == NULL || q->read.limit < 100 ? 0 : 2;
	struct buf want = { 0 };
	struct came c;

	expect(url, q, watchdog, limit, &want);
	for (size_t i = first; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		bool ok = answer(r, q, watchdog, limit, sizes[i], &c) == READ_END &&
		    str_equal(text_of(&c.text, q), text_of(&want, q));
		if (!tap_ok(ok && c.firsts == 1, "%s, in slices of %zu bytes (%zu records, %zu slices)",
		    name, sizes[i], c.records, c.slices))
			printf("# got %.600s\n# want %.600s\n", c.text.data, want.data);
		forget(&c);
	}
	buf_free(&want);
}

static void
answers(bool at_once)
{
	static const enum proto_shape shapes[] = { PROTO_LOG_ROWS, PROTO_NOTIFICATION_ROWS,
		PROTO_OBJECTS, PROTO_OBJECTS_CURSORS };
	struct reads *r = open_reads("m.db", 2);

	if (at_once)
		reads_at_once(r);
	for (int i = 0; i < 8; i++) {
		struct proto_request q = request(shapes[i / 2]);
		char name[64];

		q.read.order = i % 2 == 0 ? QUERY_BY_TIME : QUERY_BY_ARRIVAL;
		snprintf(name, sizeof(name), "shape %d by %s", i / 2, i % 2 == 0 ? "time" : "arrival");
		same(r, "m.db", &q, "w3", SIZE_MAX, name);
		q.read.reverse = true;
		q.id = str_of("[7,\"seven\"]");
		snprintf(name, sizeof(name), "shape %d by %s, newest first", i / 2,
		    i % 2 == 0 ? "time" : "arrival");
		same(r, "m.db", &q, "w3", SIZE_MAX, name);
	}
	reads_free(&r);
	tap_ok(r == NULL, "freed");
}

/* Without threads, only what is looked for by ours comes. */
static void
at_once(void)
{
	struct reads *r = open_reads("m.db", 0);
	struct proto_request q = request(PROTO_OBJECTS);
	struct read *read;
	struct came c = { .done = false };

	reads_at_once(r);
	q.read.limit = 3;
	q.read.reverse = true;
	tap_ok(answer(r, &q, "w3", SIZE_MAX, 65536, &c) == READ_END && c.records == 3,
	    "a small answer comes without a thread");
	forget(&c);
	read = make(r, &q, "w3", false, SIZE_MAX);
	read_slice(read, 700, take, &c);
	tap_ok(!c.done, "it is not handed over before pool_reap(), either");
	read_free(&read);
	q.read.text = str_of("x");
	read = make(r, &q, "w3", false, SIZE_MAX);
	pool_reap(reads_pool(r));
	read_slice(read, 700, take, &c);
	pool_reap(reads_pool(r));
	tap_ok(!c.done, "who looks for a text has to wait for a thread");
	read_free(&read);
	reads_free(&r);
}

/* What has no threads looks for nothing but what is near. */
static void
at_once_is_near(void)
{
	struct reads *r = open_reads("m.db", 0);
	struct proto_request q = request(PROTO_OBJECTS);
	struct read *read = make(r, &q, "w3", false, SIZE_MAX);
	struct came c = { .done = false };

	reads_at_once(r);
	read_slice(read, 700, take, &c);
	pool_reap(reads_pool(r));
	tap_ok(c.done == (fixture_maker == NULL), "a server is not waited for on the caller's thread");
	forget(&c);
	read_free(&read);
	reads_free(&r);
}

static void
filters(void)
{
	struct reads *r = open_reads("m.db", 2);
	struct proto_request q = request(PROTO_OBJECTS);

	q.read.senders[0] = str_of("s3");
	q.read.senders[1] = str_of("s8");
	q.read.sender_count = 2;
	q.read.level_min = 10;
	q.read.level_max = 30;
	same(r, "m.db", &q, "w5", SIZE_MAX, "senders and levels");
	q = request(PROTO_OBJECTS);
	q.read.kinds = RECORD_KIND_BIT(RECORD_NOTIFICATION);
	q.read.since = fixture_time + 500;
	q.read.until = fixture_time + 2500;
	same(r, "m.db", &q, "w5", SIZE_MAX, "a kind and a range of times");
	q.read.order = QUERY_BY_ARRIVAL;
	same(r, "m.db", &q, "w5", SIZE_MAX, "a kind and a range of times, by arrival");
	q = request(PROTO_OBJECTS);
	q.read.text = str_of("7, ");
	same(r, "m.db", &q, "w7", SIZE_MAX, "a text");
	q.read.text = str_of(".*");
	same(r, "m.db", &q, "w7", SIZE_MAX, "a text that is no pattern");
	q = request(PROTO_OBJECTS);
	same(r, "m.db", &q, "nobody", SIZE_MAX, "a watchdog that is not known");
	reads_free(&r);
}

static void
limits(void)
{
	struct reads *r = open_reads("m.db", 1);
	struct proto_request q = request(PROTO_OBJECTS_CURSORS);

	for (int i = 0; i < 4; i++) {
		char name[64];

		q.read.order = i % 2 == 0 ? QUERY_BY_TIME : QUERY_BY_ARRIVAL;
		q.read.reverse = i / 2 == 1;
		snprintf(name, sizeof(name), "order %d: the client's limit", i);
		q.read.limit = 100;
		same(r, "m.db", &q, "w9", SIZE_MAX, name);
		snprintf(name, sizeof(name), "order %d: ours below it", i);
		same(r, "m.db", &q, "w9", 60, name);
		snprintf(name, sizeof(name), "order %d: ours above it", i);
		same(r, "m.db", &q, "w9", 200, name);
		snprintf(name, sizeof(name), "order %d: more than there is", i);
		q.read.limit = 100000;
		same(r, "m.db", &q, "w9", SIZE_MAX, name);
		snprintf(name, sizeof(name), "order %d: none", i);
		q.read.limit = 0;
		same(r, "m.db", &q, "w9", SIZE_MAX, name);
		snprintf(name, sizeof(name), "order %d: ours alone", i);
		q.read.limit = SIZE_MAX;
		same(r, "m.db", &q, "w9", 33, name);
	}
	reads_free(&r);
	/* More than are walked back over at once. */
	r = open_reads("one.db", 1);
	q.read.order = QUERY_BY_TIME;
	q.read.reverse = false;
	q.read.limit = 9000;
	same(r, "one.db", &q, "one", SIZE_MAX, "the newest 9000 of many, oldest first");
	reads_free(&r);
}

/* The cursor at the end of an answer. */
static struct cursor
last_cursor(const struct came *c)
{
	char text[CURSOR_TEXT_SIZE];
	struct cursor at;
	struct error e;
	size_t len = strlen("c1;t=0123456789abcdef;a=0123456789abcdef;s=0123456789abcdef");

	snprintf(text, sizeof(text), "%.*s", (int)len, c->text.data + c->text.len - len - 2);
	if (cursor_parse(text, &at, &e) == -1)
		fixture_fail("cursor_parse", e.text);
	return at;
}

static void
cursors(void)
{
	struct reads *r = open_reads("m.db", 2);
	struct proto_request q = request(PROTO_OBJECTS);
	struct buf whole = { 0 };
	struct came c, pieces = { .done = false };
	size_t rounds = 0;

	for (int i = 0; i < 4; i++) {
		q.read.order = i % 2 == 0 ? QUERY_BY_TIME : QUERY_BY_ARRIVAL;
		q.read.reverse = i / 2 == 1;
		q.read.has_cursor = false;
		answer(r, &q, "w2", 200, 65536, &c);
		q.read.has_cursor = true;
		q.read.cursor = last_cursor(&c);
		forget(&c);
		same(r, "m.db", &q, "w2", 50, "from a cursor on");
		q.read.limit = 70;
		same(r, "m.db", &q, "w2", SIZE_MAX, "from a cursor on, the next so many");
		q.read.limit = 0;
		same(r, "m.db", &q, "w2", SIZE_MAX, "from a cursor on, none");
		q.read.limit = SIZE_MAX;
	}
	/* An answer that our limit cuts is whole when asked for piece by piece. */
	q = request(PROTO_OBJECTS);
	expect("m.db", &q, "w2", SIZE_MAX, &whole);
	do {
		answer(r, &q, "w2", 100, 65536, &c);
		q.read.has_cursor = true;
		q.read.cursor = last_cursor(&c);
		pieces.records += c.records;
		pieces.slices = c.records;
		forget(&c);
		rounds++;
	} while (pieces.slices > 0);
	answer(r, &(struct proto_request){ .action = q.action, .read = request(PROTO_OBJECTS).read },
	    "w2", SIZE_MAX, 65536, &c);
	tap_ok(pieces.records == c.records && rounds > 5,
	    "an answer cut by our limit goes on from its cursor, to its end");
	forget(&c);
	buf_free(&whole);
	reads_free(&r);
}

/* What arrives while an answer is on its way is not in it. */
static void
later(void)
{
	struct proto_request q = request(PROTO_LOG_ROWS);
	struct reads *r;
	struct sample *samples = fixture_samples(30000, 5000);
	struct store *s;
	struct read *read;
	struct came c = { .done = false };
	struct buf want = { 0 };

	fixture_store("later.db", 30000);
	r = open_reads("later.db", 2);
	expect("later.db", &q, "w1", SIZE_MAX, &want);
	read = make(r, &q, "w1", false, SIZE_MAX);
	slice(r, read, 1000, &c);
	s = fixture_open("later.db", STORE_WRITE);
	fixture_add(s, samples, 5000, 1000);
	store_close(&s);
	while (c.state == READ_MORE)
		slice(r, read, 1000, &c);
	tap_ok(c.state == READ_END && str_equal((struct str){ c.text.data, c.text.len },
	    (struct str){ want.data, want.len }), "what arrives later is not in an answer");
	read_free(&read);
	forget(&c);
	want.len = 0;
	expect("later.db", &q, "w1", SIZE_MAX, &want);
	answer(r, &q, "w1", SIZE_MAX, 65536, &c);
	tap_ok(str_equal((struct str){ c.text.data, c.text.len },
	    (struct str){ want.data, want.len }), "but in the next");
	forget(&c);
	reads_free(&r);
	buf_free(&want);
	free(samples);
}

static void
absent(void)
{
	struct reads *r = open_reads("none.db", 1);
	struct proto_request q = request(PROTO_LOG_ROWS);
	struct came c;
	struct error e;

	tap_ok(reads_ok(r, &e), "nothing has gone wrong before the first look");
	answer(r, &q, "w1", 10, 100, &c);
	tap_ok(c.state == READ_END && c.firsts == 1, "no store yet is an empty answer");
	came_is(&c, "{\"success\":true,\"action\":\"getLogs\",\"logs\":[]}", "of this text");
	tap_ok(reads_ok(r, &e), "and nothing that went wrong");
	forget(&c);
	q = request(PROTO_OBJECTS);
	q.read.order = QUERY_BY_ARRIVAL;
	answer(r, &q, "w1", 10, 100, &c);
	tap_ok(last_cursor(&c).store == 0, "by arrival, with a cursor before everything");
	q.read.has_cursor = true;
	q.read.cursor = last_cursor(&c);
	forget(&c);
	fixture_store("none.db", 3000);
	answer(r, &q, "w1", 1000, 65536, &c);
	tap_ok(c.state == READ_END && c.records > 50, "from which on all is read once there is a store");
	forget(&c);
	reads_free(&r);
}

static void
replaced(void)
{
	struct proto_request q = request(PROTO_OBJECTS);
	struct reads *r;
	struct read *read, *first;
	struct came c = { .done = false };
	struct error e;

	fixture_store("old.db", 9000);
	fixture_store("new.db", 3000);
	r = open_reads("old.db", 1);
	read = make(r, &q, "w1", false, SIZE_MAX);
	tap_ok(slice(r, read, 1000, &c) == READ_MORE, "an answer begins");
	q.read.has_cursor = true;
	q.read.cursor = (struct cursor){ 0, 1, 4711 };
	first = make(r, &q, "w1", false, SIZE_MAX);
	forget(&c);
	tap_ok(slice(r, first, 1000, &c) == READ_FAILED && c.text.len == 0,
	    "a cursor of another store fails: %s", c.error.text);
	tap_is(read_comment(&c.error), "This cursor is of another store", "as the client is told");
	tap_ok(reads_ok(r, &e), "which is not the store's fault");
	read_free(&first);
	if (rename("new.db", "old.db") == -1)
		fixture_fail("rename", strerror(errno));
	tap_ok(slice(r, read, 1000, &c) == READ_FAILED,
	    "replaced in its middle, it fails: %s", c.error.text);
	tap_is(read_comment(&c.error), "The store was replaced, try again", "as the client is told");
	read_free(&read);
	forget(&c);
	q.read.has_cursor = false;
	same(r, "old.db", &q, "w1", SIZE_MAX, "the next answer is of the new one");
	unlink("old.db");
	answer(r, &q, "w1", SIZE_MAX, 1000, &c);
	tap_ok(c.state == READ_END && c.records == 0, "once it is removed, answers are empty");
	tap_ok(reads_ok(r, &e), "and nothing is wrong");
	forget(&c);
	reads_free(&r);
}

/* A store that an older copy has taken the place of, and a cursor from before. */
static void
restored(void)
{
	struct proto_request q = request(PROTO_OBJECTS);
	struct sample *samples = fixture_samples(3000, 500);
	struct reads *r;
	struct store *s;
	struct came c;
	struct error e;

	fixture_store("live.db", 3000);
	s = fixture_open("live.db", STORE_READ);
	if (store_backup(s, "copy.db", &e) == -1)
		fixture_fail("store_backup", e.text);
	store_close(&s);
	s = fixture_open("live.db", STORE_WRITE);
	fixture_add(s, samples, 500, 500);
	store_close(&s);
	r = open_reads("live.db", 1);
	q.read.order = QUERY_BY_ARRIVAL;
	answer(r, &q, "w1", SIZE_MAX, 65536, &c);
	q.read.has_cursor = true;
	q.read.cursor = last_cursor(&c);
	forget(&c);
	unlink("live.db-wal");
	unlink("live.db-shm");
	if (rename("copy.db", "live.db") == -1)
		fixture_fail("rename", strerror(errno));
	answer(r, &q, "w1", SIZE_MAX, 65536, &c);
	tap_ok(c.state == READ_FAILED && c.error.kind == ERROR_USAGE,
	    "a cursor behind all that there is fails: %s", c.error.text);
	forget(&c);
	reads_free(&r);
	free(samples);
}

static void
damaged(void)
{
	static const char junk[100000] = "SQLite format 3, or rather not";
	struct proto_request q = request(PROTO_LOG_ROWS);
	struct reads *r = open_reads("bad.db", 2);
	struct came c;
	struct error e;

	fixture_write("bad.db", junk, sizeof(junk));
	answer(r, &q, "w1", SIZE_MAX, 1000, &c);
	tap_ok(c.state == READ_FAILED && c.error.kind == ERROR_CORRUPT && c.text.len == 0,
	    "a damaged store fails: %s", c.error.text);
	tap_is(read_comment(&c.error), "The store can't be read", "as the client is told");
	forget(&c);
	tap_ok(!reads_ok(r, &e) && e.kind == ERROR_CORRUPT, "and so is who asks: %s", e.text);
	unlink("bad.db");
	fixture_store("bad.db", 3000);
	answer(r, &q, "w1", SIZE_MAX, 1000, &c);
	tap_ok(c.state == READ_END && c.records > 50, "once it is repaired it is read again");
	tap_ok(reads_ok(r, &e), "and all is well");
	forget(&c);
	reads_free(&r);
}

/* Whoever looks for what is rare in much does not hold up the others. */
static void
turns(void)
{
	struct proto_request rare = request(PROTO_LOG_ROWS), usual = request(PROTO_LOG_ROWS);
	struct reads *r = open_reads("one.db", 1);
	struct came c = { .done = false }, d = { .done = false };
	struct read *slow, *fast;

	rare.read.text = str_of("nothing is like this");
	usual.read.limit = 10;
	slow = make(r, &rare, "one", false, SIZE_MAX);
	fast = make(r, &usual, "one", false, SIZE_MAX);
	read_slice(slow, 65536, take, &c);
	read_slice(fast, 65536, take, &d);
	await(r, &d.done);
	tap_ok(d.state == READ_END && d.records == 10 && !c.done,
	    "a short answer is there before one that takes long and was asked for first");
	await(r, &c.done);
	tap_ok(c.state == READ_END && c.records == 0, "which comes, too");
	read_free(&slow);
	read_free(&fast);
	forget(&c);
	forget(&d);
	reads_free(&r);
}

static void
dropped(void)
{
	struct proto_request q = request(PROTO_LOG_ROWS);
	struct reads *r = open_reads("m.db", 1);
	struct came c = { .done = false }, d = { .done = false };
	struct read *reads[20], *last = make(r, &q, "w1", false, SIZE_MAX);

	for (int i = 0; i < 20; i++)
		read_slice(reads[i] = make(r, &q, "w1", false, SIZE_MAX), 1000, take, &c);
	read_slice(last, 1000, take, &d);
	for (int i = 0; i < 20; i++)
		read_free(&reads[i]);
	await(r, &d.done);
	tap_ok(!c.done && d.state == READ_MORE, "nothing is heard of reads that were freed");
	read_slice(last, 1000, take, &d);
	read_free(&last);
	read_slice(last = make(r, &q, "w1", false, SIZE_MAX), 1000, take, &c);
	reads_free(&r);
	tap_ok(c.done && (c.state == READ_MORE || c.state == READ_FAILED),
	    "at the end, whoever still waits is told");
	read_free(&last);
	forget(&c);
	forget(&d);
}

/* A store of one watchdog's. */
static void
one_watchdog(const char *path, size_t n)
{
	struct store *s = fixture_open(path, STORE_WRITE);
	struct sample *samples = fixture_samples(0, n);

	for (size_t i = 0; i < n; i++)
		samples[i].record.watchdog = str_of("one");
	fixture_add(s, samples, n, 5000);
	free(samples);
	store_close(&s);
}

int
main(int argc, char **argv)
{
	fixture_begin_on(argc > 1 ? argv[1] : NULL);
	fixture_store("m.db", 30000);
	one_watchdog("one.db", 120000);
	answers(false);
	answers(true);
	at_once_is_near();
	if (fixture_maker == NULL)
		at_once();
	filters();
	limits();
	cursors();
	later();
	if (fixture_maker == NULL) {   /* what can happen to files */
		absent();
		replaced();
		restored();
		damaged();
	}
	turns();
	dropped();
	return tap_done();
}
