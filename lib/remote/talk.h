/*
 * talk.h - requests to the daemon, and its answers, over connections that may break:
 * what has not been answered is asked again on the next one, in its order.
 *
 * Every request carries an "id" of ours, and what comes back is told apart by it: answers,
 * what other connections upload, and the subscription's news.
 */
#ifndef MONITOR_REMOTE_TALK_H
#define MONITOR_REMOTE_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "client.h"
#include "error.h"
#include "json.h"
#include "query.h"
#include "str.h"

struct talk;

/* What is done about a connection that breaks, or does not come about. */
enum talk_patience {
	TALK_AT_ONCE,    /* the caller is told (ERROR_BUSY), and may go on with the same call */
	TALK_A_WHILE,    /* it is tried a few times again, if there has ever been one */
	TALK_FOR_EVER,   /* until it works, or settings.stop_fd says that it is over */
};

/* See client_new(). Connects when it is first asked for something. */
struct talk *talk_new(const struct client_settings *settings, enum talk_patience patience,
    struct error *e);
void talk_free(struct talk **t);

const char *talk_url(const struct talk *t);

/* Connect now, once, if there is no connection. 0, too, where patience lasts. */
int talk_connect(struct talk *t, struct error *e);

/* Begin a request: {"action":NAME,"id":N, to be gone on with at the end of `b`; the id
 * is returned. -1: no memory. */
int64_t talk_begin(struct talk *t, struct buf *b, const char *action, struct error *e);

/* Send it. The buffer is taken, and an empty one left. A connection that breaks is no
 * failure: talk_answer() looks after that. */
int talk_send(struct talk *t, int64_t id, struct buf *request, struct error *e);

/* How many requests have not been answered, and their bytes. */
size_t talk_open(const struct talk *t, size_t *bytes);

/* Do not wait for them any more. */
void talk_forget(struct talk *t);

/* An answer. Good until anything else is called. */
struct talk_answer {
	int64_t id;
	struct str records;    /* the list; data NULL: there is none */
	struct json *json;     /* to walk it with */
};

/* Wait for the answer to any of the open requests. -1: it is that the request failed, for the
 * reason that the daemon gave (ERROR_DENIED, ERROR_INVALID); or there is no connection. */
int talk_answer(struct talk *t, struct talk_answer *a, struct error *e);

/* ---- news ----------------------------------------------------------------- */

/* From now on, and on every connection, be told of records that arrive. Patience is
 * over: it is TALK_AT_ONCE. The result polls readable when there may be news, or the
 * connection is gone. -1: failed. */
int talk_watch(struct talk *t, struct error *e);

/* Take in what news there are. Only while no request is open. */
void talk_watched(struct talk *t);

/* The position that the last news came with. False: none came on this connection. */
bool talk_news(const struct talk *t, struct cursor *c);

#endif
