/*
 * relay_push.h - the pusher's end of a relay (relay.h): keeps lines until the puller has
 * settled them, sends as many as it gives credit for, and all that are left once more
 * whenever it has to greet anew.
 *
 * No sockets, no clock: whoever has them says what came, and when. Times are seconds of any
 * clock that never goes back.
 */
#ifndef MONITOR_RELAY_PUSH_H
#define MONITOR_RELAY_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "relay.h"
#include "str.h"

struct relay_push;

/* `patience`: seconds without a word from the puller until it is greeted again. */
struct relay_push *relay_push_new(const unsigned char run[RELAY_RUN_SIZE], double patience,
    struct error *e);
void relay_push_free(struct relay_push **r);

/* Keep these: whole lines, each numbered as the contract has it. */
int relay_push_add(struct relay_push *r, struct str lines, struct error *e);

/* Memory that the lines take which are not settled; whether there are any. */
size_t relay_push_held(const struct relay_push *r);
bool relay_push_settled(const struct relay_push *r);

/* There is a connection, a new one (which says nothing of what was sent on the last);
 * or there is none any more. */
void relay_push_connected(struct relay_push *r);
void relay_push_disconnected(struct relay_push *r);

/* No more lines will come: take leave, once all are settled. */
void relay_push_finish(struct relay_push *r);

/* The next message to send now, good until it was sent; false: none. */
bool relay_push_next(struct relay_push *r, double now, struct str *message);
void relay_push_sent(struct relay_push *r, double now);

/* Whoever sends that message without a copy holds it until relay_push_let_go(), which may be called
 * on any thread, after relay_push_free() too: `held` is what the first of these gave. NULL: it is
 * to be copied, and short. */
void *relay_push_hold(struct relay_push *r, struct str message);
void relay_push_let_go(void *message, void *held);

/* When relay_push_next() may have one though nothing has happened. */
double relay_push_due(const struct relay_push *r);

/* A message has come. The answers in it, for who numbered the lines, are whole lines that
 * point into it. -1: it makes no sense; nothing has changed. */
int relay_push_take(struct relay_push *r, struct str message, double now, struct str *answers,
    struct error *e);

struct relay_push_stats {
	uint64_t lines, bytes;       /* settled, ever */
	uint64_t unsettled_lines, unsettled_bytes;
	uint64_t resent;             /* lines sent more than once, ever */
	uint64_t greetings;          /* sent, ever */
	uint64_t restarts;           /* another puller, or the same started again, ever */
	uint64_t odd;                /* messages that made no sense, ever */
	bool open;                   /* greeted, and welcome */
};
void relay_push_stats(const struct relay_push *r, struct relay_push_stats *out);

#endif
