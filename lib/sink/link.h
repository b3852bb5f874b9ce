/*
 * link.h - the way to a sink and back (sink.h, whose part this is): the child, the
 * connection or the descriptor, and all that an event loop has to wait for.
 *
 * It knows of bytes, not of parcels or answers, and decides nothing: when to start again,
 * and what an end means, is its user's business.
 */
#ifndef MONITOR_SINK_LINK_H
#define MONITOR_SINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "error.h"
#include "sink.h"

struct sink_link;

/* Closed; the command, path or descriptor are taken from the settings, which
 * must live as long. */
struct sink_link *sink_link_new(const struct sink_settings *settings, struct error *e);
void sink_link_free(struct sink_link **l);

/* What to call it in messages: the command, the path, ... */
const char *sink_link_name(const struct sink_link *l);

/* Start the command, connect, or begin to use the descriptor. */
int sink_link_open(struct sink_link *l, struct error *e);

/* Let go of it. A child that still runs is killed. */
void sink_link_close(struct sink_link *l);

/* Send what can be sent now: how much; 0: nothing, and it is blocked until
 * sink_link_events() finds room; -1 with errno. Changes `iov`. */
ssize_t sink_link_send(struct sink_link *l, struct iovec *iov, size_t count);
bool sink_link_blocked(const struct sink_link *l);

/* Read what is there: how much; 0: nothing now; -1: that was all, for ever. */
ssize_t sink_link_read(struct sink_link *l, char *data, size_t size);

/* Send nothing more, so that a child comes to its end. */
void sink_link_shut(struct sink_link *l);

/* Is there a child that has not been reaped? */
bool sink_link_runs(const struct sink_link *l);

/* Kill it, and whatever it has started. It has not ended by that: see LINK_EXIT. */
void sink_link_kill(const struct sink_link *l);

/* Take leave of a child that has ended: how it did, as in "FILE: ended with status 1". */
void sink_link_reap(struct sink_link *l, char *text, size_t size);

/* Wake up after so many seconds. There is one alarm: it is set anew. */
void sink_link_alarm(struct sink_link *l, double seconds);

/* Readable whenever there are events, but for those that are there for good: LINK_SHUT and
 * LINK_ANSWERS come until they have been acted upon. */
int sink_link_fd(const struct sink_link *l);

enum {
	LINK_ALARM = 1,
	LINK_ANSWERS = 2,   /* something can be read, if only the end */
	LINK_SHUT = 4,      /* nobody reads what is sent any more */
	LINK_EXIT = 8,      /* the child has ended */
};

/* What has happened? Does not wait. */
unsigned sink_link_events(struct sink_link *l);

/* Wait until something has. */
void sink_link_wait(const struct sink_link *l);

#endif
