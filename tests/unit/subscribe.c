/*
 * reads.h, subscriptions: each record that arrives, once, in that order, whatever
 * becomes of the store; and being told that some have.
 *
 *	subscribe [MAKER]   the command MAKER makes a store and prints its URL; without it: files
 */
#include "reads.h"

#include "asking.h"

/* A record to add: who, when, what. */
static void
add(const char *path, const char *watchdog, double time, const char *message)
{
	struct store *s = fixture_open(path, STORE_WRITE);
	struct store_added added;
	struct error e;
	struct store_offer offer = { .record = { .kind = RECORD_LOG, .level = 10, .time = time,
	    .watchdog = str_of(watchdog), .sender = str_of("S"), .message = str_of(message) } };

	if (store_add(s, &offer, 1, &added, &e) == -1)
		fixture_fail("store_add", e.text);
	store_close(&s);
}

static struct proto_request
subscribe(void)
{
	struct proto_request q = request(PROTO_OBJECTS);

	q.action = PROTO_SUBSCRIBE;
	return q;
}

/* The messages of the records in what came, in order: "one two three"; and the last cursor. */
static void
read_messages(const struct came *c, char *out, size_t size, struct cursor *at)
{
	const char *p = c->text.data, *end = p + c->text.len, *found;
	char text[CURSOR_TEXT_SIZE];
	struct error e;

	*out = '\0';
	for (; p < end && (found = memmem(p, (size_t)(end - p), "\"message\":\"", 11)) != NULL; p++) {
		size_t used = strlen(out);

		p = found + 11;
		snprintf(out + used, size - used, "%s%.*s", used > 0 ? " " : "",
		    (int)((const char *)memchr(p, '"', (size_t)(end - p)) - p), p);
	}
	p = c->text.len > 0 ? end - 2 : end;
	if (c->text.len == 0)
		return;
	while (p[-1] != '"')
		p--;
	snprintf(text, sizeof(text), "%.*s", (int)(end - 2 - p), p);
	if (cursor_parse(text, at, &e) == -1)
		fixture_fail("cursor_parse", e.text);
}

/* All that is new by now: the messages' texts. */
static void
news_are(struct reads *r, struct read *read, const char *want, const char *name)
{
	struct came c = { .done = false };
	struct cursor at;
	char got[256];

	while (slice(r, read, 65536, &c) == READ_MORE)
		;
	if (c.state != READ_IDLE)
		printf("# state %d: %s\n", c.state, c.error.text);
	read_messages(&c, got, sizeof(got), &at);
	tap_ok(c.state == READ_IDLE && strcmp(got, want) == 0, "%s", name);
	if (strcmp(got, want) != 0)
		printf("#      got: %s\n# expected: %s\n", got, want);
	forget(&c);
}

static void
from_now_on(void)
{
	struct reads *r = open_reads("now.db", 2);
	struct proto_request q = subscribe();
	struct came c = { .done = false };
	struct read *read;
	char want[512], text[CURSOR_TEXT_SIZE];
	struct store *s;
	struct cursor end;
	struct error e;

	add("now.db", "w", 5, "before");
	read = make(r, &q, "w", true, SIZE_MAX);
	tap_ok(slice(r, read, 1000, &c) == READ_IDLE && c.text.len == 0 && c.records == 0,
	    "a subscription begins with what comes next");
	add("now.db", "w", 7, "late");
	tap_ok(slice(r, read, 1000, &c) == READ_MORE && c.records == 1, "which comes");
	s = fixture_open("now.db", STORE_READ);
	if (store_end(s, &end, &e) == -1)
		fixture_fail("store_end", e.text);
	store_close(&s);
	end.time = 7;
	cursor_format(&end, text);
	snprintf(want, sizeof(want), "{\"action\":\"records\",\"records\":[{\"kind\":\"log\","
	    "\"watchdog\":\"w\",\"level\":10,\"time\":7.0,\"sender\":\"S\",\"message\":\"late\"}],"
	    "\"cursor\":\"%s\"}", text);
	came_is(&c, want, "as a message of its own");
	forget(&c);
	tap_ok(slice(r, read, 1000, &c) == READ_IDLE, "and then nothing");
	add("now.db", "other", 8, "not ours");
	tap_ok(slice(r, read, 1000, &c) == READ_IDLE, "nothing of another watchdog");
	add("now.db", "w", 3, "old");
	add("now.db", "w", 9, "new");
	news_are(r, read, "old new", "in the order of arrival, whatever their times");
	read_free(&read);
	reads_free(&r);
}

static void
from_elsewhere(void)
{
	struct reads *r = open_reads("from.db", 1);
	struct proto_request q = subscribe();
	struct read *read;
	struct came c = { .done = false };
	char got[256];

	add("from.db", "w", 200, "one");
	add("from.db", "w", 100, "two");
	add("from.db", "w", 300, "three");
	q.read.since = 150;
	q.read.has_window = true;
	read = make(r, &q, "w", true, SIZE_MAX);
	tap_ok(slice(r, read, 10, &c) == READ_MORE && c.records == 1, "a window begins in the past");
	read_messages(&c, got, sizeof(got), &q.read.cursor);
	tap_is(got, "one", "with the first that arrived");
	add("from.db", "w", 50, "four");
	news_are(r, read, "three four", "ends, and what comes then comes whatever its time");
	read_free(&read);
	q.read.has_cursor = true;
	read = make(r, &q, "w", true, SIZE_MAX);
	news_are(r, read, "two three four", "from a cursor all comes, whatever the window");
	read_free(&read);
	forget(&c);
	q.read.cursor.store++;
	read = make(r, &q, "w", true, SIZE_MAX);
	tap_ok(slice(r, read, 10, &c) == READ_FAILED && c.error.kind == ERROR_USAGE,
	    "a cursor of another store fails: %s", c.error.text);
	read_free(&read);
	forget(&c);
	reads_free(&r);
}

/* Many records in messages of a bounded size, each with a cursor to go on from. */
static void
bounded(void)
{
	struct proto_request q = subscribe();
	struct reads *r = open_reads("many.db", 2);
	struct read *read;
	struct came c = { .done = false };
	char got[65536];
	size_t all = 0, longest = 0, at = 0;
	bool ok = true;

	fixture_store("many.db", 20000);
	q.read.has_window = true;
	q.read.kinds = RECORD_KIND_BIT(RECORD_LOG);
	read = make(r, &q, "w4", true, 5);
	while (slice(r, read, 2000, &c) == READ_MORE) {
		read_messages(&c, got, sizeof(got), &q.read.cursor);
		all += c.records;
		longest = c.text.len > longest ? c.text.len : longest;
		for (const char *p = got; (p = strstr(p, "message ")) != NULL; p++) {
			size_t number = strtoul(p + 8, NULL, 10) + 1;

			ok = ok && number > at;
			at = number;
		}
		forget(&c);
	}
	tap_ok(c.state == READ_IDLE && all > 400 && ok && longest < 2000 + 300,
	    "many records come in messages of a bounded size (%zu, %zu bytes)", all, longest);
	read_free(&read);
	q.read.has_cursor = true;
	read = make(r, &q, "w4", true, 5);
	tap_ok(slice(r, read, 2000, &c) == READ_IDLE, "the last cursor is behind all of them");
	read_free(&read);
	forget(&c);
	reads_free(&r);
}

static void
news(void)
{
	struct proto_request q = subscribe();
	struct reads *r = open_reads("news.db", 1);
	struct read *read;
	struct came c = { .done = false };
	struct cursor at, end;
	struct store *s;
	struct error e;
	char got[8];

	q.read.shape = PROTO_NEWS;
	q.read.level_max = 10;
	add("news.db", "w", 1, "before");
	read = make(r, &q, "w", true, SIZE_MAX);
	slice(r, read, 1000, &c);
	add("news.db", "w", 1, "one");
	add("news.db", "w", 1, "two");
	tap_ok(slice(r, read, 1000, &c) == READ_MORE && c.records == 0, "news of some");
	read_messages(&c, got, sizeof(got), &at);
	s = fixture_open("news.db", STORE_READ);
	tap_ok(strncmp(c.text.data, "{\"action\":\"records\",\"cursor\":\"c1;", 32) == 0 &&
	    store_end(s, &end, &e) == 0 && at.arrival == end.arrival,
	    "are told without them, once");
	store_close(&s);
	forget(&c);
	tap_ok(slice(r, read, 1000, &c) == READ_IDLE, "and then there are none");
	read_free(&read);
	q.read.level_max = 9;
	q.read.has_window = true;
	read = make(r, &q, "w", true, SIZE_MAX);
	tap_ok(slice(r, read, 1000, &c) == READ_IDLE, "nor of what does not match");
	read_free(&read);
	forget(&c);
	reads_free(&r);
}

static void
rename_to(const char *from, const char *to)
{
	char aside[64];

	snprintf(aside, sizeof(aside), "%s-wal", to);
	unlink(aside);
	snprintf(aside, sizeof(aside), "%s-shm", to);
	unlink(aside);
	if (rename(from, to) == -1)
		fixture_fail("rename", strerror(errno));
}

static void
through_changes(void)
{
	struct proto_request q = subscribe(), windowed = subscribe();
	struct reads *r = open_reads("change.db", 1);
	struct read *read = make(r, &q, "w", true, SIZE_MAX), *other;
	struct came c = { .done = false };
	struct store *s;
	struct error e;

	windowed.read.has_window = true;
	windowed.read.since = 1e9;
	other = make(r, &windowed, "w", true, SIZE_MAX);
	news_are(r, read, "", "there may be no store yet");
	news_are(r, other, "", "for one with a window neither");
	add("change.db", "w", 1, "first");
	news_are(r, read, "first", "all that comes once there is one is new");
	news_are(r, other, "first", "whatever the window");
	read_free(&other);
	s = fixture_open("change.db", STORE_READ);
	if (store_backup(s, "copy.db", &e) == -1)
		fixture_fail("store_backup", e.text);
	store_close(&s);
	add("change.db", "w", 1, "second");
	news_are(r, read, "second", "and so on");
	rename_to("copy.db", "change.db");
	news_are(r, read, "", "a store that was restored has nothing new");
	add("change.db", "w", 1, "third");
	news_are(r, read, "third", "until there is");
	add("new.db", "w", 1, "fourth");
	rename_to("new.db", "change.db");
	add("change.db", "w", 1, "fifth");
	news_are(r, read, "fourth fifth", "all of another store is new");
	unlink("change.db");
	news_are(r, read, "", "it may be removed");
	add("new.db", "w", 1, "sixth");
	rename_to("new.db", "change.db");
	news_are(r, read, "sixth", "and made again");
	fixture_write("change.db", "junk", 4);
	tap_ok(slice(r, read, 100, &c) == READ_FAILED, "a damaged one fails: %s", c.error.text);
	add("new.db", "w", 1, "seventh");
	rename_to("new.db", "change.db");
	news_are(r, read, "seventh", "until it is repaired");
	read_free(&read);
	reads_free(&r);
}

/* ---- being told ---------------------------------------------------------------- */

static bool
readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Told, once; then everything there is has been told. */
static void
told(struct reads *r, int fd, const char *name)
{
	tap_ok(readable(fd, 20000), "%s", name);
	reads_watched(r);
}

static void
watched(void)
{
	struct reads *r = open_reads("watch.db", 1);
	struct error e;
	int fd = reads_watch(r, &e);

	tap_ok(fd != -1 && reads_watch(r, &e) == fd, "a watch has one descriptor");
	tap_ok(!readable(fd, 0), "nothing is told while there is no store");
	add("watch.db", "w", 1, "one");
	told(r, fd, "a store that comes is told");
	/* Opening it and adding to it may have been seen apart. */
	while (readable(fd, 100))
		reads_watched(r);
	add("watch.db", "w", 1, "two");
	told(r, fd, "a record is");
	add("new.db", "w", 1, "three");
	rename_to("new.db", "watch.db");
	told(r, fd, "another store is");
	unlink("watch.db");
	add("new.db", "w", 1, "four");
	rename_to("new.db", "watch.db");
	told(r, fd, "one that was away is");
	tap_ok(reads_ok(r, &e), "all is well");
	reads_free(&r);
	r = open_reads("no/such/directory.db", 1);
	fd = reads_watch(r, &e);
	tap_ok(fd != -1 && !readable(fd, 0), "there may not be a directory yet");
	reads_free(&r);
	tap_ok(true, "and it ends at once all the same");
}

static void
watched_damaged(void)
{
	struct reads *r = open_reads("junk.db", 1);
	static const char junk[8192] = "junk";
	struct error e;
	int fd;

	fixture_write("junk.db", junk, sizeof(junk));
	fd = reads_watch(r, &e);
	while (reads_ok(r, &e))
		readable(fd, 1);
	tap_ok(e.kind == ERROR_CORRUPT, "a damaged store is found without a look: %s", e.text);
	unlink("junk.db");
	add("junk.db", "w", 1, "one");
	told(r, fd, "and that it was repaired");
	tap_ok(reads_ok(r, &e), "then all is well");
	reads_free(&r);
}

int
main(int argc, char **argv)
{
	fixture_begin_on(argc > 1 ? argv[1] : NULL);
	from_now_on();
	from_elsewhere();
	bounded();
	news();
	if (fixture_maker == NULL) {   /* what can happen to files */
		through_changes();
		watched();
		watched_damaged();
	}
	return tap_done();
}
