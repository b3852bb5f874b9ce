/*
 * zmqlag - how long records are on their way through a pipe that begins and ends here:
 *
 *   ... | zmqlag RATE SECONDS RESULT | ...
 *
 * Writes RATE records a second to standard output, evenly, and reads them back from standard
 * input. Each says when it was written. When all have come back, or nothing comes for a second
 * after the last, "P50 P99 MAX LOST" goes to the file RESULT (seconds; records). The first half a second
 * does not count: it is there until everybody is connected.
 */
#include <err.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "percentile.h"

#define WARM_UP 0.5
#define PATIENCE 1.0

struct lag {
	double rate, begun, end;
	long written, counted, read;    /* records; of these, those that count */
	struct buf out, in;
	struct latencies latencies;
};

static void
add_record(struct lag *l, double now)
{
	if (buf_printf(&l->out, "{\"kind\":\"log\",\"watchdog\":\"w%ld\",\"level\":30,\"time\":%.9f,\"sender\":"
	    "\"Thermometer\",\"message\":\"The temperature in the living room is 21.5 degrees and rising "
	    "slowly, window closed\"}\n", l->written % 1000, now) == -1)
		errx(1, "out of memory");
	l->written++;
	l->counted += now - l->begun >= WARM_UP;
}

/* Write those that are due. */
static void
write_due(struct lag *l, double now)
{
	ssize_t n;

	while (now < l->end && (double)l->written < (now - l->begun) * l->rate)
		add_record(l, now);
	if (l->out.len == 0)
		return;
	if ((n = write(STDOUT_FILENO, l->out.data, l->out.len)) == -1)
		err(1, "standard output");
	buf_consume(&l->out, (size_t)n);
}

static void
take_line(struct lag *l, const char *line, double now)
{
	const char *time = strstr(line, "\"time\":");
	double written = time != NULL ? strtod(time + 7, NULL) : NAN;

	if (isnan(written))
		errx(1, "what came back is none of ours: %s", line);
	if (written - l->begun < WARM_UP)
		return;
	l->read++;
	latencies_add(&l->latencies, now - written);
}

static void
read_back(struct lag *l)
{
	char *newline;
	ssize_t n;

	if (buf_reserve(&l->in, 65536) == -1)
		errx(1, "out of memory");
	if ((n = read(STDIN_FILENO, l->in.data + l->in.len, 65536)) <= 0)
		errx(1, "nothing comes back any more");
	l->in.len += (size_t)n;
	while ((newline = memchr(l->in.data, '\n', l->in.len)) != NULL) {
		*newline = '\0';
		take_line(l, l->in.data, monotonic());
		buf_consume(&l->in, (size_t)(newline + 1 - l->in.data));
	}
}

static void
run(struct lag *l)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	double now = monotonic(), heard = now;

	while (now < l->end || (l->read < l->counted && now - heard < PATIENCE)) {
		write_due(l, now);
		if (poll(&in, 1, now < l->end ? 1 : 100) == 1) {
			read_back(l);
			heard = now;
		}
		now = monotonic();
	}
}

int
main(int argc, char **argv)
{
	struct lag l = { .begun = monotonic() };
	FILE *result;

	if (argc != 4)
		errx(2, "usage: zmqlag RATE SECONDS RESULT");
	l.rate = strtod(argv[1], NULL);
	l.end = l.begun + strtod(argv[2], NULL);
	run(&l);
	if ((result = fopen(argv[3], "w")) == NULL)
		err(1, "%s", argv[3]);
	fprintf(result, "%.6f %.6f %.6f %ld\n", latencies_at(&l.latencies, 0.5),
	    latencies_at(&l.latencies, 0.99), latencies_at(&l.latencies, 1), l.counted - l.read);
	return fclose(result) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
