/*
 * wslink.h - a WebSocket connection, and the thread that looks after it: client.c's
 * lower half, and the library's only user of libwebsockets. Nothing in here waits for
 * the other end but wslink_close(), and that not for long.
 *
 * Used by one thread. Strings of the settings must outlive the link, and so must the URL.
 */
#ifndef MONITOR_CLIENT_WSLINK_H
#define MONITOR_CLIENT_WSLINK_H

#include "buf.h"
#include "client.h"
#include "client/setup.h"
#include "error.h"
#include "str.h"

struct wslink;

/* The thread runs from now on; it does not connect yet. Caller owns it. ERROR_USAGE: the settings'
 * certificate and key are of no use. */
struct wslink *wslink_new(const struct client_settings *settings, const struct client_url *url,
    struct error *e);
void wslink_free(struct wslink **l);   /* closes it first */

/* Begin to connect, if there is no connection. What an earlier one brought is dropped. */
void wslink_open(struct wslink *l);

/* Close the connection, if there is one. */
void wslink_close(struct wslink *l);

enum wslink_state {
	WSLINK_IDLE,      /* never opened, or closed by us */
	WSLINK_OPENING,
	WSLINK_UP,
	WSLINK_GONE,
};

/* `why` is filled when it is not up. ERROR_BUSY: trying again may help; ERROR_DENIED: the
 * certificate or the like is not accepted; ERROR_INVALID: what is there is no WebSocket
 * server, or does not take what we sent. */
enum wslink_state wslink_state(struct wslink *l, struct error *why);

/* The server hangs up after so many seconds without a message: send one in time. */
void wslink_timeout(struct wslink *l, double seconds);

/* 1: on its way; 0: too much is already; -1: not up, or no memory. */
int wslink_send(struct wslink *l, struct str text, struct error *e);

/* The next message that was received, but for replies to keepalives: 1, and `text` is the
 * caller's (what it held is not freed); 0: none yet; -1: not up, and none left. */
int wslink_receive(struct wslink *l, struct buf *text, struct error *e);

/* Polls readable when wslink_receive() has something to say; and this other one, once, when
 * the state has changed, or there is room to send again. */
int wslink_fd(const struct wslink *l);
int wslink_wake_fd(const struct wslink *l);

#endif
