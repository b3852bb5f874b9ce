/*
 * desk.h - requests that come as letters: who may ask for what, and a session (serve.h) for each
 * peer and watchdog, which the letters name.
 *
 * A request is a message of the protocol (monitor-protocol(7)) with a "watchdog" beside its
 * "action". Each gets one reply. Whoever writes with an empty frame in front, as REQ does,
 * expects nothing but replies, and cannot subscribe.
 */
#ifndef MONITOR_ZMQ_DESK_H
#define MONITOR_ZMQ_DESK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allow.h"
#include "error.h"
#include "serve.h"
#include "socket.h"
#include "str.h"

struct desk_settings {
	const struct allow *allow;   /* who may do what; NULL: everybody everything */
	bool uploads;                /* there is a sink */
	size_t max_sessions;
	size_t max_waiting;          /* bytes of requests that a session cannot take yet, */
	size_t max_waiting_all;      /* and of those of all sessions, and in them */
};

struct desk;
struct desk *desk_new(const struct desk_settings *settings, struct error *e);
void desk_free(struct desk **d);

/* The sessions' own, before the first request. Its `wake` must be desk_wake(). */
void desk_serve(struct desk *d, struct serve *serve);
void desk_wake(void *transport);

/* A request has come. One that is refused at once has its reply in `*reply`, to be sent back now;
 * else that is empty. */
void desk_take(struct desk *d, const struct parcel *request, struct str *reply);

/* The next letter to send, good until the next call of anything here; false: none. */
bool desk_next(struct desk *d, struct parcel *letter);

/* And what became of it: as in relay_pull.h. */
void desk_sent(struct desk *d);
void desk_blocked(struct desk *d);
void desk_gone(struct desk *d);

/* Try again what was blocked. Is there anything? */
bool desk_is_blocked(const struct desk *d);
void desk_unblock(struct desk *d);

/* Once a second: whether subscribers may still be. */
void desk_tick(struct desk *d);

/* Take nothing more. After serve_stop(). */
void desk_stop(struct desk *d);

struct desk_stats {
	uint64_t requests;         /* ever; of these, refused here: */
	uint64_t denied;           /* not allowed */
	uint64_t odd;              /* made no sense */
	uint64_t busy;             /* too many at once */
};
void desk_stats(const struct desk *d, struct desk_stats *out);

#endif
