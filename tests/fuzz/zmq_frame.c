/*
 * Give the reader of published frames any bytes at all. What it takes is written in one way
 * only, so writing it again must make the same bytes; and it must begin with its topic, for
 * that is what subscribers are sorted by.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which mutates seeds of its own:
 *     fuzz-zmq_frame [RUNS [SEED]]
 */
#include "pubsub.h"
#include "target.h"

static unsigned long accepted;

static void
proper_frame(const struct pubsub *p)
{
	struct buf again = { 0 }, topic = { 0 };

	require(pubsub_write_topic(&topic, p->kind, p->watchdog) == 0, "no memory");
	require(str_equal(p->topic, (struct str){ topic.data, topic.len }), "another topic");
	require(p->topic.data == input.data, "it does not begin with its topic");
	require(record_watchdog_valid(p->watchdog), "not a watchdog's code");
	require(p->number > 0, "no number");
	require(memchr(p->line.data, '\n', p->line.len) == NULL, "more than a line");
	require(pubsub_write(&again, p) == 0, "no memory");
	require(str_equal(input, (struct str){ again.data, again.len }), "written again it differs");
	buf_free(&again);
	buf_free(&topic);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pubsub p;
	struct error e = { .kind = ERROR_NONE };

	input = (struct str){ (const char *)data, size };
	if (pubsub_read(input, &p, &e) == 0) {
		accepted++;
		proper_frame(&p);
	} else {
		require(e.kind == ERROR_INVALID && e.text[0] != '\0', "no proper error");
	}
	return 0;
}

#ifdef FUZZ_STANDALONE

#include "mutate.h"

static const char *const seeds[] = {
	"log.w1.\nabcdefghijklmnop 1\n{\"level\":1,\"time\":1,\"sender\":\"s\",\"message\":\"m\"}",
	"notification.freezer000000004.\nrun-2_X 18446744073709551615\n{}",
	"log.local.\na 10\n ",
};

static const char *const pieces[] = {
	".", "..", "\n", " ", "log.", "notification.", "LOG.", "w1.", "w10.", "w1", "-", "+", "0", "1", "9",
	"18446744073709551615", "18446744073709551616", "99999999999999999999", "\r", "\t", "{", "}",
	"\xc3\xa9", "\xff", "0000000000000004.",
	"0123456789012345678901234567890123456789012345678901234567890123456789",
};

int
main(int argc, char **argv)
{
	struct mutate m = { seeds, COUNT(seeds), pieces, COUNT(pieces), 0 };
	unsigned long runs = mutate_main(&m, argc, argv, 500000, mutate_seed);

	require(runs < 1000 || accepted > runs / 20, "hardly anything was a frame");
	printf(", %lu of them frames\n", accepted);
	return 0;
}

#endif
