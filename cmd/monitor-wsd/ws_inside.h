/*
 * ws_inside.h - what ws.h's own files share: a connection as the library and the sessions see it.
 *
 *   ws.c           begin and end, of the whole and of connections; the library's callbacks
 *   ws_http.c      requests: pages, and who may upgrade
 *   ws_session.c   a session's input and output
 */
#ifndef MONITOR_WSD_WS_INSIDE_H
#define MONITOR_WSD_WS_INSIDE_H

#include <sys/queue.h>

#include <libwebsockets.h>

#include "ws.h"

#define WS_CHUNK ((size_t)16 << 10)      /* bytes of text in a frame; so much may wait for a slow receiver */
#define WS_HEADERS_MAX 8192              /* bytes of all headers of a request */
#define WS_SUBPROTOCOL_SIZE 128

/* A connection, from when it was accepted on. */
struct conn {
	struct ws *ws;
	struct lws *wsi;
	enum ws_kind kind;
	struct admit *admit;
	struct visitor visitor;
	struct session *session;       /* NULL: not upgraded */
	size_t sent;                   /* of the text that session_output() gives */
	struct buf kept;               /* TLS: what came while nothing is read, see keep() */
	double deadline;               /* while it is young */
	bool young;                    /* neither upgraded nor answered */
	bool paused;                   /* not read from */
	bool woken;                    /* on the list of those to be looked at */
	bool closing;                  /* nothing is sent any more */
	TAILQ_ENTRY(conn) of_young, of_woken;
};

struct ws {
	struct ws_settings settings;
	struct lws_context *context;
	struct lws_vhost *plain, *tls;
	char subprotocol[WS_SUBPROTOCOL_SIZE];   /* see pretend_subprotocol() */
	struct lws_protocols protocols[3];
	struct conn *adopting;
	TAILQ_HEAD(, conn) young, woken;
	bool stopping;
	struct ws_stats stats;
};

/* It has upgraded, or was answered. */
void conn_grow_up(struct conn *c);

/* ---- ws_http.c: 0 to go on, -1 to close it ---- */

/* Answer with a page; let it upgrade, or not. */
int conn_request(struct conn *c);
int conn_upgrade(struct conn *c, const char *to);

/* Once an upgrade was granted. */
void ws_forget_subprotocol(struct ws *ws);

/* ---- ws_session.c: likewise ---- */

int conn_established(struct conn *c);
int conn_receive(struct conn *c, const char *data, size_t len);
int conn_writable(struct conn *c);

#endif
