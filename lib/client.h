/*
 * client.h - a WebSocket client of the daemon: connects, shows its token, sends and
 * receives messages. The connection itself is client/wslink.h's.
 *
 * Blocking, for one thread; the connection is looked after by a thread of its own,
 * which sends keepalives and answers pings while the caller is busy elsewhere.
 */
#ifndef MONITOR_CLIENT_H
#define MONITOR_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "str.h"

struct client_settings {
	const char *url;         /* ws://HOST[:PORT][/PATH], wss://...; port 9000 and path /ws where
	                          * there are none */
	const char *token_file;  /* the token, as JSON (a signed one) or bare; NULL: none. It is read
	                          * again for each connection */
	const char *token;       /* or the token itself (from the environment) */
	const char *ca;          /* PEM file that vouches for the server; NULL: the system's */
	const char *cert, *key;  /* our own certificate, PEM files; NULL: none */
	bool insecure;           /* --insecure: a token may go to another host without TLS */
	double timeout;          /* seconds that connecting, or an answer, may take; 0: any number */
	int stop_fd;             /* once this polls readable, whatever waits gives up (ERROR_NONE);
	                          * 0: none */
	/* For who connects again and again: told once that it is of no use just now, and
	 * why; then, with NULL, that it is again. May be NULL. */
	void (*trouble)(void *arg, const char *why);
	void *arg;
};

struct client;

/* Checks settings (ERROR_USAGE) and reads files; does not connect yet. Copies. */
struct client *client_new(const struct client_settings *settings, struct error *e);
void client_free(struct client **c);

/* Connect (if not connected) and authenticate. ERROR_DENIED: the token is not
 * accepted, or the certificate; ERROR_BUSY: nobody answers, trying again may help;
 * ERROR_INVALID: what answers is not the daemon. What an earlier connection brought and
 * nobody received is gone. */
int client_connect(struct client *c, struct error *e);
void client_disconnect(struct client *c);

/* Send one message. -1: the connection is gone (ERROR_BUSY; ERROR_INVALID where the
 * server does not take such messages). Waits while too much is on its way. */
int client_send(struct client *c, struct str text, struct error *e);

/* The next message that was received, but for replies to keepalives: good until the
 * next call. Waits. -1: the connection is gone (as above), or the time is up. */
int client_receive(struct client *c, struct str *text, struct error *e);

/* A descriptor that polls readable when there is something to receive, or the
 * connection is gone. Owned by the client, and the same for all its life. */
int client_fd(const struct client *c);

#endif
