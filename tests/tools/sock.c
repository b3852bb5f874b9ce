/*
 * sock - unix sockets for the shell, for tests.
 *
 *   sock dial PATH             standard input to the socket, the socket to
 *                              standard output; ends when the other side does
 *   sock deaf PATH             the same, but reads no answers; ends when the
 *                              other side takes no more, or with its input
 *   sock hold PATH COUNT       so many connections, idle, until standard input ends
 *   sock activate PATH COMMAND...  run it as a service manager does, with a
 *                              listening socket passed
 *   sock notified PATH         print what a service tells a service manager
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "sock: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_un
address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	memcpy(a.sun_path, path, strlen(path));
	return a;
}

static int
dial(const char *path)
{
	struct sockaddr_un a = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd == -1 || connect(fd, (struct sockaddr *)&a, sizeof(a)) == -1)
		die(path);
	return fd;
}

static int
bound(const char *path, int type)
{
	struct sockaddr_un a = address(path);
	int fd = socket(AF_UNIX, type, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1)
		die(path);
	return fd;
}

/* Copy a piece: 1, 0 at the end, -1 if it cannot be written. */
static int
copy(int from, int to)
{
	char piece[65536];
	ssize_t n = read(from, piece, sizeof(piece)), done, at;

	if (n <= 0)
		return 0;
	for (at = 0; at < n; at += done)
		if ((done = write(to, piece + at, (size_t)(n - at))) == -1)
			return -1;
	return 1;
}

static int
cmd_dial(char **argv)
{
	int fd = dial(argv[0]);
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, 2, -1) == -1)
			die("poll");
		if (fds[1].revents != 0 && copy(fd, STDOUT_FILENO) <= 0)
			return 0;
		if (fds[0].revents != 0 && copy(STDIN_FILENO, fd) <= 0) {
			shutdown(fd, SHUT_WR);
			fds[0].fd = -1;
		}
	}
}

static int
cmd_deaf(char **argv)
{
	int fd = dial(argv[0]);

	while (copy(STDIN_FILENO, fd) == 1)
		;
	return 0;
}

static int
cmd_hold(char **argv)
{
	char piece[512];

	for (long n = strtol(argv[1], NULL, 10); n > 0; n--)
		dial(argv[0]);
	puts("held");
	fflush(stdout);
	while (read(STDIN_FILENO, piece, sizeof(piece)) > 0)
		;
	return 0;
}

static int
cmd_activate(char **argv)
{
	int fd = bound(argv[0], SOCK_STREAM);
	char pid[32];

	if (listen(fd, 16) == -1)
		die("listen");
	if (fd != 3) {
		if (dup2(fd, 3) == -1)
			die("dup2");
		close(fd);
	}
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	execvp(argv[1], argv + 1);
	die(argv[1]);
}

static int
cmd_notified(char **argv)
{
	int fd = bound(argv[0], SOCK_DGRAM);
	char text[4096];
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text) - 1, 0)) >= 0) {
		printf("%.*s\n", (int)n, text);
		fflush(stdout);
	}
	die("recv");
}

static const struct verb {
	const char *name;
	int arguments;
	int (*run)(char **argv);
} verbs[] = {
	{ "dial", 1, cmd_dial },
	{ "deaf", 1, cmd_deaf },
	{ "hold", 2, cmd_hold },
	{ "activate", 2, cmd_activate },
	{ "notified", 1, cmd_notified },
};

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0 && argc >= 2 + verbs[i].arguments)
			/* At once: a test's end may kill it at any moment, and a leak
			 * checker at work then would take that for a failure. */
			_exit(verbs[i].run(argv + 2));
	fprintf(stderr, "usage: sock dial|deaf|hold|activate|notified PATH ...\n");
	return 2;
}
