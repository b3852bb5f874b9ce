/*
 * zmqbare - what bare ZeroMQ does, as a yardstick:
 *
 *   zmqbare push ENDPOINT FILE     the lines of FILE, joined a hundred a message
 *   zmqbare pull ENDPOINT LINES    takes that many, prints the seconds from the first message on
 *   zmqbare echo ENDPOINT          ROUTER: gives every message back, until it is killed
 *   zmqbare ask ENDPOINT SECONDS IN-FLIGHT REQUEST
 *                                  DEALER: that request, so many at a time; prints answers/s
 *
 * The first of a pair that binds is pull, or echo; port 0 is not for it.
 */
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define LINES 100

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
check(bool ok, const char *what)
{
	if (!ok)
		errx(1, "%s: %s", what, zmq_strerror(zmq_errno()));
}

static void *
open_socket(void *context, int type, const char *endpoint, bool bind)
{
	void *s = zmq_socket(context, type);

	check(s != NULL, "zmq_socket");
	check((bind ? zmq_bind(s, endpoint) : zmq_connect(s, endpoint)) == 0, endpoint);
	return s;
}

/* The bytes of a file; `*end` is behind them. */
static const char *
map(const char *path, const char **end)
{
	int fd = open(path, O_RDONLY);
	const char *data;
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1 ||
	    (data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0)) ==
	    MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	*end = data + st.st_size;
	return data;
}

static void
push(void *socket, const char *path)
{
	const char *end, *p = map(path, &end), *from = p, *newline;
	int n = 0;

	for (; (newline = memchr(p, '\n', (size_t)(end - p))) != NULL; p = newline + 1) {
		if (++n < LINES && newline + 1 < end)
			continue;
		check(zmq_send(socket, from, (size_t)(newline + 1 - from), 0) != -1, "zmq_send");
		from = newline + 1;
		n = 0;
	}
}

static long
count_lines(const char *p, size_t len)
{
	const char *end = p + len;
	long n = 0;

	for (; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		n++;
	return n;
}

static void
pull(void *socket, long lines)
{
	double begun = 0;
	zmq_msg_t m;

	while (lines > 0) {
		check(zmq_msg_init(&m) == 0 && zmq_msg_recv(&m, socket, 0) != -1, "zmq_msg_recv");
		if (begun == 0)
			begun = now();
		lines -= count_lines(zmq_msg_data(&m), zmq_msg_size(&m));
		zmq_msg_close(&m);
	}
	printf("%.6f\n", now() - begun);
}

static _Noreturn void
echo(void *socket)
{
	zmq_msg_t m;

	for (;;) {
		check(zmq_msg_init(&m) == 0 && zmq_msg_recv(&m, socket, 0) != -1, "zmq_msg_recv");
		check(zmq_msg_send(&m, socket, zmq_msg_more(&m) ? ZMQ_SNDMORE : 0) != -1, "zmq_msg_send");
	}
}

static void
ask(void *socket, double seconds, int in_flight, const char *request)
{
	const size_t len = strlen(request);
	const double begun = now();
	unsigned long answers = 0;
	zmq_msg_t m;

	for (int i = 0; i < in_flight; i++)
		check(zmq_send(socket, request, len, 0) != -1, "zmq_send");
	while (now() - begun < seconds) {
		check(zmq_msg_init(&m) == 0 && zmq_msg_recv(&m, socket, 0) != -1, "zmq_msg_recv");
		if (memmem(zmq_msg_data(&m), zmq_msg_size(&m), "\"success\":false", 15) != NULL)
			errx(1, "%.*s", (int)zmq_msg_size(&m), (char *)zmq_msg_data(&m));
		zmq_msg_close(&m);
		check(zmq_send(socket, request, len, 0) != -1, "zmq_send");
		answers++;
	}
	printf("%.0f\n", (double)answers / (now() - begun));
}

int
main(int argc, char **argv)
{
	void *context = zmq_ctx_new();
	int linger = 0;
	void *s;

	if (argc == 4 && strcmp(argv[1], "push") == 0) {
		s = open_socket(context, ZMQ_PUSH, argv[2], false);
		push(s, argv[3]);
	} else if (argc == 4 && strcmp(argv[1], "pull") == 0) {
		s = open_socket(context, ZMQ_PULL, argv[2], true);
		pull(s, strtol(argv[3], NULL, 10));
	} else if (argc == 3 && strcmp(argv[1], "echo") == 0) {
		echo(open_socket(context, ZMQ_ROUTER, argv[2], true));
	} else if (argc == 6 && strcmp(argv[1], "ask") == 0) {
		s = open_socket(context, ZMQ_DEALER, argv[2], false);
		ask(s, strtod(argv[3], NULL), atoi(argv[4]), argv[5]);
		zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof(linger));
	} else {
		errx(2, "push, pull, echo or ask: see its source");
	}
	zmq_close(s);
	zmq_ctx_term(context);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
