/*
 * pushers.h - who a puller (relay_pull.h, whose part this is) has to do with: each pusher by the
 * id under which it is answered, and who is to be told something.
 *
 * One that is gone stays as a ghost until what it has sent is settled.
 */
#ifndef MONITOR_RELAY_PUSHERS_H
#define MONITOR_RELAY_PUSHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "buf.h"
#include "relay.h"
#include "relay/intake.h"
#include "str.h"

TAILQ_HEAD(relay_batches, relay_batch);
TAILQ_HEAD(relay_list, relay_pusher);

struct relay_pusher {
	struct str id;             /* the key in relay_pushers.by_id */
	struct buf peer;
	TAILQ_ENTRY(relay_pusher) next, of_list;
	struct relay_list *list;   /* of those that are to be told something: ready, blocked; or NULL */
	bool greeted, gone;
	uint64_t since;            /* the turn at which it greeted */
	bool alone;                /* nothing is under way from before that */
	unsigned char run[RELAY_RUN_SIZE];
	uint64_t greeting;
	uint64_t expected;         /* the number of the next batch */
	uint64_t settled;          /* that of the first which is not, */
	uint64_t told;             /* and as it knows */
	uint64_t credit, received, done;   /* bytes: granted, of batches taken, of those settled */
	struct relay_batches batches;      /* not settled yet */
	struct buf answers;
	uint64_t nth;              /* messages with answers that it was sent */
	size_t telling;            /* of them, in the message that is being sent */
	double spoke;              /* when we did */
	bool welcome, again;       /* what it is to be told before anything else */
	char id_text[];
};

struct relay_pushers {
	void *by_id;               /* tsearch(3) */
	size_t greeted;            /* of those that are here */
	struct relay_list here, ghosts;    /* by next */
	struct relay_list ready, blocked;  /* by of_list */
};

void relay_pushers_init(struct relay_pushers *all);
void relay_pushers_free(struct relay_pushers *all);

/* NULL: there is none; no memory. */
struct relay_pusher *relay_pushers_find(const struct relay_pushers *all, struct str id);
struct relay_pusher *relay_pushers_add(struct relay_pushers *all, struct str id, struct str peer);

/* What it has sent goes its way without it. */
void relay_pushers_drop(struct relay_pushers *all, struct relay_pusher *p);

/* Drop those that are the same run of the same peer: it has come back as this one, and does not
 * hear us as the others any more. */
void relay_pushers_drop_earlier(struct relay_pushers *all, const struct relay_pusher *p);

/* Of one that is gone a batch may be settled. */
void relay_pushers_settle_ghost(struct relay_pushers *all, struct relay_pusher *p,
    struct relay_batch *b);

/* Is nothing of the same peer under way that was there before this one greeted? It may be
 * the very lines that it has to send (again), and an answer to those would be taken for an
 * answer to these. */
bool relay_pushers_alone(const struct relay_pushers *all, struct relay_pusher *p);

/* Put it on a list, or (NULL) on none; on that of the ready, unless it is on one. */
void relay_pusher_list(struct relay_pusher *p, struct relay_list *to);
void relay_pushers_wake(struct relay_pushers *all, struct relay_pusher *p);

static inline struct str
relay_pusher_peer(const struct relay_pusher *p)
{
	return (struct str){ p->peer.data, p->peer.len };
}

#endif
