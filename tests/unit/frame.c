/*
 * The tests' own WebSocket frames, against the examples of RFC 6455.
 */
#include "frame.h"
#include "tap.h"

#include <stdlib.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ANSWER "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Accept: "
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static struct str
bytes(const char *data, size_t len)
{
	return (struct str){ data, len };
}

static void
test_add(void)
{
	static const char masked[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
	char *large = calloc(1, 65536);
	struct buf b = { 0 };

	frame_add(&b, true, FRAME_TEXT, str_of("Hello"), "\x37\xfa\x21\x3d");
	tap_ok(str_equal((struct str){ b.data, b.len }, str_of(masked)), "a masked text frame");
	b.len = 0;
	frame_add(&b, false, FRAME_TEXT, str_of("Hel"), NULL);
	frame_add(&b, true, FRAME_MORE, str_of("lo"), NULL);
	tap_ok(str_equal((struct str){ b.data, b.len }, bytes("\x01\x03Hel\x80\x02lo", 9)),
	    "a message in two frames");
	b.len = 0;
	frame_add(&b, true, FRAME_BINARY, bytes(large, 256), NULL);
	tap_ok(b.len == 4 + 256 && memcmp(b.data, "\x82\x7e\x01\x00", 4) == 0, "a length in two bytes");
	b.len = 0;
	frame_add(&b, true, FRAME_BINARY, bytes(large, 65536), NULL);
	tap_ok(b.len == 10 + 65536 && memcmp(b.data, "\x82\x7f\0\0\0\0\0\x01\0\0", 10) == 0,
	    "a length in eight bytes");
	buf_free(&b);
	free(large);
}

static void
test_head(void)
{
	static const struct { const char *name; struct str in; int n; uint64_t len; } cases[] = {
		{ "a short frame", { "\x81\x05", 2 }, 2, 5 },
		{ "half a head", { "\x81", 1 }, 0, 0 },
		{ "half a length", { "\x82\x7e\x01", 3 }, 0, 0 },
		{ "a length in two bytes", { "\x82\x7e\x01\x00", 4 }, 4, 256 },
		{ "a length in eight bytes", { "\x82\x7f\0\0\0\0\0\x01\0\0", 10 }, 10, 65536 },
		{ "a masked frame", { "\x81\x85\0\0\0\0", 6 }, -1, 0 },
		{ "a reserved bit", { "\xc1\x05", 2 }, -1, 0 },
		{ "an unknown opcode", { "\x83\x05", 2 }, -1, 0 },
		{ "a ping in parts", { "\x09\x05", 2 }, -1, 0 },
		{ "a long ping", { "\x89\x7e\x01\x00", 4 }, -1, 0 },
		{ "a length not written the short way", { "\x81\x7e\x00\x05", 4 }, -1, 0 },
	};
	struct frame f;
	struct error e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tap_ok(frame_head(cases[i].in, &f, &e) == cases[i].n &&
		    (cases[i].n <= 0 || f.len == cases[i].len), "%s", cases[i].name);
}

static void
test_answer(void)
{
	static const char good[] = ANSWER ACCEPT "\r\n\r\n";
	static const struct { const char *name, *in; int status; } bad[] = {
		{ "an accept of another key", ANSWER "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n\r\n", 101 },
		{ "an extension that was not asked for",
		    ANSWER ACCEPT "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 101 },
		{ "a status that is not 101", "HTTP/1.1 403 Forbidden\r\n\r\n", 403 },
		{ "something that is not HTTP", "\x15\x03\x03\x00\x02\x02\x46 and more", 0 },
	};
	struct error e;
	int status;
	size_t i;

	tap_ok(frame_answer(str_of(good), KEY, &status, &e) ==
	    sizeof(good) - 1 && status == 101, "the example's answer");
	for (i = 0; i < sizeof(good) - 1; i++)
		if (frame_answer(bytes(good, i), KEY, &status, &e) != 0)
			break;
	tap_ok(i == sizeof(good) - 1, "an answer is not read before it is whole");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		tap_ok(frame_answer(str_of(bad[i].in), KEY, &status, &e) == -1 &&
		    status == bad[i].status, "refused: %s", bad[i].name);
}

int
main(void)
{
	test_add();
	test_head();
	test_answer();
	return tap_done();
}
