/* input.h, output.h and numbers.h: what goes in and out, and its numbers. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "fixture.h"
#include "input.h"
#include "numbers.h"
#include "output.h"

/* ---- lines ---- */

/* Write the text to a pipe `step` bytes at a time, and read lines of at most 8 bytes: what they
 * are, each in <>, or in [] if it was cut. */
static void
lines_are(const char *text, size_t step, const char *want)
{
	struct input in = { .max = 8 };
	struct str piece, line;
	struct error e;
	char got[256] = "", copy[256] = "";
	size_t n = 0, copied = 0, left = strlen(text), put;
	int ends[2];
	bool cut;

	if (pipe(ends) == -1)
		fixture_fail("pipe", strerror(errno));
	in.fd = ends[0];
	while (!in.ended) {
		put = left < step ? left : step;
		if (put > 0 && write(ends[1], text + strlen(text) - left, put) != (ssize_t)put)
			fixture_fail("write", strerror(errno));
		left -= put;
		if (put == 0)
			close(ends[1]);
		if (input_read(&in, &piece, &e) == -1)
			fixture_fail("input_read", e.text);
		if (piece.len > 0)
			memcpy(copy + copied, piece.data, piece.len);
		copied += piece.len;
		while (input_line(&in, &line, &cut))
			n += (size_t)snprintf(got + n, sizeof(got) - n, cut ? "[%.*s]" : "<%.*s>", STR_ARGS(line));
	}
	close(ends[0]);
	tap_is(got, want, "lines");
	tap_is(copy, text, "and all that was read");
	input_free(&in);
}

static void
lines(void)
{
	static const size_t steps[] = { 1, 2, 3, 100 };

	for (size_t i = 0; i < 4; i++) {
		lines_are("", steps[i], "");
		lines_are("\n", steps[i], "<>");
		lines_are("a\nbc\n\nd\n", steps[i], "<a><bc><><d>");
		lines_are("a\nlast", steps[i], "<a><last>");
		lines_are("12345678\n123456789\nx\n", steps[i], "<12345678>[12345678]<x>");
		lines_are("1234567890123456789012345\n1\n\n", steps[i], "[12345678]<1><>");
		lines_are("12345678901234567890", steps[i], "[12345678]");
	}
}

/* ---- output ---- */

static void
output(void)
{
	struct output o = { 0 };
	struct error e;
	char text[70000], got[70001];
	int ends[2];
	ssize_t n;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	if (pipe(ends) == -1)
		fixture_fail("pipe", strerror(errno));
	o.fd = ends[1];
	tap_ok(output_add(&o, (struct str){ text, sizeof(text) }) == 0 && output_flush(&o, &e) == 0,
	    "more than a pipe takes is written without waiting");
	tap_ok(output_pending(&o) > 0 && output_pending(&o) < sizeof(text), "as far as that goes");
	n = read(ends[0], got, 60000);
	tap_ok(n == 60000 && output_flush(&o, &e) == 0 && output_pending(&o) == 0,
	    "and the rest when there is room");
	n += read(ends[0], got + n, sizeof(got) - (size_t)n);
	tap_ok(n == (ssize_t)sizeof(text) && memcmp(got, text, sizeof(text)) == 0, "in order");
	close(ends[0]);
	output_add(&o, str_of("x"));
	tap_ok(output_flush(&o, &e) == -1 && e.kind == ERROR_GONE, "that nobody reads is told");
	close(ends[1]);
	output_free(&o);
}

/* ---- numbers ---- */

static struct str
name(char text[32], int i)
{
	return (struct str){ text, (size_t)snprintf(text, 32, "name %d", i) };
}

static void
numbers(void)
{
	struct numbers *n;
	struct error e;
	char text[32];
	bool forgot, kept = true;
	int forgotten = 0;

	/* Where a name may be is by chance: with so much room there is a place for each. */
	if ((n = numbers_new(20000, &e)) == NULL)
		fixture_fail("numbers_new", e.text);
	for (int i = 0; i < 300; i++) {
		*numbers_of(n, name(text, i), str_of("b"), &forgot) = (uint64_t)i + 1;
		forgotten += forgot;
	}
	for (int i = 0; i < 300; i++)
		kept &= *numbers_of(n, name(text, i), str_of("b"), &forgot) == (uint64_t)i + 1;
	tap_ok(kept && forgotten == 0, "as many as there is room for are kept");
	tap_ok(*numbers_of(n, name(text, 1), str_of("c"), &forgot) == 0 &&
	    *numbers_of(n, str_of("name"), str_of(" 1b"), &forgot) == 0, "a name is both of its parts");
	for (int i = 0; i < 100000; i++) {
		*numbers_of(n, name(text, i), str_of("b"), &forgot) = 1;
		forgotten += forgot;
		kept &= *numbers_of(n, str_of("often"), str_of("asked"), &forgot) == (uint64_t)i;
		*numbers_of(n, str_of("often"), str_of("asked"), &forgot) += 1;
	}
	tap_ok(forgotten > 50000, "of more, others are forgotten, and that is told");
	tap_ok(kept, "but not what was asked for just before");
	numbers_clear(n);
	tap_ok(*numbers_of(n, str_of("often"), str_of("asked"), &forgot) == 0 && !forgot,
	    "all can be forgotten");
	numbers_free(&n);
}

int
main(void)
{
	fixture_begin();
	lines();
	output();
	numbers();
	return tap_done();
}
