/*
 * answer - an HTTP server of few words, for tests of who asks one.
 *
 *   answer FILE
 *
 * Listens on 127.0.0.1 and prints the port. Each request's first line is printed,
 * and answered with the bytes that FILE holds at that moment, all of a response,
 * headers and body; then the connection is closed. No FILE: it is closed without
 * a word. A FILE that begins with "HOLD": it is held open, without a word, until the
 * other side goes, which is printed ("gone").
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "answer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
listening(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&a, len) == -1 || listen(fd, 64) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) == -1)
		die("listen");
	printf("%d\n", ntohs(a.sin_port));
	return fd;
}

/* Read until the empty line; print the first. */
static void
take_request(int fd)
{
	char request[8192];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(request) - 1 &&
	    (n = read(fd, request + len, sizeof(request) - 1 - len)) > 0) {
		request[len += (size_t)n] = '\0';
		if (strstr(request, "\r\n\r\n") != NULL)
			break;
	}
	request[len] = '\0';
	printf("%.*s\n", (int)strcspn(request, "\r\n"), request);
}

static void
give(int fd, const char *path)
{
	char piece[65536];
	int file = open(path, O_RDONLY);
	ssize_t n, at, done;

	if (file == -1)
		return;
	n = read(file, piece, sizeof(piece));
	if (n >= 4 && memcmp(piece, "HOLD", 4) == 0) {
		while (read(fd, piece, sizeof(piece)) > 0)
			;
		puts("gone");
		n = 0;
	}
	for (; n > 0; n = read(file, piece, sizeof(piece)))
		for (at = 0; at < n; at += done)
			if ((done = write(fd, piece + at, (size_t)(n - at))) == -1) {
				close(file);
				return;
			}
	close(file);
}

int
main(int argc, char **argv)
{
	int listener, fd;

	if (argc != 2) {
		fprintf(stderr, "usage: answer FILE\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	listener = listening();
	for (;;) {
		if ((fd = accept(listener, NULL, NULL)) == -1)
			die("accept");
		take_request(fd);
		give(fd, argv[1]);
		close(fd);
	}
}
