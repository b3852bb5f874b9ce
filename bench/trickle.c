/*
 * trickle - producers on an ingester's socket, each of which offers the next
 * records only when the last ones have been acknowledged:
 *
 *   trickle [OPTION]... SOCKET SECONDS
 *   trickle [OPTION]... SOCKET -- COMMAND [ARG]...
 *
 * with -p PRODUCERS (1) connections, -b RECORDS (1) at a time, -r TIMES a
 * second each (as often as they are acknowledged), for SECONDS or as long as
 * COMMAND runs; -w FILE is watched. Prints "ACKS-A-SECOND P50 P99 MAX WATCHED SECONDS":
 * latencies in seconds from offer to acknowledgement; the largest size that
 * the FILE (a write-ahead log) had meanwhile; how long it all ran. The first round
 * of each producer is not counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "ndjson.h"
#include "percentile.h"

struct producer {
	char source[32];
	int64_t seq;           /* of the last record offered */
	double offered;        /* when; 0: all is acknowledged */
	double due;            /* when to offer the next */
	bool warm;             /* the first round is over */
	struct buf in;
};

struct trickle {
	int count, records;
	double interval;       /* from offer to offer of a producer, at least */
	const char *watch;
	off_t watched;
	struct pollfd *fds;
	struct producer *producers;
	struct ndjson *reader;
	struct buf lines;
	struct latencies took;
};

static void
connect_to(struct trickle *t, const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(to.sun_path))
		errx(2, "%s: too long for a socket's path", path);
	strcpy(to.sun_path, path);
	for (int i = 0; i < t->count; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd == -1 || connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1)
			err(1, "%s", path);
		t->fds[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
		snprintf(t->producers[i].source, sizeof(t->producers[i].source), "%d-%d",
		    (int)getpid(), i);
	}
}

static void
offer(struct trickle *t, int i)
{
	struct producer *p = &t->producers[i];
	struct timespec now;
	size_t done = 0;
	ssize_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	t->lines.len = 0;
	for (int r = 0; r < t->records; r++)
		if (buf_printf(&t->lines, "{\"watchdog\":\"%016d\",\"level\":30,\"time\":%jd.%06ld,"
		    "\"sender\":\"bench\",\"message\":\"One record of a trickle, as long as such messages"
		    " are on average in the field, give or take a word or two\","
		    "\"source\":\"%s\",\"seq\":%jd}\n", i, (intmax_t)now.tv_sec, now.tv_nsec / 1000,
		    p->source, (intmax_t)++p->seq) == -1)
			err(1, NULL);
	p->offered = monotonic();
	for (; done < t->lines.len; done += (size_t)n)
		if ((n = write(t->fds[i].fd, t->lines.data + done, t->lines.len - done)) == -1)
			err(1, "socket");
}

/* Take what came; true once the last record is acknowledged. */
static bool
acknowledged(struct trickle *t, int i)
{
	struct producer *p = &t->producers[i];
	struct ndjson_answer answer;
	bool all = false;
	struct error e;
	const char *end;
	ssize_t n;

	if (buf_reserve(&p->in, 4096) == -1)
		err(1, NULL);
	if ((n = read(t->fds[i].fd, p->in.data + p->in.len, 4096)) <= 0)
		errx(1, "the ingester closed the connection");
	p->in.len += (size_t)n;
	while ((end = memchr(p->in.data, '\n', p->in.len)) != NULL) {
		size_t len = (size_t)(end - p->in.data);

		if (ndjson_read_answer(t->reader, (struct str){ p->in.data, len }, &answer, &e) == -1)
			errx(1, "answer: %s", e.text);
		if (answer.type != NDJSON_ACK)
			errx(1, "refused: %.*s", STR_ARGS(answer.reason));
		all = answer.seq >= p->seq;
		buf_consume(&p->in, len + 1);
	}
	return all;
}

static void
watch(struct trickle *t)
{
	struct stat st;

	if (t->watch != NULL && stat(t->watch, &st) == 0 && st.st_size > t->watched)
		t->watched = st.st_size;
}

/* What came for producer `i`. */
static void
take(struct trickle *t, int i)
{
	struct producer *p = &t->producers[i];

	if (!acknowledged(t, i))
		return;
	if (p->warm)
		latencies_add(&t->took, monotonic() - p->offered);
	p->warm = true;
	p->due = p->offered + t->interval;
	p->offered = 0;
}

/* Offer the next of those who are due; when the one after them will be. */
static double
offer_due(struct trickle *t)
{
	double now = monotonic(), next = now + 0.1;

	for (int i = 0; i < t->count; i++) {
		struct producer *p = &t->producers[i];

		if (p->offered != 0)
			continue;
		if (p->due <= now)
			offer(t, i);
		else if (p->due < next)
			next = p->due;
	}
	return next;
}

/* Offer what is due, if there is `more`, and wait for what comes. The number
 * of producers that still wait for an acknowledgement. */
static int
turn(struct trickle *t, bool more)
{
	double now, wait, next = more ? offer_due(t) : monotonic() + 0.1;
	struct timespec ts;
	int waiting = 0, n;

	now = monotonic();
	wait = next > now ? next - now : 0;
	if (t->watch != NULL && wait > 0.001)
		wait = 0.001;
	ts = (struct timespec){ .tv_nsec = (long)(wait * 1e9) };
	n = ppoll(t->fds, (nfds_t)t->count, &ts, NULL);
	if (n == -1 && errno != EINTR)
		err(1, "poll");
	watch(t);
	for (int i = 0; n > 0 && i < t->count; i++) {
		if (t->fds[i].revents == 0)
			continue;
		n--;
		take(t, i);
	}
	for (int i = 0; i < t->count; i++) {
		waiting += t->producers[i].offered != 0;
		if (t->producers[i].offered != 0 && monotonic() - t->producers[i].offered > 60)
			errx(1, "no acknowledgement in 60 s");
	}
	return waiting;
}

static pid_t
start_command(char **command)
{
	pid_t pid = fork();

	if (pid == -1)
		err(1, "fork");
	if (pid == 0) {
		if (dup2(STDERR_FILENO, STDOUT_FILENO) == -1)
			err(126, "dup2");
		execvp(command[0], command);
		err(127, "%s", command[0]);
	}
	return pid;
}

/* Run until the time is over, or the command; its status. */
static int
run(struct trickle *t, double seconds, char **command)
{
	int status = 0, warm = 0;
	pid_t pid = 0;
	double start;

	/* They don't all come at once, unless they are to come as often as they can. */
	for (int i = 0; i < t->count; i++)
		t->producers[i].due = monotonic() + t->interval * i / t->count;
	while (warm < t->count) {
		turn(t, true);
		for (warm = 0; warm < t->count && t->producers[warm].warm; warm++)
			continue;
	}
	t->took.count = 0;
	start = monotonic();
	if (command != NULL)
		pid = start_command(command);
	while (command == NULL ? monotonic() - start < seconds : waitpid(pid, &status, WNOHANG) == 0)
		turn(t, true);
	seconds = monotonic() - start;
	while (turn(t, false) > 0)
		continue;
	printf("%.1f ", (double)t->took.count / seconds);
	printf("%.6f ", latencies_at(&t->took, 0.5));
	printf("%.6f %.6f %jd %.6f\n", latencies_at(&t->took, 0.99), latencies_at(&t->took, 1),
	    (intmax_t)t->watched, seconds);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int
main(int argc, char **argv)
{
	const struct ndjson_defaults defaults = { .kind = RECORD_LOG, .watchdog = str_of("local") };
	struct trickle t = { .count = 1, .records = 1 };
	char **command = NULL;
	double seconds = 0;
	int option, status;
	struct error e;

	while ((option = getopt(argc, argv, "+p:b:r:w:")) != -1) {
		switch (option) {
		case 'p': t.count = atoi(optarg); break;
		case 'b': t.records = atoi(optarg); break;
		case 'r': t.interval = 1 / atof(optarg); break;
		case 'w': t.watch = optarg; break;
		default: return 2;
		}
	}
	if (argc - optind >= 3 && strcmp(argv[optind + 1], "--") == 0)
		command = argv + optind + 2;
	else if (argc - optind == 2)
		seconds = atof(argv[optind + 1]);
	if (t.count < 1 || t.records < 1 || (command == NULL && seconds <= 0))
		errx(2, "usage: trickle [OPTION]... SOCKET SECONDS|-- COMMAND...");
	t.fds = calloc((size_t)t.count, sizeof(*t.fds));
	t.producers = calloc((size_t)t.count, sizeof(*t.producers));
	if (t.fds == NULL || t.producers == NULL)
		err(1, NULL);
	if ((t.reader = ndjson_new(&defaults, &e)) == NULL)
		errx(1, "%s", e.text);
	connect_to(&t, argv[optind]);
	status = run(&t, seconds, command);
	for (int i = 0; i < t.count; i++) {
		close(t.fds[i].fd);
		buf_free(&t.producers[i].in);
	}
	ndjson_free(&t.reader);
	buf_free(&t.lines);
	free(t.took.seconds);
	free(t.fds);
	free(t.producers);
	return status;
}
