/*
 * Give both ends of a relay any messages at all. What is read must keep to lib/relay.h and,
 * written, be the same message; a puller and a pusher must live through it and be heard no
 * lines, and told of no settled ones, that were not in it.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which makes inputs of its own:
 *     fuzz-relay [RUNS [SEED]]
 * Messages stand one behind the other, each with its length in two bytes before it.
 */
#include <fcntl.h>
#include <unistd.h>

#include "relay_pull.h"
#include "relay_push.h"
#include "target.h"

static unsigned long taken;

static void
survives_writing(struct str message)
{
	struct relay_frame f;
	struct buf b = { 0 };
	struct error e;

	if (relay_read(message, &f, &e) == -1) {
		require(e.kind == ERROR_INVALID || e.kind == ERROR_NEWER, "an error of another kind");
		return;
	}
	require(f.type < RELAY_TYPES, "a type that is none");
	require(f.text.len == 0 || f.text.data[f.text.len - 1] == '\n', "half a line");
	require(relay_write(&b, &f) == 0, "no memory");
	require(str_equal(message, (struct str){ b.data, b.len }), "written it is another");
	buf_free(&b);
}

/* ---- a pusher ---- */

static void
tell_pusher(struct relay_push *p, struct str message, double now)
{
	struct relay_push_stats before, after;
	struct str answers, out;
	struct error e;

	relay_push_stats(p, &before);
	if (relay_push_take(p, message, now, &answers, &e) == 0)
		taken++;
	relay_push_stats(p, &after);
	require(answers.len == 0 || (answers.data >= message.data &&
	    answers.data + answers.len == message.data + message.len), "answers from nowhere");
	require(after.lines + after.unsettled_lines == before.lines + before.unsettled_lines,
	    "lines are lost");
	while (relay_push_next(p, now, &out))
		relay_push_sent(p, now);
}

/* ---- a puller ---- */

struct far {
	struct sink *sink;
	struct relay_pull *pull;
};

static void
on_settled(void *arg, struct sink_parcel *p)
{
	require(p->lines.len > 0 && p->lines.data[p->lines.len - 1] == '\n' &&
	    memcmp(p->lines.data, "{\"source\":\"me/", 14) == 0, "a line of somebody else");
	relay_pull_settled(((struct far *)arg)->pull, p);
}

static void
on_say(void *arg, int priority, const char *text)
{
	(void)arg;
	(void)priority;
	(void)text;
}

static void
tell_puller(struct far *f, struct str message, double now)
{
	struct str id = { message.data, message.len > 0 && message.data[message.len - 1] % 2 };
	struct relay_pull_stats stats;
	struct relay_frame answer;
	struct str out;
	struct error e;

	if (relay_pull_take(f->pull, id, str_of("me"), message, now, &e) == 0)
		taken++;
	sink_flush(f->sink);
	require(sink_work(f->sink, &e) == 0, "the sink fails");
	relay_pull_tick(f->pull, now);
	while (relay_pull_next(f->pull, &id, &out)) {
		require(relay_read(out, &answer, &e) == 0, "it says what is no message");
		relay_pull_sent(f->pull, now);
	}
	relay_pull_stats(f->pull, &stats);
	require(stats.pushers <= 2, "pushers that nobody is");
}

static void
begin(struct far *f, int null)
{
	struct error e;

	f->sink = sink_new(&(struct sink_settings){ .fd = null, .room = 1000, .settled = on_settled,
	    .say = on_say, .arg = f }, &e);
	require(f->sink != NULL, "no sink");
	f->pull = relay_pull_new(&(struct relay_pull_settings){ .sink = f->sink, .room = 1000,
	    .heartbeat = 3, .defaults = { .watchdog = str_of("w") }, .say = on_say }, &e);
	require(f->pull != NULL, "no puller");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char run[RELAY_RUN_SIZE];
	static int null = -1;
	struct relay_push *push;
	struct str rest, message;
	struct error e;
	struct far far;
	double now = 0;

	if (null == -1)
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	input = rest = (struct str){ (const char *)data, size };
	begin(&far, null);
	push = relay_push_new(run, 4, &e);
	require(push != NULL && relay_push_add(push, str_of("one\ntwo\nthree\n"), &e) == 0, "no pusher");
	relay_push_connected(push);
	for (; rest.len >= 2; now++) {
		size_t len = (size_t)(unsigned char)rest.data[0] << 8 | (unsigned char)rest.data[1];
		message = (struct str){ rest.data + 2, len < rest.len - 2 ? len : rest.len - 2 };
		rest = (struct str){ message.data + message.len, rest.len - 2 - message.len };
		survives_writing(message);
		tell_pusher(push, message, now);
		tell_puller(&far, message, now);
	}
	relay_push_free(&push);
	sink_free(&far.sink, 0);
	relay_pull_free(&far.pull);
	return 0;
}

#ifdef FUZZ_STANDALONE

#include "mutate.h"

static void
add_message(struct buf *b, struct mutate *m)
{
	static const char *const lines[] = {
		"{\"source\":\"s\",\"seq\":1,\"level\":1,\"time\":1,\"sender\":\"\",\"message\":\"\"}\n",
		"{\"source\":\"t\",\"seq\":2,\"kind\":\"log\",\"watchdog\":\"w\",\"level\":1,\"time\":1,"
		    "\"sender\":\"\",\"message\":\"\"}\n{\"source\":\"s\",\"seq\":1,\"level\":1,\"time\":1,"
		    "\"sender\":\"\",\"message\":\"\"}\n",
		"{\"source\":\"me/s\",\"seq\":2}\n\n", "nonsense\n", "{\"ack\":{\"source\":\"s\",\"seq\":1}}\n",
	};
	struct relay_frame f = { .type = (enum relay_type)mutate_pick(m, RELAY_TYPES),
	    .greeting = 1 + mutate_pick(m, 8) / 7, .number = mutate_pick(m, 3),
	    .nth = mutate_pick(m, 3), .credit = mutate_pick(m, 2000),
	    .text = str_of(lines[mutate_pick(m, COUNT(lines))]) };
	size_t at = b->len, len;

	require(buf_add(b, "..", 2) == 0 && relay_write(b, &f) == 0, "no memory");
	len = b->len - at - 2;
	b->data[at] = (char)(len >> 8);
	b->data[at + 1] = (char)len;
}

static void
make_one(struct mutate *m)
{
	struct buf b = { 0 };

	for (size_t n = mutate_pick(m, 8); n > 0; n--)
		add_message(&b, m);
	for (size_t n = mutate_pick(m, 4); n > 0 && b.len > 0; n--)
		b.data[mutate_pick(m, b.len)] = (char)mutate_pick(m, 256);
	mutate_try(b.len > 0 ? b.data : "", b.len);
	buf_free(&b);
}

int
main(int argc, char **argv)
{
	struct mutate m = { .state = 0 };

	mutate_main(&m, argc, argv, 30000, make_one);
	printf(", %lu messages taken\n", taken);
	return 0;
}

#endif
