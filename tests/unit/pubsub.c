/* pubsub.h: frames taken apart, and made. */
#include "pubsub.h"

#include <inttypes.h>

#include "tap.h"

#define LINE "{\"message\":\"m\"}"

/* The text may have U+0000 in it. */
#define READ(frame, want) reads((struct str){ frame, sizeof(frame) - 1 }, want, #frame)

static void
reads(struct str frame, const char *want, const char *name)
{
	struct pubsub p;
	struct error e;
	char got[512];

	if (pubsub_read(frame, &p, &e) == -1)
		snprintf(got, sizeof(got), "%s", e.text);
	else
		snprintf(got, sizeof(got), "%s %.*s %.*s %.*s %" PRIu64 " %.*s", record_kind_name(p.kind),
		    STR_ARGS(p.watchdog), STR_ARGS(p.topic), STR_ARGS(p.publisher), p.number,
		    STR_ARGS(p.line));
	tap_is(got, want, name);
}

static void
reading(void)
{
	READ("log.w1.\nrun 7\n" LINE, "log w1 log.w1. run 7 " LINE);
	READ("notification.a_B-9.\n_ 18446744073709551615\nx",
	    "notification a_B-9 notification.a_B-9. _ 18446744073709551615 x");
}

static void
refusing(void)
{
	static const char lines[] = "must be three lines", number[] =
	    "number: must be an integer, 1 at least", publisher[] =
	    "publisher: must be 1 to 64 of A-Z, a-z, 0-9, _ and -";

	READ("", lines);
	READ("\n", lines);
	READ("log.w1.", lines);
	READ("log.w1.\nrun 7", lines);
	READ("log.w1.\nrun 7\n", lines);
	READ("log.w1.\nrun 7\n" LINE "\n", lines);
	READ("log.w1.\nrun 7\n\n" LINE, lines);
	READ("w1.\nrun 7\n" LINE, "topic: must begin with a kind and a dot");
	READ("Log.w1.\nrun 7\n" LINE, "topic: must begin with a kind and a dot");
	READ("\nrun 7\n" LINE, "topic: must begin with a kind and a dot");
	READ("log.\nrun 7\n" LINE, "topic: must end in a dot");
	READ("log.w1\nrun 7\n" LINE, "topic: must end in a dot");
	READ("log..\nrun 7\n" LINE, "topic: has no watchdog's code");
	READ("log.w1..\nrun 7\n" LINE, "topic: has no watchdog's code");
	READ("log.w\0001.\nrun 7\n" LINE, "topic: has no watchdog's code");
	READ("log.w1.\nrun\n" LINE, "head: must be a publisher and a number");
	READ("log.w1.\n 7\n" LINE, publisher);
	READ("log.w1.\nru\xc3\xbcn 7\n" LINE, publisher);
	READ("log.w1.\n01234567890123456789012345678901234567890123456789012345678901234 7\n" LINE,
	    publisher);
	READ("log.w1.\nrun \n" LINE, number);
	READ("log.w1.\nrun 0\n" LINE, number);
	READ("log.w1.\nrun 07\n" LINE, number);
	READ("log.w1.\nrun +7\n" LINE, number);
	READ("log.w1.\nrun 7 \n" LINE, number);
	READ("log.w1.\nrun 18446744073709551616\n" LINE, number);
	READ("log.w1.\nrun 99999999999999999999\n" LINE, number);
}

static void
writing(void)
{
	struct buf b = { 0 };
	struct pubsub p = {
		.kind = RECORD_NOTIFICATION, .watchdog = str_of("w1"), .publisher = str_of("run"),
		.number = 42, .line = str_of(LINE),
	};

	tap_ok(pubsub_write(&b, &p) == 0 && buf_add(&b, "", 1) == 0, "a frame is written");
	tap_is(b.data, "notification.w1.\nrun 42\n" LINE, "as it stands in pubsub.h");
	b.len = 0;
	tap_ok(pubsub_write_topic(&b, RECORD_LOG, str_of("w1")) == 0 && buf_add(&b, "", 1) == 0,
	    "a topic is written");
	tap_is(b.data, "log.w1.", "with its final dot");
	buf_free(&b);
}

int
main(void)
{
	reading();
	refusing();
	writing();
	return tap_done();
}
