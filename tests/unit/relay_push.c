/* relay_push.h: the pusher's end, with a puller that does what the tests want of it. */
#include "relay_push.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "tap.h"

static const unsigned char own[RELAY_RUN_SIZE] = "a pusher's run..", other[RELAY_RUN_SIZE] = "b";

static struct relay_push *
begin(void)
{
	struct error e;
	struct relay_push *r = relay_push_new(own, 10, &e);

	if (r == NULL) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return r;
}

static void
add(struct relay_push *r, const char *lines)
{
	struct error e;

	tap_ok(relay_push_add(r, str_of(lines), &e) == 0, "lines are kept");
}

static void
say(struct relay_push *r, struct relay_frame f, double now, int want, const char *hears)
{
	struct buf b = { 0 };
	struct str answers;
	struct error e;

	relay_write(&b, &f);
	tap_ok(relay_push_take(r, (struct str){ b.data, b.len }, now, &answers, &e) == want,
	    want == 0 ? "it takes a message" : "it does not take a message");
	tap_ok(str_equal(answers, str_of(hears)), "and hands on what is answered in it");
	buf_free(&b);
}

static void
welcome(struct relay_push *r, uint64_t greeting, uint64_t credit, double now)
{
	struct relay_frame f = { .type = RELAY_WELCOME, .greeting = greeting, .credit = credit };

	memcpy(f.run, other, RELAY_RUN_SIZE);
	say(r, f, now, 0, "");
}

#define ACK "{\"ack\":{}}\n"

static void
answer(struct relay_push *r, uint64_t greeting, uint64_t nth, uint64_t number, uint64_t credit,
    double now, const char *hears)
{
	say(r, (struct relay_frame){ .type = RELAY_ANSWERS, .greeting = greeting, .nth = nth,
	    .number = number, .credit = credit, .text = str_of(ACK) }, now, 0, hears);
}

/* What does it send, as text: "G1.0" a greeting, "L1.0{}" lines, "B1" the end. */
static void
sends(struct relay_push *r, double now, const char *want, const char *title)
{
	static const char *const types[RELAY_TYPES] = { "G", "L", "B", "W", "A", "?" };
	struct buf got = { 0 };
	struct relay_frame f;
	struct str message;
	struct error e;

	buf_printf(&got, "%s", "");
	while (relay_push_next(r, now, &message)) {
		if (relay_read(message, &f, &e) == -1) {
			tap_ok(false, "it sends what is a message: %s", e.text);
			break;
		}
		buf_printf(&got, "%s%" PRIu64 ".%" PRIu64 "%.*s ", types[f.type], f.greeting, f.number,
		    f.text.len < 20 ? (int)f.text.len : 20, f.text.len > 0 ? f.text.data : "");
		relay_push_sent(r, now);
	}
	for (size_t i = 0; i < got.len; i++)
		if (got.data[i] == '\n')
			got.data[i] = ';';
	tap_is(got.data, want, title);
	buf_free(&got);
}

static struct relay_push_stats
stats_of(const struct relay_push *r)
{
	struct relay_push_stats s;

	relay_push_stats(r, &s);
	return s;
}

/* ---- the tests ---- */

static void
in_order(void)
{
	struct relay_push *r = begin();

	add(r, "a\nb\n");
	sends(r, 1, "", "without a connection nothing is sent");
	tap_ok(isinf(relay_push_due(r)), "nor ever will be");
	relay_push_connected(r);
	sends(r, 1, "G1.0 ", "a connection is greeted");
	add(r, "c\n");
	sends(r, 2, "", "and nothing follows until it is welcome");
	welcome(r, 1, 6, 2);
	sends(r, 2, "L1.0a;b;c; ", "then come the lines, as one");
	add(r, "d\n");
	sends(r, 2, "", "as far as there is credit");
	answer(r, 1, 0, 0, 7, 3, ACK);
	sends(r, 3, "L1.1d; ", "and more of them with more credit");
	tap_ok(stats_of(r).unsettled_lines == 4 && relay_push_held(r) > 8, "what is sent is kept");
	answer(r, 1, 1, 1, 7, 3, ACK);
	tap_ok(stats_of(r).lines == 3 && stats_of(r).bytes == 6 && stats_of(r).unsettled_bytes == 2,
	    "until it is settled");
	answer(r, 1, 2, 2, 100, 3, ACK);
	tap_ok(relay_push_settled(r) && relay_push_held(r) == 0, "all of it");
	add(r, "e\n");
	sends(r, 3, "L1.2e; ", "the next batch has the next number");
	relay_push_finish(r);
	sends(r, 3, "", "what is to come to its end waits for what is not settled");
	answer(r, 1, 3, 3, 100, 3, ACK);
	sends(r, 3, "B1.0 ", "then takes leave");
	sends(r, 100, "", "and that was all");
	tap_ok(stats_of(r).resent == 0 && stats_of(r).greetings == 1, "nothing was sent twice");
	relay_push_free(&r);
}

static void
again(void)
{
	struct relay_push *r = begin();

	relay_push_connected(r);
	sends(r, 1, "G1.0 ", "it greets");
	welcome(r, 1, 100, 1);
	add(r, "a\n");
	sends(r, 1, "L1.0a; ", "and sends");
	add(r, "b\nc\n");
	sends(r, 1, "L1.1b;c; ", "and sends");
	add(r, "d\n");
	answer(r, 1, 0, 1, 3, 1, ACK);
	relay_push_disconnected(r);
	sends(r, 1, "", "a connection that is lost takes nothing");
	relay_push_connected(r);
	sends(r, 2, "G2.1 ", "the next is greeted with the first batch that is not settled");
	answer(r, 1, 1, 2, 100, 2, "");
	tap_ok(stats_of(r).unsettled_lines == 3, "what comes of the last one does not count any more");
	welcome(r, 1, 100, 2);
	sends(r, 2, "", "nor its welcome");
	welcome(r, 2, 100, 2);
	sends(r, 2, "L2.1b;c; L2.2d; ", "all that was not settled is sent again, as it was");
	tap_ok(stats_of(r).resent == 2, "and counted, if it is the second time");
	say(r, (struct relay_frame){ .type = RELAY_AGAIN, .greeting = 1 }, 3, 0, "");
	sends(r, 3, "", "an old wish for a greeting is none");
	say(r, (struct relay_frame){ .type = RELAY_AGAIN, .greeting = 2 }, 3, 0, "");
	sends(r, 3, "", "a new one is fulfilled, but not at once");
	sends(r, relay_push_due(r), "G3.1 ", "it is a moment later");
	tap_ok(stats_of(r).restarts == 0, "the puller was the same all the time");
	say(r, (struct relay_frame){ .type = RELAY_WELCOME, .greeting = 3, .credit = 1, .run = "c" },
	    4, 0, "");
	tap_ok(stats_of(r).restarts == 1 && stats_of(r).open, "until it was another");
	sends(r, 4, "L3.1b;c; ", "who has credit left may send a whole batch");
	relay_push_free(&r);
}

/* An acknowledgement does not count where what stood before it was lost. */
static void
missed(void)
{
	struct relay_push *r = begin();

	relay_push_connected(r);
	sends(r, 1, "G1.0 ", "it greets");
	welcome(r, 1, 100, 1);
	add(r, "a\n");
	sends(r, 1, "L1.0a; ", "and sends");
	answer(r, 1, 1, 1, 100, 1, "");
	tap_ok(!relay_push_settled(r), "an answer that is not the next does not count");
	answer(r, 1, 2, 1, 100, 1, "");
	sends(r, 2, "G2.0 ", "nor any behind it: it greets again");
	welcome(r, 2, 100, 2);
	sends(r, 2, "L2.0a; ", "and sends again");
	answer(r, 2, 0, 1, 100, 1, ACK);
	tap_ok(relay_push_settled(r), "until it has heard everything");
	relay_push_free(&r);
}

static void
silence(void)
{
	struct relay_push *r = begin();

	relay_push_connected(r);
	sends(r, 1, "G1.0 ", "it greets");
	tap_ok(relay_push_due(r) == 11, "and waits");
	sends(r, 10.9, "", "for a while");
	sends(r, 11, "G2.0 ", "then greets again");
	welcome(r, 2, 100, 12);
	add(r, "a\n");
	sends(r, 13, "L2.0a; ", "it sends");
	sends(r, 21.9, "", "and waits");
	answer(r, 2, 0, 0, 100, 21, ACK);
	sends(r, 30.9, "", "as long as there is any sign of life");
	sends(r, 31, "G3.0 ", "then greets again");
	relay_push_free(&r);
}

static void
nonsense(void)
{
	struct relay_push *r = begin();
	struct str answers;
	struct error e;

	relay_push_connected(r);
	sends(r, 1, "G1.0 ", "it greets");
	welcome(r, 1, 3, 1);
	add(r, "a\n");
	sends(r, 1, "L1.0a; ", "and sends");
	add(r, "b\n");
	tap_ok(relay_push_take(r, str_of("HTTP/1.1 400 Bad Request"), 1, &answers, &e) == -1,
	    "garbage is not taken");
	say(r, (struct relay_frame){ .type = RELAY_ANSWERS, .greeting = 1, .number = 2 }, 1, -1, "");
	say(r, (struct relay_frame){ .type = RELAY_GREETING, .greeting = 1 }, 1, -1, "");
	say(r, (struct relay_frame){ .type = RELAY_BYE, .greeting = 1 }, 1, -1, "");
	tap_ok(stats_of(r).odd == 4 && stats_of(r).unsettled_lines == 2, "it is counted, and that is all");
	sends(r, 1, "L1.1b; ", "it goes on as if nothing had been");
	relay_push_free(&r);
}

static void
batches(void)
{
	struct relay_push *r = begin();
	struct buf lines = { 0 };
	struct relay_frame f;
	struct str message;
	struct error e;
	size_t n = 0, bytes = 0, longest = 0;

	for (int i = 0; i < 3000; i++)
		buf_printf(&lines, "line %d that is some seventy bytes long, so that there are many of them\n", i);
	/* One that is longer than a batch, in the midst of them. */
	for (int i = 0; i < 10000; i++)
		buf_printf(&lines, "0123456789");
	buf_printf(&lines, "\nshort\n");
	tap_ok(relay_push_add(r, (struct str){ lines.data, lines.len }, &e) == 0, "many lines are kept");
	relay_push_connected(r);
	relay_push_next(r, 1, &message);
	relay_push_sent(r, 1);
	welcome(r, 1, 1 << 30, 1);
	while (relay_push_next(r, 1, &message) && relay_read(message, &f, &e) == 0) {
		if (memcmp(lines.data + bytes, f.text.data, f.text.len) != 0)
			break;
		bytes += f.text.len;
		if (f.text.len > RELAY_BATCH && f.text.len != 100001)
			break;
		longest = f.text.len > longest ? f.text.len : longest;
		n++;
		relay_push_sent(r, 1);
	}
	tap_ok(bytes == lines.len, "all of them are sent");
	tap_ok(longest == 100001, "a line longer than a batch is one by itself");
	tap_ok(n == lines.len / RELAY_BATCH + 2, "and the others fill theirs");
	tap_ok(relay_push_held(r) < lines.len * 2, "they are kept, and not much more");
	buf_free(&lines);
	relay_push_free(&r);
}

/* A larger credit, larger batches, as far as they may be. */
static void
batches_grow(void)
{
	static const struct { uint64_t credit; size_t longest; const char *title; } cases[] = {
		{ 1, RELAY_BATCH, "whose puller has little room is sent small batches" },
		{ RELAY_BATCH * 32, RELAY_BATCH * 2, "a batch is a 16th of the room" },
		{ 1 << 30, RELAY_BATCH_MOST, "and no larger than may be" },
	};
	struct buf lines = { 0 };

	for (int i = 0; i < 10000; i++)
		buf_printf(&lines, "%0*d\n", 99, i);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct relay_push *r = begin();
		struct str message;
		struct error e;

		relay_push_connected(r);
		sends(r, 1, "G1.0 ", "it greets");
		welcome(r, 1, cases[i].credit, 1);
		relay_push_add(r, (struct str){ lines.data, lines.len }, &e);
		tap_ok(relay_push_next(r, 1, &message) && message.len <= cases[i].longest + RELAY_LINES_HEAD &&
		    message.len > cases[i].longest - 100, "%s", cases[i].title);
		relay_push_free(&r);
	}
	buf_free(&lines);
}

/* A message that somebody holds stays as it is. */
static void
held(void)
{
	struct relay_push *r = begin();
	struct str first, second;
	struct relay_frame f;
	struct error e;
	void *one, *two;

	relay_push_connected(r);
	tap_ok(relay_push_next(r, 1, &first) && relay_push_hold(r, first) == NULL, "a greeting is not held");
	relay_push_sent(r, 1);
	welcome(r, 1, 100, 1);
	add(r, "a\n");
	tap_ok(relay_push_next(r, 1, &first) && (one = relay_push_hold(r, first)) != NULL, "lines may be");
	relay_push_sent(r, 1);
	add(r, "b\n");
	relay_push_connected(r);
	sends(r, 2, "G2.0 ", "it begins anew");
	welcome(r, 2, 100, 2);
	tap_ok(relay_push_next(r, 2, &second) && (two = relay_push_hold(r, second)) != NULL,
	    "they are sent again");
	tap_ok(relay_read(second, &f, &e) == 0 && f.greeting == 2 && str_equal(f.text, str_of("a\n")),
	    "in the new greeting");
	relay_push_sent(r, 2);
	answer(r, 2, 0, 1, 100, 2, ACK);
	tap_ok(stats_of(r).lines == 1 && relay_read(first, &f, &e) == 0 && f.greeting == 1 &&
	    str_equal(f.text, str_of("a\n")), "what is held stays as it was, settled or not");
	relay_push_let_go((char *)first.data, one);
	relay_push_free(&r);
	tap_ok(relay_read(second, &f, &e) == 0 && f.greeting == 2, "whatever has become of the pusher");
	relay_push_let_go((char *)second.data, two);
}

int
main(void)
{
	in_order();
	again();
	missed();
	silence();
	nonsense();
	batches();
	batches_grow();
	held();
	return tap_done();
}
