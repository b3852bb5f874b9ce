/*
 * peer.h - a producer, and how it is waited for.
 *
 * Peers hang in two lists: of those that have something to do yet, and of those that ended in this
 * round, which some event may still speak of: the loop frees these at its end.
 */
#ifndef MONITOR_PEER_H
#define MONITOR_PEER_H

#include "producer.h"

enum watch_kind { WATCH_SIGNAL, WATCH_SETTLED, WATCH_LISTENER, WATCH_INPUT, WATCH_ANSWERS };

/* A descriptor to be waited for, or not just now: what epoll(7) tells of it is its address. */
struct watch {
	enum watch_kind kind;
	int fd;
	bool on;
	void *who;         /* a peer, or a listener */
};

struct peer {
	struct producer *producer;
	struct watch in, out;
	bool always;       /* its input is a file, which is always ready */
	bool connection;   /* it came in on a socket */
	bool ended;
	struct peer *prev, *next;
};

struct peers {
	int epoll;
	struct peer *first, *ended;
	struct peer *reader;   /* of the files, one after another: it does not end between two */
	bool waiters;          /* some wait for a permit */
};

/* Turn a watch on or off. A descriptor that is always ready (EPERM: a file)
 * stays off; `always`, if not NULL, says so. */
int watch_set(int epoll, struct watch *w, bool on, bool *always, struct error *e);

/* The descriptors are the peer's from now on (but for standard ones), also on
 * failure. */
struct peer *peer_new(struct peers *all, const char *name, int in, int out, struct error *e);

/* It must have been taken out of the lists. */
void peer_free(struct peers *all, struct peer *p);

/* May it be read from now? */
bool peer_readable(const struct peer *p);

/* Wait for what this peer needs now; if that is nothing any more, it has ended. */
int peer_update(struct peers *all, struct peer *p, struct error *e);

#endif
