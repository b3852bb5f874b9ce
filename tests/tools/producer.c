/*
 * producer - a resending producer over the sink contract, for tests.
 *
 *   producer [OPTION]... unix:PATH
 *   producer [OPTION]... -- COMMAND [ARGUMENT]...
 *
 * Sends numbered records to a sink, on a socket or as its parent, and sends
 * what is not acknowledged again whenever the sink goes away: until all are
 * acknowledged. Ends with status 0 then, and with 4 if the sink broke the
 * contract.
 *
 *   -s SOURCE   the source, and the records' sender (default: p)
 *   -n COUNT    how many records (default: until SIGTERM, which stops
 *               numbering but not resending)
 *   -a FILE     append each number acknowledged; go on behind the last in it
 *   -b BAD      every BAD-th line is no record (default: none)
 *   -r RATE     records a second (default: as fast as it goes)
 *   -w WINDOW   at most so many unacknowledged (default: 500)
 *   -l LONG     every LONG-th record is some 100 kB long (default: none)
 *   -t TIME     (default: 1700000000)
 *
 * Record number N of source S has sender S and time TIME + N.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "ndjson.h"

#define BROKEN 4
#define PIECE 4096          /* written at a time: often less than a line, or more */
#define OUT_MAX 65536

struct producer {
	const char *source;
	int64_t count, bad, longs, window, time;
	double rate;
	int acks;               /* -a FILE */
	const char *path;       /* of the socket, or */
	char **command;
	struct ndjson *reader;

	int in, out;            /* from and to the sink; -1: not connected */
	pid_t child;
	int64_t next;           /* to send now */
	int64_t highest;        /* ever sent */
	int64_t acked, begun;   /* all up to here; at the start */
	int64_t rejected;       /* the last that was */
	bool complained;        /* on this connection an answer was wrong */
	double epoch;           /* when numbering began */
	struct buf lines, answers;
};

static volatile sig_atomic_t stopping;

static void
on_term(int sig)
{
	(void)sig;
	stopping = 1;
}

static _Noreturn void
die(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("producer: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the sink ---- */

static bool
connect_socket(struct producer *p)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(p->path) >= sizeof(a.sun_path))
		die(2, "%s: too long", p->path);
	memcpy(a.sun_path, p->path, strlen(p->path));
	if ((p->in = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		die(1, "socket: %s", strerror(errno));
	if (connect(p->in, (struct sockaddr *)&a, sizeof(a)) == 0 && (p->out = dup(p->in)) != -1)
		return true;
	close(p->in);
	p->in = -1;
	return false;
}

static bool
spawn(struct producer *p)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) == -1 || pipe2(from, O_CLOEXEC) == -1)
		die(1, "pipe: %s", strerror(errno));
	if ((p->child = fork()) == -1)
		die(1, "fork: %s", strerror(errno));
	if (p->child == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		signal(SIGPIPE, SIG_DFL);
		execvp(p->command[0], p->command);
		die(127, "%s: %s", p->command[0], strerror(errno));
	}
	close(to[0]);
	close(from[1]);
	p->in = from[0];
	p->out = to[1];
	return true;
}

/* Connect, and begin again a little before what is not acknowledged: the sink
 * must drop what it has. */
static bool
attach(struct producer *p)
{
	int64_t back = random() % 20;

	if (!(p->command != NULL ? spawn(p) : connect_socket(p)))
		return false;
	fcntl(p->out, F_SETFL, fcntl(p->out, F_GETFL) | O_NONBLOCK);
	p->next = p->acked + 1 > back ? p->acked + 1 - back : 1;
	p->lines.len = p->answers.len = 0;
	return true;
}

static void
detach(struct producer *p)
{
	int status;

	close(p->in);
	close(p->out);
	p->in = p->out = -1;
	if (p->child <= 0)
		return;
	while (waitpid(p->child, &status, 0) == -1 && errno == EINTR)
		;
	p->child = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		die(1, "no sink");
}

/* ---- lines ---- */

static bool
is_bad(const struct producer *p, int64_t seq)
{
	return p->bad > 0 && seq % p->bad == 0;
}

static void
add_line(struct producer *p, int64_t seq)
{
	static const char filler[100 * 1024] = { 0 };
	bool is_long = p->longs > 0 && seq % p->longs == 0;
	struct buf message = { 0 };
	int r = buf_printf(&message, "%s %" PRId64 " \"quoted\"\n", p->source, seq);

	if (is_long)
		r |= buf_add(&message, filler, sizeof(filler) / 6);   /* six bytes each, escaped */
	r |= buf_printf(&p->lines, "{\"source\":\"%s\",\"seq\":%" PRId64 ",\"kind\":\"%s\","
	    "\"watchdog\":\"w%d\",\"level\":%s,\"time\":%" PRId64 ",\"sender\":\"%s\",\"message\":",
	    p->source, seq, seq % 10 == 0 ? "notification" : "log", (int)(seq % 50),
	    is_bad(p, seq) ? "\"high\"" : "30", p->time + seq, p->source);
	r |= ndjson_write_string(&p->lines, (struct str){ message.data, message.len });
	r |= buf_add(&p->lines, "}\n", 2);
	if (r != 0)
		die(1, "out of memory");
	buf_free(&message);
}

/* May number `next` go out now? */
static bool
may_send(const struct producer *p)
{
	if (p->next <= p->highest)
		return true;
	return !stopping && p->next <= p->count && p->next <= p->acked + p->window &&
	    (p->rate <= 0 || (double)(p->next - p->begun) <= (now() - p->epoch) * p->rate);
}

static int
send_lines(struct producer *p)
{
	size_t n;
	ssize_t sent;

	while (p->lines.len < OUT_MAX && may_send(p)) {
		add_line(p, p->next);
		if (p->next > p->highest)
			p->highest = p->next;
		p->next++;
	}
	if (p->lines.len == 0)
		return 0;
	n = 1 + (size_t)random() % PIECE;
	sent = write(p->out, p->lines.data, n < p->lines.len ? n : p->lines.len);
	if (sent == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	buf_consume(&p->lines, (size_t)sent);
	return 0;
}

/* ---- answers ---- */

static void
take_ack(struct producer *p, int64_t seq)
{
	char text[32];
	int n;

	if (seq > p->highest)
		die(BROKEN, "%" PRId64 " is acknowledged, and was not sent", seq);
	if (seq <= p->acked)
		return;   /* sent again, settled before */
	for (int64_t s = p->acked + 1; p->bad > 0 && s <= seq; s++)
		if (is_bad(p, s) && s > p->rejected)
			die(BROKEN, "%" PRId64 " is acknowledged, and was not rejected", s);
	p->acked = seq;
	n = snprintf(text, sizeof(text), "%" PRId64 "\n", seq);
	if (p->acks != -1 && write(p->acks, text, (size_t)n) != n)
		die(1, "the file of acknowledgements: %s", strerror(errno));
}

static void
take_answer(struct producer *p, struct str line)
{
	struct ndjson_answer a;
	struct error e;

	if (ndjson_read_answer(p->reader, line, &a, &e) == -1)
		die(BROKEN, "an answer: %s: %.*s", e.text, STR_ARGS(line));
	if (!str_equal(a.source, str_of(p->source)))
		die(BROKEN, "an answer for another source: %.*s", STR_ARGS(line));
	if (a.type == NDJSON_ACK) {
		take_ack(p, a.seq);
	} else {
		if (!is_bad(p, a.seq))
			die(BROKEN, "a good record is rejected: %.*s", STR_ARGS(line));
		if (a.seq > p->rejected)
			p->rejected = a.seq;
	}
}

static int
read_answers(struct producer *p)
{
	const char *newline;
	ssize_t n;

	if (buf_reserve(&p->answers, PIECE) == -1)
		die(1, "out of memory");
	if ((n = read(p->in, p->answers.data + p->answers.len, PIECE)) <= 0)
		return n == -1 && errno == EINTR ? 0 : -1;
	p->answers.len += (size_t)n;
	while ((newline = memchr(p->answers.data, '\n', p->answers.len)) != NULL) {
		size_t len = (size_t)(newline - p->answers.data);
		take_answer(p, (struct str){ p->answers.data, len });
		buf_consume(&p->answers, len + 1);
	}
	return 0;
}

/* ---- the run ---- */

static bool
is_done(const struct producer *p)
{
	return p->acked >= p->count || (stopping && p->acked >= p->highest);
}

static void
run(struct producer *p)
{
	while (!is_done(p)) {
		struct pollfd fds[2];
		bool more;

		if (p->in == -1 && !attach(p)) {
			poll(NULL, 0, 5);   /* nobody listens yet */
			continue;
		}
		more = p->lines.len > 0 || may_send(p);
		fds[0] = (struct pollfd){ .fd = p->in, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = p->out, .events = more ? POLLOUT : 0 };
		if (poll(fds, 2, p->rate > 0 ? 1 : -1) == -1 && errno != EINTR)
			die(1, "poll: %s", strerror(errno));
		if (fds[0].revents != 0 && read_answers(p) == -1)
			detach(p);
		else if (fds[1].revents != 0 && send_lines(p) == -1)
			detach(p);
	}
	if (p->in != -1)
		detach(p);
}

/* The last number in the file: what went before it need not be sent again. */
static void
open_acks(struct producer *p, const char *path)
{
	char line[64];
	FILE *f = fopen(path, "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strchr(line, '\n') != NULL)
			p->acked = strtoll(line, NULL, 10);
	if (f != NULL)
		fclose(f);
	if ((p->acks = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) == -1)
		die(1, "%s: %s", path, strerror(errno));
}

static void
parse(struct producer *p, int argc, char **argv)
{
	int key;

	while ((key = getopt(argc, argv, "+s:n:a:b:r:w:l:t:")) != -1) {
		switch (key) {
		case 's': p->source = optarg; break;
		case 'n': p->count = strtoll(optarg, NULL, 10); break;
		case 'a': open_acks(p, optarg); break;
		case 'b': p->bad = strtoll(optarg, NULL, 10); break;
		case 'r': p->rate = strtod(optarg, NULL); break;
		case 'w': p->window = strtoll(optarg, NULL, 10); break;
		case 'l': p->longs = strtoll(optarg, NULL, 10); break;
		case 't': p->time = strtoll(optarg, NULL, 10); break;
		default: exit(2);
		}
	}
	if (optind == argc)
		die(2, "where to?");
	if (strncmp(argv[optind], "unix:", 5) == 0)
		p->path = argv[optind] + 5;
	else
		p->command = argv + optind;
}

int
main(int argc, char **argv)
{
	struct ndjson_defaults defaults = { .kind = RECORD_LOG, .watchdog = str_of("local") };
	struct sigaction term = { .sa_handler = on_term };
	struct producer p = { .source = "p", .count = INT64_MAX / 2, .window = 500,
	    .time = 1700000000, .acks = -1, .in = -1, .out = -1 };
	struct error e;

	parse(&p, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &term, NULL);
	srandom((unsigned)getpid());
	if ((p.reader = ndjson_new(&defaults, &e)) == NULL)
		die(1, "%s", e.text);
	p.highest = p.begun = p.rejected = p.acked;
	p.epoch = now();
	run(&p);
	ndjson_free(&p.reader);
	buf_free(&p.lines);
	buf_free(&p.answers);
	return 0;
}
