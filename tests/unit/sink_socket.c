/* sink.h: a sink at a socket, which does what the tests want of it. */
#include "sink_rig.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* The other end. */
struct peer {
	int listener, fd;
	struct buf got;          /* a string */
};

static void
peer_listen(struct peer *p)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "s" };

	*p = (struct peer){ .fd = -1 };
	unlink("s");
	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(p->listener, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(p->listener, 4) == -1)
		fixture_fail("listen", strerror(errno));
	rig_note(&p->got, "%s", "");
}

static void
peer_hang_up(struct peer *p)
{
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
}

static void
peer_end(struct peer *p)
{
	peer_hang_up(p);
	close(p->listener);
	unlink("s");
	buf_free(&p->got);
}

/* Let the sink go on until it has called. */
static void
peer_accept(struct peer *p, struct rig *r)
{
	do {
		p->fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (p->fd == -1 && rig_turn(r));
	if (p->fd == -1)
		fixture_fail("accept", "nobody comes");
	p->got.len = 0;
	rig_note(&p->got, "%s", "");
}

/* Read up to `max` bytes of what is there. How many? */
static size_t
peer_read(struct peer *p, size_t max)
{
	size_t before = p->got.len, piece;
	ssize_t n = 1;

	while (max > 0 && n > 0) {
		piece = max < 65536 ? max : 65536;
		if (buf_reserve(&p->got, piece + 1) == -1)
			fixture_fail("peer_read", "out of memory");
		if ((n = read(p->fd, p->got.data + p->got.len, piece)) > 0) {
			p->got.len += (size_t)n;
			max -= (size_t)n;
		}
	}
	p->got.data[p->got.len] = '\0';
	return p->got.len - before;
}

static void
peer_say(struct peer *p, const char *text)
{
	if (write(p->fd, text, strlen(text)) != (ssize_t)strlen(text))
		fixture_fail("peer_say", strerror(errno));
}

static void
peer_ack(struct peer *p, const char *source, int64_t seq)
{
	char line[400];

	snprintf(line, sizeof(line), "{\"ack\":{\"source\":\"%.255s\",\"seq\":%" PRId64 "}}\n", source, seq);
	peer_say(p, line);
}

/* Both ends. */
static void
begin(struct rig *r, struct peer *p, struct sink_settings settings)
{
	peer_listen(p);
	settings.path = "s";
	rig_begin(r, settings);
}

static void
in_order(void)
{
	struct sink_stats before, after;
	struct buf want = { 0 };
	struct peer p;
	struct rig r;

	begin(&r, &p, (struct sink_settings){ .room = 100 });
	tap_ok(!sink_up(r.sink) && rig_ready(&r), "a new sink waits for its first work");
	rig_offer(&r, "a", 1, 3);
	rig_offer(&r, "b", 7, 7);
	tap_ok(!sink_full(r.sink), "it is not full below its room");
	rig_offer(&r, "a", 4, 4);
	tap_ok(sink_full(r.sink), "and is from there on");
	peer_accept(&p, &r);
	tap_ok(sink_up(r.sink), "it is up when it is connected");
	rig_lines(&want, "a", 1, 3);
	rig_lines(&want, "b", 7, 7);
	rig_lines(&want, "a", 4, 4);
	peer_read(&p, SIZE_MAX);
	tap_is(p.got.data, want.data, "lines are sent in the order in which they were offered");
	before = rig_stats(&r);
	tap_ok(before.lines == 0 && before.unsettled_parcels == 3 &&
	    before.unsettled_bytes == want.len && before.starts == 1 && before.lag >= 0,
	    "nothing is settled by that");
	peer_ack(&p, "b", 7);
	peer_ack(&p, "a", 3);
	tap_ok(rig_settle(&r, 2), "acknowledgements settle");
	tap_is(r.settled.data, "b:7-7 a:1-3 ", "what they cover, of each source for itself");
	tap_ok(!sink_full(r.sink), "and there is room again");
	peer_ack(&p, "a", 4);
	tap_ok(rig_settle(&r, 3), "and the rest");
	after = rig_stats(&r);
	tap_ok(after.lines == 5 && after.bytes == want.len && after.unsettled_parcels == 0 &&
	    after.unsettled_bytes == 0 && after.lag == 0 && after.resent == 0, "it is counted");
	tap_is(r.said.data, "", "there is nothing to say about it");
	tap_ok(rig_end(&r, 0) == 0, "nothing is left");
	peer_end(&p);
	buf_free(&want);
}

static void
acknowledgements(void)
{
	struct peer p;
	struct rig r;

	begin(&r, &p, (struct sink_settings){ 0 });
	rig_offer(&r, "a", 1, 10);
	rig_offer(&r, "a", 11, 20);
	rig_offer(&r, "a", 3, 5);
	peer_accept(&p, &r);
	rig_work(&r);
	peer_ack(&p, "nobody", 5);
	peer_ack(&p, "a", 9);
	peer_ack(&p, "a", 10);
	tap_ok(rig_settle(&r, 1), "a parcel is settled from its last number on");
	peer_ack(&p, "a", 25);
	tap_ok(rig_settle(&r, 3), "an acknowledgement above all numbers settles all");
	tap_is(r.settled.data, "a:1-10 a:11-20 a:3-5 ", "in their order, an old upload too");
	rig_offer(&r, "a", 1, 2);
	rig_work(&r);
	peer_ack(&p, "a", 25);
	tap_ok(rig_settle(&r, 4), "an old upload alone is settled by the mark");
	rig_offer(&r, "a\"\\b", 1, 1);
	rig_offer(&r, "c", 1, 1);
	rig_offer(&r, "c", 2, 2);
	rig_work(&r);
	peer_say(&p, "{\"ack\":{\"source\":\"a\\\"\\\\b\",\"seq\":1}}\n");
	tap_ok(rig_settle(&r, 5), "a name may have to be escaped");
	peer_say(&p, " { \"ack\" : { \"seq\": 1, \"source\": \"\\u0063\" } } \r\n");
	tap_ok(rig_settle(&r, 6), "an acknowledgement may be written in any way");
	for (const char *c = "{\"ack\":{\"source\":\"c\",\"seq\":9223372036854775807}}\n"; *c; c++) {
		char one[] = { *c, '\0' };
		peer_say(&p, one);
		rig_work(&r);
	}
	tap_ok(r.count == 7, "come in pieces, and say any number");
	tap_is(r.said.data, "", "there is nothing to say about it");
	rig_end(&r, 0);
	peer_end(&p);
}

static void
rejects(void)
{
	struct peer p;
	struct rig r;

	begin(&r, &p, (struct sink_settings){ 0 });
	rig_offer(&r, "a", 1, 5);
	rig_offer(&r, "a", 6, 9);
	rig_offer(&r, "a", 10, 12);
	rig_offer(&r, "b", 6, 9);
	peer_accept(&p, &r);
	peer_say(&p, "{\"reject\":{\"source\":\"a\",\"seq\":2,\"reason\":\"two\"}}\n"
	    "{\"reject\":{\"source\":\"a\",\"seq\":4,\"reason\":\"four\"}}\n"
	    "{\"reject\":{\"source\":\"a\",\"seq\":12,\"reason\":\"\"}}\n"
	    "{\"reject\":{\"source\":\"a\",\"seq\":13,\"reason\":\"nobody's\"}}\n"
	    "{\"reject\":{\"source\":\"c\",\"seq\":1,\"reason\":\"nobody's\"}}\n");
	peer_ack(&p, "a", 5);
	tap_ok(rig_settle(&r, 1), "a refused line is settled like the others");
	peer_hang_up(&p);
	peer_accept(&p, &r);
	peer_say(&p, "{\"reject\":{\"source\":\"a\",\"seq\":12,\"reason\":\"once more\"}}\n");
	peer_ack(&p, "a", 12);
	peer_ack(&p, "b", 9);
	tap_ok(rig_settle(&r, 4), "and after a resend");
	tap_is(r.settled.data, "a:1-5!two a:6-9 a:10-12! b:6-9 ",
	    "a parcel has the first reason of its own lines");
	tap_is(r.rejected.data, "a:2!two a:4!four a:12! ", "each refused line is told, once");
	tap_ok(rig_stats(&r).rejected == 3, "and counted");
	rig_end(&r, 0);
	peer_end(&p);
}

/* A client may send its lines again before it has heard of them. */
static void
rejects_again(void)
{
	struct peer p;
	struct rig r;

	begin(&r, &p, (struct sink_settings){ 0 });
	rig_offer(&r, "a", 1, 4);
	rig_offer(&r, "a", 1, 4);
	rig_offer(&r, "a", 3, 6);
	rig_offer(&r, "a", 4, 6);
	peer_accept(&p, &r);
	peer_say(&p, "{\"reject\":{\"source\":\"a\",\"seq\":1,\"reason\":\"one\"}}\n"
	    "{\"reject\":{\"source\":\"a\",\"seq\":3,\"reason\":\"three\"}}\n");
	peer_ack(&p, "a", 6);
	tap_ok(rig_settle(&r, 4), "one acknowledgement settles all that was sent by then");
	tap_is(r.settled.data, "a:1-4!one a:1-4!one a:3-6!one a:4-6 ",
	    "what was refused is refused of all that hold it, and of no others");
	tap_is(r.rejected.data, "a:1!one a:3!three a:1!one a:3!one a:3!one ", "and told");
	rig_offer(&r, "a", 7, 7);
	sink_flush(r.sink);
	peer_say(&p, "{\"reject\":{\"source\":\"a\",\"seq\":7,\"reason\":\"seven\"}}\n");
	tap_ok(rig_turn(&r) && strstr(r.rejected.data, "a:7!seven") != NULL, "a line is refused");
	rig_offer(&r, "a", 7, 7);
	sink_flush(r.sink);
	peer_ack(&p, "a", 7);
	tap_ok(rig_settle(&r, 6), "and settled after it was sent again");
	tap_is(r.settled.data + strlen("a:1-4!one a:1-4!one a:3-6!one a:4-6 "),
	    "a:7-7!seven a:7-7!seven ", "it was refused both times");
	rig_end(&r, 0);
	peer_end(&p);
}

/* Offer more than fits in between. */
static void
stuff(struct rig *r, struct peer *p, struct buf *want)
{
	for (int i = 0; i < 200; i++) {
		rig_offer(r, "a", i * 1000, i * 1000 + 999);
		rig_lines(want, "a", i * 1000, i * 1000 + 999);
	}
	peer_accept(p, r);
	sink_flush(r->sink);
}

static void
blocked(void)
{
	struct buf want = { 0 };
	struct peer p;
	struct rig r;
	size_t piece = 1;

	begin(&r, &p, (struct sink_settings){ 0 });
	stuff(&r, &p, &want);
	tap_ok(!rig_ready(&r), "a peer that does not read is waited for without noise");
	peer_ack(&p, "a", 1999);
	tap_ok(rig_settle(&r, 2), "answers are read meanwhile");
	peer_ack(&p, "a", 1000000);
	rig_work(&r);
	tap_ok(r.count > 2 && r.count < 200, "what has not been sent whole is not settled");
	while (p.got.len < want.len && (peer_read(&p, piece) > 0 || rig_turn(&r))) {
		piece = piece * 3 % 65537;
		rig_work(&r);
	}
	tap_ok(p.got.len == want.len && memcmp(p.got.data, want.data, want.len) == 0,
	    "read in pieces of any size, all arrives");
	peer_ack(&p, "a", 1000000);
	tap_ok(rig_settle(&r, 200), "and is settled by the next acknowledgement");
	rig_end(&r, 0);
	peer_end(&p);
	buf_free(&want);
}

static void
cut_off(void)
{
	struct buf want = { 0 };
	struct peer p;
	struct rig r;

	begin(&r, &p, (struct sink_settings){ 0 });
	rig_offer(&r, "a", 1, 2);
	rig_offer(&r, "b", 1, 2);
	rig_offer(&r, "a", 3, 4);
	peer_accept(&p, &r);
	rig_work(&r);
	peer_read(&p, 30);
	peer_ack(&p, "b", 2);
	peer_say(&p, "{\"ack\":{\"source\":\"a\",\"se");
	peer_hang_up(&p);
	tap_ok(rig_hear(&r, "s: the connection has ended; trying again"),
	    "a connection that ends is told");
	tap_is(r.settled.data, "b:1-2 ", "what it said before that counts");
	tap_ok(!sink_up(r.sink), "it is not up");
	rig_offer(&r, "c", 1, 1);
	peer_accept(&p, &r);
	rig_work(&r);
	peer_read(&p, SIZE_MAX);
	rig_lines(&want, "a", 1, 4);
	rig_lines(&want, "c", 1, 1);
	tap_is(p.got.data, want.data, "all that is not settled is sent again, in order");
	tap_ok(rig_stats(&r).resent == 4 && rig_stats(&r).starts == 2, "which is counted");
	peer_say(&p, "q\":4}}\n");
	rig_work(&r);
	tap_ok(r.count == 1, "a line of the old connection is not continued by the new one");
	peer_ack(&p, "a", 4);
	tap_ok(rig_settle(&r, 3), "which speaks for itself");
	tap_ok(strstr(r.said.data, "s: is back\n") != NULL, "once it answers it is back");
	rig_end(&r, 0);
	peer_end(&p);
	buf_free(&want);
}

static void
cut_off_blocked(void)
{
	struct buf want = { 0 };
	struct sink_stats s;
	struct peer p;
	struct rig r;
	size_t got;

	begin(&r, &p, (struct sink_settings){ 0 });
	stuff(&r, &p, &want);
	peer_ack(&p, "a", 4500);
	rig_settle(&r, 4);
	peer_read(&p, 150000);
	got = p.got.len;
	peer_hang_up(&p);
	peer_accept(&p, &r);
	s = rig_stats(&r);
	tap_ok(got == 150000 && s.resent > 0 && s.resent < 196000,
	    "cut off in the middle of a line, what had been sent is counted as resent");
	for (size_t rest = want.len - s.bytes; p.got.len < rest;)
		if (peer_read(&p, rest) == 0 && !rig_turn(&r))
			break;
	tap_is(p.got.data, want.data + s.bytes, "and it begins with the first line not settled");
	peer_ack(&p, "a", 1000000);
	tap_ok(rig_settle(&r, 200), "and goes on as if nothing had been");
	rig_end(&r, 0);
	peer_end(&p);
	buf_free(&want);
}

static void
nonsense(void)
{
	static const char *const odd = "<4>s: says what is no answer; that is skipped\n";
	enum { LONG = 3 * 65536 };
	static char line[LONG];
	struct peer p;
	struct rig r;

	begin(&r, &p, (struct sink_settings){ 0 });
	rig_offer(&r, "a", 1, 1);
	rig_offer(&r, "a", 2, 2);
	peer_accept(&p, &r);
	peer_say(&p, "hello\n\n{}\n{\"ack\":{\"source\":\"a\",\"seq\":01}}\n"
	    "{\"ack\":{\"source\":\"a\",\"seq\":-1}}\n{\"ack\":{\"source\":\"a\"}}\n\xff\n");
	peer_ack(&p, "a", 1);
	tap_ok(rig_settle(&r, 1), "lines that are no answers are skipped");
	tap_is(r.said.data, odd, "which is told once");
	memset(line, 'x', LONG);
	for (size_t left = LONG; left > 0; rig_work(&r)) {
		ssize_t n = write(p.fd, line, left);
		left -= n > 0 ? (size_t)n : 0;
	}
	peer_ack(&p, "a", 2);
	rig_work(&r);
	tap_ok(r.count == 1, "a long line is skipped to its end");
	peer_ack(&p, "a", 2);
	tap_ok(rig_settle(&r, 2), "the next one counts");
	peer_hang_up(&p);
	peer_accept(&p, &r);
	peer_say(&p, "hello\n");
	rig_hear(&r, "is back");
	tap_ok(strstr(strstr(r.said.data, odd) + 1, odd) != NULL, "told again of the next connection");
	rig_end(&r, 0);
	peer_end(&p);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
absent(void)
{
	double begun = seconds(), shortest = 1000;
	struct peer p;
	struct rig r;

	rig_begin(&r, (struct sink_settings){ .path = "s", .retry_min = 0.001, .retry_max = 10 });
	rig_offer(&r, "a", 1, 1);
	for (int i = 0; i < 10; i++)
		rig_turn(&r);
	tap_is(r.said.data, "<4>s: No such file or directory; trying again\n",
	    "a socket that is not there is told once");
	tap_ok(seconds() - begun >= 0.2555, "the pauses between attempts grow");
	peer_listen(&p);
	peer_accept(&p, &r);
	tap_ok(strstr(r.said.data, "is back") == NULL, "a connection alone is not much");
	peer_ack(&p, "a", 1);
	rig_settle(&r, 1);
	tap_is(strchr(r.said.data, '\n') + 1, "<5>s: is back\n", "an acknowledgement is");
	/* What was the pause after the acknowledgement? Without it, half a second at least. */
	for (int i = 2; i < 7; i++) {
		peer_hang_up(&p);
		begun = seconds();
		peer_accept(&p, &r);
		if (seconds() - begun < shortest)
			shortest = seconds() - begun;
		rig_offer(&r, "a", i, i);
		rig_work(&r);
		peer_ack(&p, "a", i);
		rig_settle(&r, (size_t)i);
	}
	tap_ok(shortest < 0.25, "and pauses begin small again");
	rig_end(&r, 0);
	peer_end(&p);
}

static void
unsteady(void)
{
	struct peer p;
	struct rig r;

	begin(&r, &p, (struct sink_settings){ .retry_min = 0.05, .retry_max = 0.05 });
	for (int i = 0; i < 5; i++) {
		peer_accept(&p, &r);
		peer_hang_up(&p);
	}
	peer_accept(&p, &r);
	rig_hear(&r, "is back");
	tap_is(r.said.data, "<4>s: the connection has ended; trying again\n<5>s: is back\n",
	    "one that comes and goes is told once, and back when it has held for a while");
	rig_end(&r, 0);
	peer_end(&p);
}

static void
many_sources(void)
{
	enum { SOURCES = 5000 };
	static char names[SOURCES][16];
	struct peer p;
	struct rig r;

	begin(&r, &p, (struct sink_settings){ 0 });
	for (int i = 0; i < SOURCES; i++) {
		snprintf(names[i], sizeof(names[i]), "client-%d", i);
		rig_offer(&r, names[i], 1, 1);
	}
	peer_accept(&p, &r);
	for (rig_work(&r); peer_read(&p, 1 << 20) > 0; rig_work(&r))
		;
	for (int i = SOURCES; i-- > 0; rig_work(&r))
		peer_ack(&p, names[i], 1);
	tap_ok(rig_settle(&r, SOURCES), "each of many sources finds its own");
	tap_ok(strncmp(r.settled.data, "client-4999:1-1 client-4998:1-1 ", 32) == 0,
	    "in the order of the answers");
	for (int i = 0; i < SOURCES; i++)
		rig_offer(&r, names[i], 2, 2);
	tap_ok(rig_end(&r, 0) == SOURCES, "what is left over is counted");
	peer_end(&p);
}

static void
called_back(void)
{
	struct peer p;
	struct rig r;

	begin(&r, &p, (struct sink_settings){ 0 });
	r.more = 3;
	rig_offer(&r, "a", 1, 1);
	peer_accept(&p, &r);
	for (size_t i = 1; i <= 4; i++) {
		peer_ack(&p, "a", (int64_t)i);
		rig_settle(&r, i);
	}
	tap_is(r.settled.data, "a:1-1 a:2-2 a:3-3 a:4-4 ", "more may be offered as something is settled");
	rig_offer(&r, "a", 5, 5);
	rig_work(&r);
	r.more = 1;
	peer_say(&p, "{\"ack\":{\"source\":\"a\",\"seq\":5}}\n{\"ack\":{\"source\":\"a\",\"seq\":6}}\n");
	tap_ok(rig_settle(&r, 6), "and be settled at once");
	rig_end(&r, 0);
	peer_end(&p);
}

static void
limits(void)
{
	struct sink_settings settings = { .room = 1 };
	char path[200], name[257];
	struct sink_parcel *parcel;
	struct error e;
	struct rig r;

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	settings.path = path;
	tap_ok(sink_new(&settings, &e) == NULL && e.kind == ERROR_USAGE, "a path has its limit");
	rig_begin(&r, (struct sink_settings){ .path = "s" });
	memset(name, 'x', sizeof(name));
	tap_ok(sink_parcel(r.sink, (struct str){ name, 0 }, &e) == NULL && e.kind == ERROR_USAGE &&
	    sink_parcel(r.sink, (struct str){ name, 256 }, &e) == NULL, "and so has a name");
	parcel = sink_parcel(r.sink, (struct str){ name, 255 }, &e);
	tap_ok(parcel != NULL && parcel->lines.len == 0 && parcel->reject == NULL,
	    "a parcel is empty at first");
	sink_parcel_free(r.sink, &parcel);
	tap_ok(parcel == NULL, "and need not be offered");
	rig_end(&r, 0);
}

int
main(void)
{
	static void (*const tests[])(void) = { in_order, acknowledgements, rejects, rejects_again, blocked,
		cut_off, cut_off_blocked, nonsense, absent, unsteady, many_sources, called_back, limits, NULL };

	return rig_main(tests);
}
