/*
 * Sessions without sockets: a transport that keeps what it is given, and a sink whose
 * acknowledgements this test sends itself, when it likes.
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "world.h"

enum { TEXTS = 4096 };

/* A transport's end of a session. */
struct peer {
	struct session *session;
	char *texts[TEXTS];     /* messages that came out, whole */
	size_t count, read;
	struct buf begun;       /* one that came in pieces so far */
	bool stuck;             /* takes nothing */
	int pings, closed;      /* the code */
};

/* The other side of the sink. */
static struct {
	int listener, end;
	struct buf lines;       /* that it was sent, all */
} far;

static void
must(bool ok, const char *what)
{
	if (!ok)
		fixture_fail(what, strerror(errno));
}

static void
listen_here(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "sink" };

	unlink("sink");
	far.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(far.listener != -1 && bind(far.listener, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	    listen(far.listener, 4) == 0, "the sink's socket");
	far.end = -1;
}

static void
begin(struct world *w, struct serve_settings settings, size_t room)
{
	listen_here();
	world_begin(w, settings, (struct sink_settings){ .path = "sink", .room = room,
	    .retry_min = 0.001, .retry_max = 0.01 });
}

static void
end(struct world *w)
{
	world_end(w);
	close(far.listener);
	if (far.end != -1)
		close(far.end);
	buf_free(&far.lines);
}

/* ---- the transport ---- */

static void
take(struct peer *p)
{
	struct session_output o;

	for (;;) {
		if (session_dropped(p->session)) {
			p->closed = 1;
			return;
		}
		if (p->stuck)
			return;
		session_output(p->session, &o);
		if (o.type == OUTPUT_NONE)
			return;
		if (o.type == OUTPUT_PING)
			p->pings++;
		if (o.type == OUTPUT_CLOSE)
			p->closed = o.code;
		if (o.type == OUTPUT_TEXT) {
			memset(o.data - SERVE_HEADROOM, 0xff, SERVE_HEADROOM);
			must(buf_add(&p->begun, o.data, o.len) == 0 && p->count < TEXTS, "a text");
			if (o.last) {
				p->texts[p->count++] = strndup(p->begun.data, p->begun.len);
				p->begun.len = 0;
			}
		}
		session_sent(p->session);
	}
}

static void
connect_as(struct world *w, struct peer *p, const char *token)
{
	struct error e;
	char text[128];

	*p = (struct peer){ .session = session_new(w->serve, p, "peer", &e) };
	must(p->session != NULL, "a session");
	if (token == NULL)
		return;
	snprintf(text, sizeof(text), "{\"action\":\"auth\",\"token\":\"%s\"}", token);
	session_receive(p->session, str_of(text), true, true, false);
	take(p);
	must(p->count == 1 && strstr(p->texts[0], "true") != NULL, "to be let in");
	p->read = 1;
}

static void
disconnect(struct peer *p)
{
	session_free(&p->session);
	for (size_t i = 0; i < p->count; i++)
		free(p->texts[i]);
	buf_free(&p->begun);
}

static void
say(struct peer *p, const char *text)
{
	session_receive(p->session, str_of(text), true, true, false);
}

/* The next message that came out, "" if there is none. */
static const char *
hear(struct peer *p)
{
	take(p);
	return p->read < p->count ? p->texts[p->read++] : "";
}

/* ---- the sink ---- */

/* Let the sink's side run until nothing happens any more, and keep what it sends. */
static void
work(struct world *w)
{
	struct error e;
	bool quiet = false;

	for (int rounds = 0; !quiet || rounds < 3; rounds++) {
		struct pollfd fds[] = { { .fd = sink_fd(w->sink), .events = POLLIN },
		    { .fd = pool_fd(w->pool), .events = POLLIN } };
		ssize_t n = -1;

		sink_flush(w->sink);
		poll(fds, 2, 0);
		must(sink_work(w->sink, &e) == 0, "sink_work");
		pool_reap(w->pool);
		serve_resume(w->serve);
		if (far.end == -1)
			far.end = accept4(far.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		must(buf_reserve(&far.lines, 65536) == 0, "memory");
		if (far.end != -1)
			n = read(far.end, far.lines.data + far.lines.len, 65535);
		if (n > 0)
			far.lines.len += (size_t)n;
		quiet = n <= 0;
	}
	far.lines.data[far.lines.len] = '\0';
}

/* How often this text is in what the sink was sent. */
static size_t
sent(const char *text)
{
	size_t n = 0;

	for (const char *p = far.lines.data; (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

static void
answer(struct world *w, const char *line)
{
	must(write(far.end, line, strlen(line)) == (ssize_t)strlen(line), "an answer");
	work(w);
}

static void
ack(struct world *w, const char *source, int seq)
{
	char line[200];

	snprintf(line, sizeof(line), "{\"ack\":{\"source\":\"%s\",\"seq\":%d}}\n", source, seq);
	answer(w, line);
}

#define RECORD(message) "{\"level\":30,\"time\":1732280000.5,\"sender\":\"s\",\"message\":\"" message "\"}"
#define LOGS(records) "{\"action\":\"uploadLogs\",\"logs\":[" records "]}"
#define NOTES(records) "{\"action\":\"uploadNotifications\",\"notifications\":[" records "]}"
#define INSERTED(n) "{\"success\":true,\"action\":\"uploadLogs\",\"comment\":\"Inserted " #n " log(s) into db.\"}"

/* ---- tests ---- */

static void
test_acknowledged(void)
{
	struct world w;
	struct peer p;

	begin(&w, world_usual(), 1 << 20);
	connect_as(&w, &p, "w1");
	say(&p, LOGS(RECORD("a") "," RECORD("b")));
	work(&w);
	tap_is(hear(&p), "", "an upload is not answered before the sink has settled it");
	tap_ok(strstr(far.lines.data, "{\"source\":\"run\",\"seq\":1,\"kind\":\"log\",\"watchdog\":\"w1\"") ==
	    far.lines.data, "its lines go out numbered under the run's name and labelled");
	ack(&w, "run", 1);
	tap_is(hear(&p), "", "nor when only its first record is");
	ack(&w, "run", 2);
	tap_is(hear(&p), INSERTED(2), "but when its last is");
	say(&p, LOGS(""));
	tap_is(hear(&p), INSERTED(0), "an empty list needs no sink");
	disconnect(&p);
	end(&w);
}

static void
test_order(void)
{
	struct world w;
	struct peer p;

	begin(&w, world_usual(), 1 << 20);
	connect_as(&w, &p, "w1");
	say(&p, "{\"action\":\"uploadLogs\",\"id\":1,\"source\":\"mine\",\"seq\":7,\"logs\":[" RECORD("a") "]}");
	say(&p, "{\"action\":\"uploadLogs\",\"id\":2,\"logs\":[" RECORD("b") "]}");
	say(&p, "{\"action\":\"uploadLogs\",\"id\":3,\"logs\":3}");
	say(&p, "{\"action\":\"ping\",\"id\":4}");
	work(&w);
	tap_is(hear(&p), "{\"success\":true,\"action\":\"ping\",\"id\":4}", "a ping overtakes uploads");
	tap_ok(sent("\"source\":\"w1/mine\",\"seq\":7") == 1,
	    "a client's own numbers go out under its watchdog's code and its name");
	ack(&w, "run", 1);
	tap_is(hear(&p), "", "the second upload, settled first, waits for the first");
	ack(&w, "w1/mine", 7);
	tap_ok(strstr(hear(&p), "\"id\":1") != NULL && strstr(hear(&p), "\"id\":2") != NULL,
	    "then both are answered, in the order of the requests");
	tap_is(hear(&p), "{\"success\":false,\"action\":\"uploadLogs\",\"id\":3,\"comment\":"
	    "\"Please submit logs as list of length >= 1\"}", "and so is the one that failed at once");
	disconnect(&p);
	end(&w);
}

static void
test_reject(void)
{
	struct world w;
	struct peer p;

	begin(&w, world_usual(), 1 << 20);
	connect_as(&w, &p, "w1");
	say(&p, LOGS(RECORD("a") "," RECORD("b")));
	work(&w);
	answer(&w, "{\"reject\":{\"source\":\"run\",\"seq\":2,\"reason\":\"time: too far ahead\"}}\n");
	tap_is(hear(&p), "", "a rejected record's request waits for the acknowledgement, too");
	ack(&w, "run", 2);
	tap_is(hear(&p), "{\"success\":false,\"action\":\"uploadLogs\",\"comment\":\"time: too far ahead\"}",
	    "and then fails with the sink's reason");
	disconnect(&p);
	end(&w);
}

static void
test_forward(void)
{
	struct world w;
	struct peer a, b, c, other;

	begin(&w, world_usual(), 1 << 20);
	connect_as(&w, &a, "w1");
	connect_as(&w, &b, "w1");
	connect_as(&w, &c, "w1");
	connect_as(&w, &other, "w2");
	say(&a, "{\"action\":\"uploadNotifications\",\"id\":9,\"success\":0,\"more\":[1],"
	    "\"notifications\":[" RECORD("fire") "]}");
	work(&w);
	tap_is(hear(&b), "", "nobody hears of a notification before it is stored");
	ack(&w, "run", 1);
	tap_is(hear(&b), "{\"action\":\"uploadNotifications\",\"notifications\":[" RECORD("fire")
	    "],\"more\":[1],\"success\":true}", "then every other session of the watchdog gets the request");
	tap_is(hear(&c), b.texts[b.read - 1], "the same, all of them");
	tap_ok(strstr(hear(&a), "\"comment\":\"Inserted 1 notification(s)") != NULL && *hear(&a) == '\0',
	    "the uploader only gets its reply");
	tap_is(hear(&other), "", "and nobody of another watchdog anything");
	must(buf_add(&w.published, "", 1) == 0, "memory");
	tap_is(w.published.data, "{\"kind\":\"notification\",\"watchdog\":\"w1\",\"level\":30,"
	    "\"time\":1732280000.5,\"sender\":\"s\",\"message\":\"fire\",\"origin\":\"run\"}\n",
	    "other instances are given the record with its origin");
	say(&a, NOTES(RECORD("smoke")));
	disconnect(&a);
	work(&w);
	ack(&w, "run", 2);
	tap_ok(strstr(hear(&b), "smoke") != NULL, "an uploader that is gone has uploaded all the same");
	disconnect(&b);
	disconnect(&c);
	disconnect(&other);
	end(&w);
}

#define LINE(watchdog, message, origin) "{\"kind\":\"notification\",\"watchdog\":\"" watchdog \
	"\",\"level\":1,\"time\":2.0,\"sender\":\"s\",\"message\":\"" message "\",\"origin\":\"" origin "\"}\n"

static void
test_others(void)
{
	struct world w;
	struct peer a, b;
	struct error e = { .text = "" };

	begin(&w, world_usual(), 1 << 20);
	connect_as(&w, &a, "w1");
	connect_as(&w, &b, "w2");
	tap_ok(serve_forward(w.serve, str_of(LINE("w1", "x", "else") LINE("w1", "y", "else")
	    LINE("w2", "z", "else") LINE("w1", "mine", "run") "nonsense\n" LINE("w3", "u", "else")
	    "{\"watchdog\":\"w1\",\"level\":1,\"time\":2,\"sender\":\"s\",\"message\":\"a log\"}\n"
	    LINE("w1", "v", "else")), &e) == -1 && *e.text != '\0', "a line that is no record is told");
	tap_is(hear(&a), "{\"action\":\"uploadNotifications\",\"notifications\":["
	    "{\"level\":1,\"time\":2.0,\"sender\":\"s\",\"message\":\"x\"},"
	    "{\"level\":1,\"time\":2.0,\"sender\":\"s\",\"message\":\"y\"}],\"success\":true}",
	    "lines of one watchdog from elsewhere come as one message, without their origin");
	tap_ok(strstr(hear(&a), "\"v\"") != NULL && *hear(&a) == '\0',
	    "those behind a bad line come too, our own do not come back, and logs do not come at all");
	tap_ok(strstr(hear(&b), "\"z\"") != NULL && *hear(&b) == '\0', "each watchdog gets its own");
	disconnect(&a);
	disconnect(&b);
	end(&w);
}

/* Of short uploads most of the memory is not their lines. */
static void
test_full_of_short(void)
{
	struct world w;
	struct peer a;

	begin(&w, world_usual(), 10000);
	connect_as(&w, &a, "w1");
	for (int i = 0; i < 10; i++)
		say(&a, LOGS(RECORD("short")));
	tap_ok(session_reads(a.session), "some short uploads fit into the sink's room");
	for (int i = 0; i < 10; i++)
		say(&a, LOGS(RECORD("short")));
	tap_ok(!session_reads(a.session), "it is full of them before their lines alone would fill it");
	disconnect(&a);
	end(&w);
}

static void
test_full(void)
{
	struct world w;
	struct peer a, b, c;

	begin(&w, world_usual(), 100);
	connect_as(&w, &a, "w1");
	connect_as(&w, &b, "w2");
	connect_as(&w, &c, "w3");
	say(&a, LOGS(RECORD("a1")));
	tap_ok(session_reads(a.session), "with room in the sink a session is read from");
	say(&a, LOGS(RECORD("a2")));
	say(&b, LOGS(RECORD("b1")));
	tap_ok(!session_reads(a.session) && !session_reads(b.session),
	    "who uploads to a full sink is not read from any more");
	tap_ok(session_reads(c.session), "who does not upload is");
	say(&c, "{\"action\":\"ping\"}");
	tap_ok(strstr(hear(&c), "ping") != NULL, "and answered");
	work(&w);
	tap_ok(sent("a1") == 1 && sent("a2") == 0 && sent("b1") == 0,
	    "nothing goes to a full sink");
	ack(&w, "run", 1);
	tap_ok(strstr(hear(&a), "Inserted 1") != NULL && sent("a2") == 1 && sent("b1") == 0,
	    "when there is room again who waited longest goes first");
	say(&c, LOGS(RECORD("c1")));
	ack(&w, "run", 2);
	tap_ok(sent("b1") == 1 && sent("c1") == 0, "and nobody overtakes");
	ack(&w, "run", 3);
	ack(&w, "run", 4);
	tap_ok(sent("c1") == 1 && strstr(hear(&c), "Inserted 1") != NULL &&
	    strstr(hear(&b), "Inserted 1") != NULL && session_reads(b.session), "all are served in the end");
	disconnect(&a);
	disconnect(&b);
	disconnect(&c);
	end(&w);
}

/* A message in pieces of 4096 bytes, without its end, for as long as it is wanted. */
static void
send_long(struct peer *p, size_t size)
{
	static char text[4096];

	memset(text, ' ', sizeof(text));
	for (size_t at = 0; at < size && session_reads(p->session); at += sizeof(text))
		session_receive(p->session, (struct str){ text, sizeof(text) }, at == 0, false, false);
}

static void
test_permits(void)
{
	enum { PEERS = 70, LONG = 1 << 20 };
	static const char *const watchdogs[] = { "w1", "w2", "w3", "w4", "w5" };
	struct world w;
	static struct peer peers[PEERS];
	size_t stopped = 0;
	struct serve_stats stats;

	begin(&w, world_usual(), 1 << 20);
	for (int i = 0; i < PEERS; i++) {
		connect_as(&w, &peers[i], watchdogs[i % 5]);
		send_long(&peers[i], LONG - 4096);
		if (!session_reads(peers[i].session))
			stopped++;
	}
	serve_stats(w.serve, &stats);
	tap_ok(stopped == PEERS - 64 && stats.held_bytes < ((size_t)64 << 20) + PEERS * 8192,
	    "long messages that are not whole take 64 MiB, the others have to wait");
	disconnect(&peers[0]);
	tap_ok(session_reads(peers[64].session) && !session_reads(peers[65].session),
	    "one that goes makes room for the one that waits longest");
	for (int i = 1; i < PEERS; i++)
		disconnect(&peers[i]);
	serve_stats(w.serve, &stats);
	tap_ok(stats.held_bytes == 0 && stats.waiting == 0 && stats.sessions == 0,
	    "and nothing is held when all have gone");
	connect_as(&w, &peers[0], "w1");
	send_long(&peers[0], LONG + 8192);
	take(&peers[0]);
	tap_ok(peers[0].closed == SERVE_CLOSE_TOO_BIG, "a message beyond the limit closes with 1009");
	disconnect(&peers[0]);
	end(&w);
}

static void
test_slow(void)
{
	struct serve_settings settings = world_usual();
	struct world w;
	struct peer a, b;
	int i;

	settings.max_queue = 10000;
	begin(&w, settings, 1 << 20);
	connect_as(&w, &a, "w1");
	connect_as(&w, &b, "w1");
	b.stuck = true;
	for (i = 1; i < 1000 && !session_dropped(b.session); i++) {
		say(&a, NOTES(RECORD("again and again and again")));
		work(&w);
		ack(&w, "run", i);
	}
	tap_ok(session_dropped(b.session) && i > 10, "who does not take what it is sent is dropped");
	tap_ok(strstr(hear(&a), "Inserted") != NULL, "the others go on");
	disconnect(&a);
	disconnect(&b);
	end(&w);
}

static void
test_rate(void)
{
	struct serve_settings settings = world_usual();
	struct world w;
	struct peer a, b;

	settings.rate = 0.001;
	settings.burst = 2;
	begin(&w, settings, 1 << 20);
	connect_as(&w, &a, "w1");
	connect_as(&w, &b, "w2");
	say(&a, LOGS(RECORD("a1") "," RECORD("a2") "," RECORD("a3")));
	tap_ok(session_reads(a.session), "a burst may go beyond the rate");
	say(&a, LOGS(RECORD("a4")));
	tap_ok(!session_reads(a.session), "what comes then has to wait, and is not refused");
	say(&b, LOGS(RECORD("b1")));
	tap_ok(session_reads(b.session), "another watchdog has a rate of its own");
	disconnect(&a);
	connect_as(&w, &a, "w1");
	say(&a, LOGS(RECORD("a5")));
	tap_ok(!session_reads(a.session), "to connect anew does not help");
	disconnect(&a);
	disconnect(&b);
	end(&w);
}

static void
test_first_message(void)
{
	struct world w;
	struct peer p;

	begin(&w, world_usual(), 1 << 20);
	connect_as(&w, &p, NULL);
	say(&p, "{\"action\":\"ping\"}");
	tap_ok(strstr(hear(&p), "true") != NULL, "without authentication anybody may");
	say(&p, "{\"action\":\"auth\",\"token\":\"w1\"}");
	tap_ok(strstr(hear(&p), "\"success\":false") != NULL && p.closed == 0,
	    "a token behind the first message changes nothing, and the session lives on");
	say(&p, "no json");
	tap_ok(strstr(hear(&p), "\"success\":false,\"action\":\"\"") != NULL && p.closed == 1000,
	    "what is no message is answered and closes the session");
	disconnect(&p);
	connect_as(&w, &p, "w1");
	say(&p, "{\"action\":\"x\xff\"}");
	take(&p);
	tap_ok(p.closed == 1007, "what is not UTF-8 closes with 1007");
	disconnect(&p);
	end(&w);
}

static void
test_stop(void)
{
	struct world w;
	struct peer a, b;

	begin(&w, world_usual(), 1 << 20);
	connect_as(&w, &a, "w1");
	connect_as(&w, &b, "w1");
	say(&a, LOGS(RECORD("a")));
	work(&w);
	serve_stop(w.serve);
	take(&a);
	take(&b);
	tap_ok(b.closed == 1001, "at the end sessions with nothing under way are closed");
	tap_ok(!session_reads(a.session) && a.closed == 0 && serve_busy(w.serve),
	    "who waits for an answer is not");
	ack(&w, "run", 1);
	tap_ok(strstr(hear(&a), "Inserted 1") != NULL && a.closed == 1001, "but gets it first");
	disconnect(&a);
	disconnect(&b);
	tap_ok(!serve_busy(w.serve), "then it is over");
	end(&w);
}

static void
test_unsettled(void)
{
	struct world w;
	struct peer a;

	begin(&w, world_usual(), 1 << 20);
	connect_as(&w, &a, "w1");
	say(&a, LOGS(RECORD("a")));
	work(&w);
	say(&a, NOTES(RECORD("b")));
	disconnect(&a);
	end(&w);
	tap_ok(true, "what is never settled is freed all the same");
}

int
main(void)
{
	fixture_begin();
	test_acknowledged();
	test_order();
	test_reject();
	test_forward();
	test_others();
	test_full();
	test_full_of_short();
	test_permits();
	test_slow();
	test_rate();
	test_first_message();
	test_stop();
	test_unsettled();
	return tap_done();
}
