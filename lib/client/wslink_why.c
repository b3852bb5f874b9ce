#include "client/wslink_why.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_MS 1000

/* RFC 6455, section 7.4.1. */
enum { NO_CODE = 1005, NOT_UTF8 = 1007, TOO_BIG = 1009 };

/* Text from elsewhere: nothing in it may act on a terminal. */
static void
disarm(char *to, size_t size, struct str from)
{
	size_t n = from.len < size - 1 ? from.len : size - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = from.data[i] >= ' ' && from.data[i] < 0x7f ? from.data[i] : '?';
	to[n] = '\0';
}

/* libwebsockets does not say why it could not connect: what does this address say? */
static int
probe(const struct addrinfo *a)
{
	struct pollfd fd = { .fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    .events = POLLOUT };
	socklen_t len = sizeof(int);
	int error = 0;

	if (fd.fd == -1)
		return errno;
	if (connect(fd.fd, a->ai_addr, a->ai_addrlen) == -1)
		error = errno;
	if (error == EINPROGRESS && (poll(&fd, 1, PROBE_MS) != 1 ||
	    getsockopt(fd.fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1))
		error = ETIMEDOUT;
	close(fd.fd);
	return error;
}

static void
not_connected(const char *name, const struct addrinfo *a, struct error *e)
{
	int error = 0;

	for (; a != NULL; a = a->ai_next)
		error = probe(a);
	error_set(e, ERROR_BUSY, "%s: %s", name, error != 0 ? strerror(error) : "cannot connect");
}

static void
not_upgraded(const char *name, int status, struct error *e)
{
	enum error_kind kind = status == 401 || status == 403 ? ERROR_DENIED :
	    status == 408 || status == 429 || status >= 500 ? ERROR_BUSY : ERROR_INVALID;

	error_set(e, kind, "%s: no WebSocket there: HTTP status %d", name, status);
}

void
wslink_why_failed(const char *name, const struct wslink_failure *f, struct error *e)
{
	char said[160];

	disarm(said, sizeof(said), f->said);
	if (f->certificate != NULL) {
		error_set(e, ERROR_DENIED, "%s: the server's certificate is not accepted: %s", name,
		    f->certificate);
	} else if (f->status != 0 && f->status != 101) {
		not_upgraded(name, f->status, e);
	} else if (*said == '\0' || strcmp(said, "Unable to connect") == 0) {
		not_connected(name, f->addresses, e);
	} else if (strncmp(said, "connect SSL err", 15) == 0) {
		/* The library does not pass on whether the other end speaks something else or was gone in
		 * the midst of it, as one that is full, or a proxy with nobody behind it, soon is. */
		error_set(e, ERROR_BUSY, "%s: the TLS handshake was broken off, or there is no TLS", name);
	} else {
		error_set(e, ERROR_BUSY, "%s: the handshake failed: %s", name, said);
	}
}

void
wslink_why_closed(const char *name, const unsigned char *frame, size_t len, struct error *e)
{
	char reason[124] = "";
	int code = len >= 2 ? frame[0] << 8 | frame[1] : NO_CODE;
	/* It would not take the same message another time, either. */
	enum error_kind kind = code == TOO_BIG || code == NOT_UTF8 ? ERROR_INVALID : ERROR_BUSY;

	if (len > 2)
		disarm(reason, sizeof(reason), (struct str){ (const char *)frame + 2, len - 2 });
	if (*reason == '\0' && code == TOO_BIG)
		snprintf(reason, sizeof(reason), "message too big");
	error_set(e, kind, "%s: closed by the server (%d%s%s)", name, code,
	    *reason != '\0' ? ": " : "", reason);
}
