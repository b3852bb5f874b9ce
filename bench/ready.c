/*
 * ready - how long a daemon takes to start:
 *
 *   ready COMMAND [ARG]...
 *
 * runs COMMAND, which says "listening on HOST:PORT" on standard error, asks /readyz there until that
 * answers 200, and prints "LISTENING READY", the seconds until then. Then ends it with
 * SIGTERM, and exits with its status.
 */
#include <err.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"
#include "percentile.h"

#define PATIENCE 60.0          /* seconds */
#define LISTENING "listening on "

static pid_t
start(char **command, FILE **messages)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds) == -1)
		err(1, "pipe");
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		/* Should this fail, it goes with us. */
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) == -1 || dup2(fds[1], STDERR_FILENO) == -1)
			err(126, "dup2");
		close(fds[0]);
		close(fds[1]);
		execvp(command[0], command);
		err(127, "%s", command[0]);
	}
	close(fds[1]);
	if ((*messages = fdopen(fds[0], "r")) == NULL)
		err(1, NULL);
	return pid;
}

/* The URL of what it says it listens on. */
static void
wait_listening(FILE *messages, char *url, size_t size)
{
	char line[1024], *at;

	while (fgets(line, sizeof(line), messages) != NULL) {
		if ((at = strstr(line, LISTENING)) == NULL) {
			fputs(line, stderr);
			continue;
		}
		at += strlen(LISTENING);
		snprintf(url, size, "ws://%.*s", (int)strcspn(at, " \t\n"), at);
		return;
	}
	errx(1, "it ended before it listened");
}

/* Ask once; true if the answer is 200. */
static bool
is_ready(const struct target *t)
{
	static const char request[] = "GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
	static const char yes[] = "HTTP/1.1 200";
	struct peer_settings raw = { .raw = true };
	enum peer_event_type type = PEER_NOTHING;
	struct peer_event event;
	struct error e = { .text = "out of memory" };
	struct peer *p;
	bool ready;

	if ((p = peer_new(t, &raw, &e)) == NULL || peer_send_bytes(p, str_of(request)) == -1)
		errx(1, "%s", e.text);
	while (type == PEER_NOTHING) {
		struct pollfd fd = { .fd = peer_fd(p), .events = peer_events(p, true) };

		if (poll(&fd, 1, (int)(PATIENCE * 1000)) != 1)
			errx(1, "/readyz does not answer");
		peer_flush(p, SIZE_MAX);
		peer_receive(p, 4096);
		type = peer_next(p, &event, &e);
	}
	ready = type == PEER_BYTES && event.data.len >= sizeof(yes) - 1 &&
	    memcmp(event.data.data, yes, sizeof(yes) - 1) == 0;
	peer_free(&p);
	return ready;
}

int
main(int argc, char **argv)
{
	double begun = monotonic(), listening;
	struct target_settings where = { 0 };
	struct target *target;
	char url[256];
	FILE *messages;
	struct error e;
	int status;
	pid_t pid;

	if (argc < 2)
		errx(2, "usage: ready COMMAND [ARG]...");
	signal(SIGPIPE, SIG_IGN);
	pid = start(argv + 1, &messages);
	wait_listening(messages, url, sizeof(url));
	listening = monotonic() - begun;
	where.url = url;
	if ((target = target_new(&where, &e)) == NULL)
		errx(1, "%s", e.text);
	while (!is_ready(target)) {
		if (monotonic() - begun > PATIENCE)
			errx(1, "not ready after %.0f s", PATIENCE);
		poll(NULL, 0, 1);
	}
	printf("%.6f %.6f\n", listening, monotonic() - begun);
	if (kill(pid, SIGTERM) == -1 || waitpid(pid, &status, 0) == -1)
		err(1, "%s", argv[1]);
	target_free(&target);
	fclose(messages);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
