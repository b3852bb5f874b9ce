/*
 * sink.h - a sink (monitor-record(5)), seen from the producer's side: keeps what is
 * not settled, resends it, starts the sink or connects to it again.
 *
 * Three forms:
 *   - a command, run as a child with its standard input and output held;
 *   - a unix stream socket, on which a sink listens;
 *   - a plain descriptor that is only written to: settled means written.
 *
 * The unit is the parcel: the lines of one upload, all of one source, with
 * rising numbers. Lines are sent in the order in which parcels were offered; after
 * every restart all unsettled parcels are sent again from their first line, in order.
 * A parcel is settled when its source has been acknowledged up to its last
 * number (by an acknowledgement that came after it was sent), or was written out
 * whole to the plain descriptor. Those of one source are settled in their order. Lines may be
 * offered again while they are under way: one acknowledgement may settle both parcels, and what
 * was refused of the first is refused of the second, too.
 *
 * Not thread-safe, and does not block: it belongs to an event loop, which
 * waits for sink_fd() to become readable and then calls sink_work(). Nothing in
 * here calls back but from sink_work(); what is called then may call
 * everything but sink_work() and sink_free().
 *
 * Two things are the program's: to ignore SIGPIPE, and not to wait for (or ignore) the
 * child in the sink's place.
 */
#ifndef MONITOR_SINK_H
#define MONITOR_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "str.h"

struct sink;

/* Lines on their way. Made by sink_parcel(); the sink owns it from sink_offer()
 * on and frees it after `settled` has been called. */
struct sink_parcel {
	struct buf lines;          /* whole lines, at least one, each with its newline; the
	                            * caller's to change until it is offered */
	int64_t first, last;       /* seq of the first and the last line */
	size_t count;              /* of its lines */
	void *owner;               /* the caller's, */
	size_t beside;             /* and the bytes that it keeps beside the lines: they take room, too */
	const char *reject;        /* why one of its lines was refused, the first such reason;
	                            * NULL: none was */
	/* the rest is the sink's */
	struct sink_source *source;
	struct sink_parcel *prev, *next, *next_of_source;
	double offered;            /* when */
	bool sent;                 /* whole, since the sink was last started */
	struct buf refused;        /* the numbers of those that were, rising: of int64_t */
};

struct sink_settings {
	char *const *command;      /* argv, NULL at its end; or else */
	const char *path;          /* of the socket; or else */
	int fd;                    /* the plain descriptor; the caller's to close. It need not be
	                            * non-blocking: it is written to when poll(2) says so, in
	                            * pieces of at most PIPE_BUF. */
	size_t room;               /* bytes of unsettled lines, and beside them, from which on sink_full() */
	double retry_min, retry_max;   /* seconds between attempts: doubled from the first to
	                                * the second, with jitter; back to the first after an
	                                * acknowledgement */
	/* A parcel is settled. */
	void (*settled)(void *arg, struct sink_parcel *p);
	/* One of its lines was refused: each once, before it is settled. NULL: not wanted. */
	void (*rejected)(void *arg, struct sink_parcel *p, int64_t seq, struct str reason);
	/* Something for the log: priority as syslog(3) has it, one line. */
	void (*say)(void *arg, int priority, const char *text);
	void *arg;
};

/* Starts nothing yet: the first sink_work() does. The settings are copied, strings
 * and argv too. */
struct sink *sink_new(const struct sink_settings *settings, struct error *e);

/* Ends a child by closing its input, then waits for it `patience` seconds, then kills
 * it. Unsettled parcels are freed without a call of `settled`; how many lines these
 * held is the result (what is acknowledged during the wait is not among them). A parcel that
 * was not offered must be gone before. */
uint64_t sink_free(struct sink **s, double patience);

/* A parcel of this source (1..255 bytes), empty. NULL: no memory. One that is not
 * offered is freed with sink_parcel_free(). */
struct sink_parcel *sink_parcel(struct sink *s, struct str source, struct error *e);
void sink_parcel_free(struct sink *s, struct sink_parcel **p);

/* The last one of this source that was offered and is not settled; NULL: there is none. */
const struct sink_parcel *sink_last(const struct sink *s, struct str source);

/* Hand over. Never fails: nothing is allocated. Sent at the next sink_flush(). */
void sink_offer(struct sink *s, struct sink_parcel *p);

/* Write what can be written now, without waiting: to be called once a round of
 * the event loop, so that what came in together goes out together. */
void sink_flush(struct sink *s);

int sink_fd(const struct sink *s);

/* Read answers, write, start, reconnect: whatever is due. -1: it can not go on (a
 * plain descriptor whose reader is gone, ERROR_GONE, or that fails; a command
 * that cannot be started at all the first time; an answer that was lost for want of memory). */
int sink_work(struct sink *s, struct error *e);

/* No more is taken in for now: what is unsettled takes as much as `room`. Offering is
 * still allowed (one parcel may go over). */
bool sink_full(const struct sink *s);

/* The command runs, or the connection stands, and it has not ended since. */
bool sink_up(const struct sink *s);

struct sink_stats {
	uint64_t lines, bytes;         /* settled, ever */
	uint64_t rejected;             /* lines refused, ever */
	uint64_t resent;               /* lines sent more than once, ever */
	uint64_t starts;               /* of the command, or connections */
	uint64_t unsettled_bytes, unsettled_parcels;
	double lag;                    /* seconds since the oldest unsettled parcel was
	                                * offered; 0 if there is none */
};
void sink_stats(const struct sink *s, struct sink_stats *out);

#endif
