/*
 * relay_pull.h - the puller's end of a relay (relay.h): many pushers, and one sink. Takes
 * their batches in order, gives them credit, and passes on what the sink answers.
 *
 * Sources count under the name of who sent them (source.h), so that nobody spends another's
 * numbers. Whoever is gone is not answered any more; what it has sent is stored all the same.
 *
 * Memory is bounded by `room`: each pusher may have its share of that under way. When the
 * sink falls behind until it is full, there is no new credit; so in all it may be twice that,
 * and a batch a pusher.
 *
 * No sockets, no clock: as relay_push.h.
 */
#ifndef MONITOR_RELAY_PULL_H
#define MONITOR_RELAY_PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "ndjson.h"
#include "relay.h"
#include "sink.h"
#include "str.h"

struct relay_pull_settings {
	struct sink *sink;
	size_t room;                      /* bytes of lines, of all pushers */
	double heartbeat;                 /* seconds of silence until a pusher is sent a word */
	unsigned char run[RELAY_RUN_SIZE];
	struct ndjson_defaults defaults;  /* of lines that lack labels */
	/* Something for the log: priority as syslog(3) has it, one line. */
	void (*say)(void *arg, int priority, const char *text);
	void *arg;
};

struct relay_pull;
struct relay_pull *relay_pull_new(const struct relay_pull_settings *settings, struct error *e);

/* The sink must be gone before. */
void relay_pull_free(struct relay_pull **r);

/* A message has come from `id`, which is how it is answered, and is `peer`. -1: it makes no
 * sense, and nothing has changed; or memory ran out, and the pusher will have to begin anew. */
int relay_pull_take(struct relay_pull *r, struct str id, struct str peer, struct str message,
    double now, struct error *e);

/* The next message to send now, good until the next call of anything here; false: none. */
bool relay_pull_next(struct relay_pull *r, struct str *id, struct str *message);

/* And what became of it. It could not be sent for want of room: it is tried again after
 * relay_pull_tick(). */
void relay_pull_sent(struct relay_pull *r, double now);
void relay_pull_blocked(struct relay_pull *r);
void relay_pull_gone(struct relay_pull *r);

/* From the sink's `settled` and `rejected`. */
void relay_pull_settled(struct relay_pull *r, struct sink_parcel *p);
void relay_pull_rejected(struct relay_pull *r, struct sink_parcel *p, int64_t seq,
    struct str reason);

/* Several times a second. */
void relay_pull_tick(struct relay_pull *r, double now);

/* Take no more lines. */
void relay_pull_stop(struct relay_pull *r);

/* Is something under way, to the sink, or an answer? */
bool relay_pull_busy(const struct relay_pull *r);

/* Of the lines, on their way to the sink. */
struct relay_intake_stats {
	uint64_t lines, bytes;     /* offered, ever */
	uint64_t refused;          /* lines that are no records, ever */
	uint64_t unnumbered;       /* lines that could be neither offered nor answered, ever */
};

struct relay_pull_stats {
	uint64_t pushers;          /* now */
	uint64_t greetings;        /* ever */
	uint64_t batches;          /* taken, ever */
	uint64_t ungreeted;        /* batches of pushers that have to greet first, ever */
	uint64_t odd;              /* messages that made no sense, ever */
	struct relay_intake_stats intake;
};
void relay_pull_stats(const struct relay_pull *r, struct relay_pull_stats *out);

#endif
