/*
 * requests.h - requests without end: each connection sends the next when an answer has
 * come, with a window of them under way; how long each took.
 */
#ifndef LOAD_REQUESTS_H
#define LOAD_REQUESTS_H

#include "fleet.h"
#include "percentile.h"

struct requests_result {
	double seconds;            /* that were measured */
	size_t answers;            /* that came in them */
	double connect;            /* until all were connected */
	struct latencies took;     /* from sent to answered; the caller's to free */
	double bytes;              /* of the answers */
};

/* Connects, runs for as long as is asked for, and waits for the last answers. `next` makes the
 * request of a connection. What came for the first requests is not counted. */
struct requests_result requests_run(const struct load *l, struct str (*next)(void *arg, size_t i),
    void *arg);

#endif
