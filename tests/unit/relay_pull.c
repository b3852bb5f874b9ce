/* relay_pull.h: the puller's end, with pushers that do what the tests want of them, and a file
 * for a sink. */
#include "relay_pull.h"

#include <fcntl.h>
#include <inttypes.h>

#include "fixture.h"

#define LABELS "\"kind\":\"log\",\"watchdog\":\"w\","
#define RECORD LABELS "\"level\":30,\"time\":1.5,\"sender\":\"s\",\"message\":\"m\"}"

struct far {
	struct sink *sink;
	struct relay_pull *pull;
	struct buf said;
	int fd;
};

static void
on_settled(void *arg, struct sink_parcel *p)
{
	relay_pull_settled(((struct far *)arg)->pull, p);
}

static void
on_say(void *arg, int priority, const char *text)
{
	struct far *f = arg;

	(void)priority;
	buf_printf(&f->said, "%s;", text);
}

static void
begin(struct far *f, size_t room)
{
	struct sink_settings s = { .room = room, .retry_min = 1, .retry_max = 1, .settled = on_settled,
	    .say = on_say, .arg = f };
	struct error e;

	*f = (struct far){ .fd = open("out", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) };
	s.fd = f->fd;
	if (f->fd == -1 || (f->sink = sink_new(&s, &e)) == NULL)
		fixture_fail("sink_new", "failed");
	f->pull = relay_pull_new(&(struct relay_pull_settings){ .sink = f->sink, .room = room,
	    .heartbeat = 5, .run = "puller", .say = on_say, .arg = f,
	    .defaults = { .watchdog = str_of("local") } }, &e);
	if (f->pull == NULL)
		fixture_fail("relay_pull_new", e.text);
}

static void
end(struct far *f)
{
	sink_free(&f->sink, 0);
	relay_pull_free(&f->pull);
	buf_free(&f->said);
	close(f->fd);
}

static struct relay_pull_stats
stats_of(const struct far *f)
{
	struct relay_pull_stats s;

	relay_pull_stats(f->pull, &s);
	return s;
}

/* ---- what pushers say ---- */

static int
say(struct far *f, const char *id, const char *peer, struct relay_frame frame, double now)
{
	struct buf b = { 0 };
	struct error e;
	int rc;

	relay_write(&b, &frame);
	rc = relay_pull_take(f->pull, str_of(id), str_of(peer), (struct str){ b.data, b.len }, now, &e);
	buf_free(&b);
	return rc;
}

static void
greet(struct far *f, const char *id, const char *peer, uint64_t greeting, uint64_t number)
{
	struct relay_frame frame = { .type = RELAY_GREETING, .greeting = greeting, .number = number };

	memcpy(frame.run, id, strlen(id));
	tap_ok(say(f, id, peer, frame, 0) == 0, "%s greets", id);
}

static void
lines(struct far *f, const char *id, const char *peer, uint64_t greeting, uint64_t number,
    const char *text)
{
	say(f, id, peer, (struct relay_frame){ .type = RELAY_LINES, .greeting = greeting,
	    .number = number, .text = str_of(text) }, 0);
}

/* Lines first..last of source "s"; each has 100 bytes, if its number has one digit. */
static void
records(struct far *f, const char *id, const char *peer, uint64_t greeting, uint64_t number,
    int first, int last)
{
	struct buf b = { 0 };

	for (; first <= last; first++)
		buf_printf(&b, "{\"source\":\"s\",\"seq\":%d," RECORD "\n", first);
	buf_add(&b, "", 1);
	lines(f, id, peer, greeting, number, b.data);
	buf_free(&b);
}

/* ---- what it says ---- */

/* Everything that it has to say: "a:W1.100 " a welcome with its credit, "a:A1.2+100ack..." answers,
 * "a:?1 " that it wants to be greeted. */
static void
hears(struct far *f, double now, const char *want, const char *title)
{
	static const char *const types[RELAY_TYPES] = { "G", "L", "B", "W", "A", "?" };
	struct buf got = { 0 };
	struct relay_frame m;
	struct str id, message;
	struct error e;

	buf_printf(&got, "%s", "");
	while (relay_pull_next(f->pull, &id, &message)) {
		if (relay_read(message, &m, &e) == -1) {
			tap_ok(false, "it sends what is a message: %s", e.text);
			break;
		}
		buf_printf(&got, "%.*s:%s%" PRIu64 ".%" PRIu64 "+%" PRIu64 "%.*s ", STR_ARGS(id),
		    types[m.type], m.greeting, m.number, m.credit, STR_ARGS(m.text));
		relay_pull_sent(f->pull, now);
	}
	for (size_t i = 0; i < got.len; i++)
		if (got.data[i] == '\n')
			got.data[i] = ';';
	tap_is(got.data, want, title);
	buf_free(&got);
}

static void
settle(struct far *f)
{
	struct error e;

	for (int i = 0; i < 3; i++) {
		sink_flush(f->sink);
		if (sink_work(f->sink, &e) == -1)
			fixture_fail("sink_work", e.text);
	}
}

static void
stored(const char *want, const char *title)
{
	size_t n;
	char *got = fixture_read("out", &n);

	got = realloc(got, n + 1);
	got[n] = '\0';
	tap_is(got, want, title);
	free(got);
}

#define ACK(seq) "{\"ack\":{\"source\":\"s\",\"seq\":" seq "}};"

/* ---- the tests ---- */

static void
passes_on(void)
{
	struct far f;

	begin(&f, 1000000);
	greet(&f, "a", "curve:K", 1, 5);
	hears(&f, 0, "a:W1.0+1000000 ", "who greets is welcome, and given credit");
	records(&f, "a", "curve:K", 1, 5, 1, 2);
	hears(&f, 0, "", "nothing is acknowledged");
	settle(&f);
	hears(&f, 0, "a:A1.6+1000200" ACK("2") " ", "before the sink has settled it");
	stored("{\"source\":\"curve:K/s\",\"seq\":1," RECORD "\n{\"source\":\"curve:K/s\",\"seq\":2," RECORD "\n",
	    "there the sources are the pusher's");
	records(&f, "a", "curve:K", 1, 6, 3, 3);
	records(&f, "a", "curve:K", 1, 7, 4, 4);
	settle(&f);
	hears(&f, 0, "a:A1.8+1000400" ACK("3") ACK("4") " ", "several are acknowledged at once");
	relay_pull_tick(f.pull, 4);
	hears(&f, 4, "", "there is nothing more to say");
	relay_pull_tick(f.pull, 5);
	hears(&f, 5, "a:A1.8+1000400 ", "but now and then a word");
	tap_ok(!relay_pull_busy(f.pull), "nothing is under way");
	say(&f, "a", "curve:K", (struct relay_frame){ .type = RELAY_BYE, .greeting = 1 }, 6);
	tap_ok(stats_of(&f).pushers == 0, "who takes leave is forgotten");
	end(&f);
}

static void
in_order_only(void)
{
	struct far f;

	begin(&f, 1000000);
	records(&f, "a", "tcp:1.2.3.4", 3, 0, 1, 1);
	hears(&f, 0, "a:?3.0+0 ", "lines of who has not greeted are not taken: it is asked to");
	greet(&f, "a", "tcp:1.2.3.4", 4, 0);
	hears(&f, 0, "a:W4.0+1000000 ", "then it is welcome");
	records(&f, "a", "tcp:1.2.3.4", 4, 0, 1, 1);
	records(&f, "a", "tcp:1.2.3.4", 4, 2, 3, 3);
	records(&f, "a", "tcp:1.2.3.4", 4, 1, 2, 2);
	settle(&f);
	stored("{\"source\":\"tcp:1.2.3.4/s\",\"seq\":1," RECORD "\n", "behind a gap nothing is taken");
	hears(&f, 0, "a:?4.0+0 ", "it has to begin anew");
	greet(&f, "a", "tcp:1.2.3.4", 5, 0);
	hears(&f, 0, "a:W5.0+1000000 ", "and does");
	records(&f, "a", "tcp:1.2.3.4", 4, 0, 1, 1);
	hears(&f, 0, "a:?4.0+0 ", "what belongs to the greeting before is not taken either");
	tap_ok(stats_of(&f).batches == 1 && stats_of(&f).ungreeted == 3, "all that is counted");
	end(&f);
}

static void
credit(void)
{
	struct far f;

	begin(&f, 200000);
	greet(&f, "a", "curve:A", 1, 0);
	hears(&f, 0, "a:W1.0+200000 ", "one pusher has all the room");
	greet(&f, "b", "curve:B", 1, 0);
	hears(&f, 0, "b:W1.0+100000 ", "two have half of it each");
	records(&f, "b", "curve:B", 1, 0, 1, 500);   /* some 51 kB */
	records(&f, "b", "curve:B", 1, 1, 501, 1000);
	records(&f, "b", "curve:B", 1, 2, 1001, 1001);
	hears(&f, 0, "b:?1.0+0 ", "who sends more than its credit has to begin anew");
	greet(&f, "b", "curve:B", 2, 0);
	hears(&f, 0, "b:W2.0+0 ", "and is welcome, but must wait until all that is settled");
	records(&f, "a", "curve:A", 1, 0, 1, 500);
	records(&f, "a", "curve:A", 1, 1, 501, 1000);
	greet(&f, "c", "curve:C", 1, 0);
	hears(&f, 0, "c:W1.0+0 ", "while the sink is full, there is no credit for anybody");
	for (int i = 0; i < 100; i++)
		settle(&f);
	hears(&f, 0, "c:A1.0+66666 b:A2.0+66666 a:A1.2+200000" ACK("500") ACK("1000") " ",
	    "when there is room, everybody who waits is given their share");
	end(&f);
}

static void
refusals(void)
{
	struct far f;

	begin(&f, 1000000);
	greet(&f, "a", "p", 1, 0);
	hears(&f, 0, "a:W1.0+1000000 ", "it is welcome");
	lines(&f, "a", "p", 1, 0, "{\"source\":\"s\",\"seq\":1," RECORD "\n"
	    "{\"source\":\"s\",\"seq\":2}\n"
	    "\n{\"source\":\"t\",\"seq\":9,\"level\":\"x\"}\n"
	    "{" RECORD "\nnonsense\n");
	hears(&f, 0, "a:A1.0+1000000"
	    "{\"reject\":{\"source\":\"s\",\"seq\":2,\"reason\":\"level: missing\"}};"
	    "{\"reject\":{\"source\":\"t\",\"seq\":9,\"reason\":\"time: missing\"}}; ",
	    "what is no record is refused at once");
	settle(&f);
	hears(&f, 0, "a:A1.1+1000247" ACK("2") "{\"ack\":{\"source\":\"t\",\"seq\":9}}; ",
	    "and covered by the acknowledgement");
	stored("{\"source\":\"p/s\",\"seq\":1," RECORD "\n", "the sink never sees it");
	tap_ok(stats_of(&f).intake.refused == 3 && stats_of(&f).intake.unnumbered == 2,
	    "what has no number is counted");
	lines(&f, "a", "p", 1, 1, "{\"source\":\"s\",\"seq\":3}\n");
	hears(&f, 0, "a:A1.2+1000270{\"reject\":{\"source\":\"s\",\"seq\":3,\"reason\":\"level: missing\"}};" ACK("3") " ",
	    "where nothing is left, there is nothing to wait for");
	records(&f, "a", "p", 1, 2, 4, 4);
	lines(&f, "a", "p", 1, 3, "{\"source\":\"s\",\"seq\":5}\n");
	hears(&f, 0, "a:A1.2+1000270{\"reject\":{\"source\":\"s\",\"seq\":5,\"reason\":\"level: missing\"}}; ",
	    "but for what was before it");
	settle(&f);
	hears(&f, 0, "a:A1.4+1000393" ACK("4") ACK("5") " ", "then it is acknowledged, too");
	end(&f);
}

static void
sources(void)
{
	char name[256], text[2000];
	struct far f;
	size_t n;
	char *got;

	begin(&f, 1000000);
	greet(&f, "a", "p", 1, 0);
	hears(&f, 0, "a:W1.0+1000000 ", "it is welcome");
	lines(&f, "a", "p", 1, 0, "{\"source\":\"s\",\"seq\":7," RECORD "\n{\"source\":\"t\",\"seq\":1," RECORD "\n"
	    "{\"source\":\"s\",\"seq\":8," RECORD "\n{\"source\":\"s\",\"seq\":2," RECORD "\n");
	settle(&f);
	hears(&f, 0, "a:A1.1+1000400" ACK("8") "{\"ack\":{\"source\":\"t\",\"seq\":1}};" ACK("2") " ",
	    "sources may be mixed, and their numbers begin anew");
	lines(&f, "a", "p", 1, 1, "{" LABELS "\"level\":1,\"seq\":5,\"time\":1,\"sender\":\"\",\"message\":\"\","
	    "\"source\":\"\\u0022\"}\n{\"source\":\"s\",\"seq\":9," LABELS "\"source\":\"q/s\","
	    "\"level\":1,\"time\":1,\"sender\":\"\",\"message\":\"\"}\n");
	settle(&f);
	hears(&f, 0, "a:A1.2+1000610{\"ack\":{\"source\":\"\\\"\",\"seq\":5}};{\"ack\":{\"source\":\"q/s\",\"seq\":9}}; ",
	    "however they are written");
	got = fixture_read("out", &n);
	got = realloc(got, n + 1);
	got[n] = '\0';
	tap_ok(strstr(got, "\n{\"source\":\"p/\\\"\",\"seq\":5," LABELS) != NULL &&
	    strstr(got, "\n{\"source\":\"p/q/s\",\"seq\":9," LABELS "\"level\"") != NULL &&
	    strstr(got, "\"q/s\"") == NULL, "and nobody counts under another's name");
	free(got);
	memset(name, 'x', 255);
	name[255] = '\0';
	snprintf(text, sizeof(text), "{\"source\":\"%s\",\"seq\":9," RECORD "\n", name);
	lines(&f, "a", "p", 1, 2, text);
	settle(&f);
	got = fixture_read("out", &n);
	got = realloc(got, n + 1);
	got[n] = '\0';
	tap_ok(strstr(got, "\"p/sha256-") != NULL && strstr(got, "xxx") == NULL, "a long name is hashed");
	free(got);
	snprintf(text, sizeof(text), "a:A1.3+%d{\"ack\":{\"source\":\"%s\",\"seq\":9}}; ",
	    1000610 + 100 + 254, name);
	hears(&f, 0, text, "which its pusher does not know");
	end(&f);
}

static void
others(void)
{
	struct far f;

	begin(&f, 1000000);
	greet(&f, "a", "curve:A", 1, 0);
	hears(&f, 0, "a:W1.0+1000000 ", "one is welcome");
	records(&f, "a", "curve:B", 1, 0, 1, 1);
	hears(&f, 0, "a:?1.0+0 ", "somebody else under its id is not the one");
	greet(&f, "a", "curve:A", 1, 0);
	hears(&f, 0, "a:W1.0+1000000 ", "who is welcome still");
	records(&f, "a", "curve:A", 1, 0, 1, 1);
	tap_ok(say(&f, "b", "curve:A", (struct relay_frame){ .type = RELAY_GREETING, .greeting = 2,
	    .run = "a" }, 0) == 0, "the same run comes back on another connection");
	settle(&f);
	hears(&f, 0, "b:W2.0+1000000 ", "on the old one there is nobody any more");
	tap_ok(stats_of(&f).pushers == 1, "there is one");
	stored("{\"source\":\"curve:A/s\",\"seq\":1," RECORD "\n", "what had been sent is stored all the same");
	tap_ok(say(&f, "c", "curve:C", (struct relay_frame){ .type = RELAY_GREETING, .greeting = 2,
	    .run = "a" }, 0) == 0 && stats_of(&f).pushers == 2, "a run alone is no proof");
	hears(&f, 0, "c:W2.0+500000 ", "of who it is");
	end(&f);
}

static void
gone_or_slow(void)
{
	struct str id, message;
	struct far f;

	begin(&f, 1000000);
	greet(&f, "a", "curve:A", 1, 0);
	greet(&f, "b", "curve:B", 1, 0);
	hears(&f, 0, "a:W1.0+500000 b:W1.0+500000 ", "two are welcome");
	records(&f, "a", "curve:A", 1, 0, 1, 1);
	records(&f, "b", "curve:B", 1, 0, 1, 1);
	settle(&f);
	tap_ok(relay_pull_next(f.pull, &id, &message) && str_equal(id, str_of("a")), "one is answered");
	relay_pull_blocked(f.pull);
	hears(&f, 0, "b:A1.1+500100" ACK("1") " ", "if it takes nothing now, the other is");
	relay_pull_tick(f.pull, 1);
	hears(&f, 0, "a:A1.1+500100" ACK("1") " ", "it is tried again later");
	records(&f, "a", "curve:A", 1, 1, 2, 2);
	relay_pull_tick(f.pull, 5);
	tap_ok(relay_pull_next(f.pull, &id, &message) && str_equal(id, str_of("a")), "it is sent a word");
	relay_pull_gone(f.pull);
	hears(&f, 5, "b:A1.1+1000100 ", "if it is gone, it is forgotten");
	settle(&f);
	stored("{\"source\":\"curve:A/s\",\"seq\":1," RECORD "\n{\"source\":\"curve:B/s\",\"seq\":1," RECORD "\n"
	    "{\"source\":\"curve:A/s\",\"seq\":2," RECORD "\n", "but not what it had sent");
	tap_ok(stats_of(&f).pushers == 1 && strstr(f.said.data, "curve:A: a pusher is gone;") != NULL,
	    "and that is said");
	records(&f, "b", "curve:B", 1, 1, 2, 2);
	relay_pull_stop(f.pull);
	records(&f, "b", "curve:B", 1, 2, 3, 3);
	greet(&f, "c", "curve:C", 1, 0);
	tap_ok(relay_pull_busy(f.pull), "who stops has still something to do");
	settle(&f);
	hears(&f, 5, "b:A1.2+1000100" ACK("2") " ", "but takes nothing more, and nobody");
	tap_ok(!relay_pull_busy(f.pull), "until that is done");
	end(&f);
}

static void
nonsense(void)
{
	struct error e;
	struct far f;

	begin(&f, 1000000);
	tap_ok(relay_pull_take(f.pull, str_of("x"), str_of("p"), str_of("{\"action\":\"ping\"}"), 0, &e) == -1,
	    "garbage is not taken");
	tap_ok(say(&f, "x", "p", (struct relay_frame){ .type = RELAY_ANSWERS }, 0) == -1,
	    "nor what only a puller sends");
	tap_ok(say(&f, "x", "p", (struct relay_frame){ .type = RELAY_BYE }, 0) == 0,
	    "a stranger may take leave");
	hears(&f, 0, "", "none is answered");
	tap_ok(stats_of(&f).odd == 2, "all are counted");
	end(&f);
}

int
main(void)
{
	fixture_begin();
	passes_on();
	in_order_only();
	credit();
	refusals();
	sources();
	others();
	gone_or_slow();
	nonsense();
	return tap_done();
}
