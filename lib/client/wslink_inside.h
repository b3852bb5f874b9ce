/*
 * wslink_inside.h - what wslink.c and wslink_thread.c share: the link as its user and its thread see
 * it. Private to these two.
 */
#ifndef MONITOR_CLIENT_WSLINK_INSIDE_H
#define MONITOR_CLIENT_WSLINK_INSIDE_H

#include <pthread.h>

#include <libwebsockets.h>

#include "client/wslink.h"
#include "client/wslink_queue.h"

#define RECEIVED_MAX ((size_t)8 << 20)   /* bytes that wait for the caller: then no more is read */
#define SENT_MAX ((size_t)4 << 20)       /* bytes that wait to be sent */

struct wslink {
	const char *name;          /* the URL */
	const struct client_url *to;
	struct lws_context *lws;
	pthread_t thread;
	bool threaded;
	int fd;                    /* see wslink_show() */
	int wake;

	pthread_mutex_t lock;      /* all from here on: */
	enum wslink_state state;
	struct error why;          /* it is not up */
	struct queue in, out;      /* what is to be sent stands behind LWS_PRE bytes of room */
	double period;             /* seconds between keepalives */
	bool shown;                /* `fd` is readable */
	bool crowded;              /* somebody waits for room in `out` */
	bool paused;               /* nothing is received: `in` is full */
	bool open, close, kill, rearm, end;   /* what the thread is to do */

	/* The thread's own. */
	struct lws *wsi;
	struct addrinfo *addresses;
	struct buf piece;          /* of the message that is coming in */
	const char *certificate;   /* what is wrong with the server's */
	double heard;              /* from the server, last: CLOCK_MONOTONIC */
	bool keepalive;            /* is due */
};

/* With the lock held: the caller's descriptor is readable while there is something for
 * it to see. */
void wslink_show(struct wslink *l);

/* Why it is not up: the first reason counts. */
void wslink_because(struct wslink *l, enum error_kind kind, const char *why);

/* The thread: looks after the connection until `end`. libwebsockets calls wslink_happened(). */
void *wslink_look_after(void *link);
int wslink_happened(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
    size_t len);

#endif
