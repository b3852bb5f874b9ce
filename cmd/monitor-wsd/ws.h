/*
 * ws.h - HTTP and WebSocket on connections that others have accepted: between their
 * sockets and serve. The only user of libwebsockets.
 *
 * A connection upgrades to WebSocket on /ws, and then is a session of serve; or it gets
 * one answer to a GET or HEAD, and is closed.
 */
#ifndef MONITOR_WSD_WS_H
#define MONITOR_WSD_WS_H

#include <stdbool.h>
#include <stdint.h>

#include "admit.h"
#include "buf.h"
#include "error.h"
#include "loop.h"
#include "serve.h"
#include "tls.h"

/* What a connection is for. */
enum ws_kind { WS_PLAIN, WS_TLS, WS_METRICS /* plain, and not upgraded */ };

struct ws_settings {
	struct loop *loop;
	struct serve *serve;
	struct tls *tls;           /* NULL: no WS_TLS */
	double patience;           /* seconds that a connection has to upgrade, or to ask */
	bool no_origin;            /* refuse handshakes from web pages */
	/* Append the text of the page at this path, on a connection that is for metrics or not; its HTTP
	 * status, or -1 where memory ran out. Without a text, the status in words is sent. */
	int (*page)(void *arg, const char *path, bool metrics, struct buf *text);
	void *arg;
};

struct ws;

/* What the settings name must outlive it. */
struct ws *ws_new(const struct ws_settings *settings, struct error *e);
void ws_free(struct ws **ws);      /* closes what connections there are */

/* Take over a connection. The descriptor is ws's from now on, also on failure (there is no
 * memory, or the connection is gone already); `visitor` has entered `admit`, is copied, and leaves
 * it when the connection ends. */
int ws_adopt(struct ws *ws, int fd, enum ws_kind kind, struct admit *admit,
    struct visitor *visitor);

/* serve's `wake`. */
void ws_wake(void *transport);

/* At the end of a round of the loop: send what there is. */
void ws_round(struct ws *ws);

/* Once a second. */
void ws_tick(struct ws *ws);

/* No more upgrades. */
void ws_stop(struct ws *ws);

struct ws_stats {
	uint64_t upgraded;         /* ever */
	uint64_t requests;         /* HTTP, answered, ever */
	uint64_t unfinished;       /* ended before they had upgraded or asked for anything */
};
void ws_stats(const struct ws *ws, struct ws_stats *out);

#endif
