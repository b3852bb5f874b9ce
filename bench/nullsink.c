/*
 * nullsink - a sink that keeps nothing: acknowledges every line as soon as it has read it.
 *
 *   nullsink
 *
 * Lines begin with {"source":"S","seq":N. After each read the last number of S is
 * acknowledged, wherever S changes, and at the end of what was read.
 */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"

static const char head[] = "{\"source\":\"", seq[] = "\",\"seq\":";

struct number {
	struct str source, digits;
};

static struct number
number_of(const char *line, const char *end)
{
	struct number n;
	const char *p = line + sizeof(head) - 1, *quote;

	if (end - line < 40 || memcmp(line, head, sizeof(head) - 1) != 0 ||
	    (quote = memchr(p, '"', (size_t)(end - p))) == NULL ||
	    memcmp(quote, seq, sizeof(seq) - 1) != 0)
		errx(1, "a line that is not numbered in front");
	n.source = (struct str){ p, (size_t)(quote - p) };
	p = quote + sizeof(seq) - 1;
	n.digits = (struct str){ p, strspn(p, "0123456789") };
	return n;
}

static void
acknowledge(const struct number *n, struct buf *answers)
{
	if (buf_printf(answers, "{\"ack\":{\"source\":\"%.*s\",\"seq\":%.*s}}\n", STR_ARGS(n->source),
	    STR_ARGS(n->digits)) == -1)
		errx(1, "out of memory");
}

/* The lines that are whole; how many bytes these are. */
static size_t
take(const char *data, size_t len, struct buf *answers)
{
	const char *p = data, *end = data + len, *newline;
	struct number last = { { NULL, 0 }, { NULL, 0 } }, n;

	for (; (newline = memchr(p, '\n', (size_t)(end - p))) != NULL; p = newline + 1) {
		n = number_of(p, newline);
		if (last.source.data != NULL && !str_equal(n.source, last.source))
			acknowledge(&last, answers);
		last = n;
	}
	if (last.source.data != NULL)
		acknowledge(&last, answers);
	return (size_t)(p - data);
}

int
main(void)
{
	struct buf in = { 0 }, answers = { 0 };
	ssize_t n;

	for (;;) {
		if (buf_reserve(&in, 1 << 18) == -1)
			errx(1, "out of memory");
		while ((n = read(STDIN_FILENO, in.data + in.len, 1 << 18)) == -1 && errno == EINTR)
			;
		if (n <= 0)
			return n == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		in.len += (size_t)n;
		buf_consume(&in, take(in.data, in.len, &answers));
		for (size_t at = 0; at < answers.len; at += (size_t)n)
			if ((n = write(STDOUT_FILENO, answers.data + at, answers.len - at)) == -1)
				err(1, "standard output");
		answers.len = 0;
	}
}
