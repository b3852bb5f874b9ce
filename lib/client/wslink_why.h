/*
 * wslink_why.h - why there is no connection (any more), for a person to read. Part of wslink.c.
 *
 * Each fills `e`: a kind, as wslink.h says, and a text that begins with `name`.
 */
#ifndef MONITOR_CLIENT_WSLINK_WHY_H
#define MONITOR_CLIENT_WSLINK_WHY_H

#include <netdb.h>

#include "error.h"
#include "str.h"

/* What is known of an attempt that failed. */
struct wslink_failure {
	const char *certificate;          /* what is wrong with the server's; or NULL */
	int status;                       /* of HTTP; 0: it did not come so far */
	struct str said;                  /* by libwebsockets; or empty */
	const struct addrinfo *addresses; /* that were tried */
};

void wslink_why_failed(const char *name, const struct wslink_failure *f, struct error *e);

/* The server closed it, with this in its frame: a code, and a reason. */
void wslink_why_closed(const char *name, const unsigned char *frame, size_t len, struct error *e);

#endif
