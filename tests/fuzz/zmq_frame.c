/*
 * Give the reader of published frames any bytes at all. What it takes is written in one way
 * only, so writing it again must make the same bytes; and it must begin with its topic, for
 * that is what subscribers are sorted by.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which mutates seeds of its own:
 *     fuzz-zmq_frame [RUNS [SEED]]
 * A fault ends it by abort(3), the bytes that showed it on standard error.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pubsub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str input;
static unsigned long accepted;

static void
require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz-zmq_frame: %s\ninput: ", what);
	for (size_t i = 0; i < input.len; i++) {
		unsigned char c = (unsigned char)input.data[i];
		fprintf(stderr, c < 0x20 || c > 0x7e || c == '\\' ? "\\x%02x" : "%c", c);
	}
	fputc('\n', stderr);
	abort();
}

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

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

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
	unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 500000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	struct mutate m = { seeds, COUNT(seeds), pieces, COUNT(pieces), seed + 0x9e3779b97f4a7c15u };
	uint8_t *data;
	size_t size;

	for (unsigned long i = 0; i < runs; i++) {
		data = mutate_input(&m, &size);
		require(data != NULL, "no memory");
		LLVMFuzzerTestOneInput(data, size);
		free(data);
	}
	require(runs < 1000 || accepted > runs / 20, "hardly anything was a frame");
	printf("fuzz-zmq_frame: %lu runs from seed %llu, %lu of them frames\n", runs,
	    (unsigned long long)seed, accepted);
	return 0;
}

#endif
