/*
 * remote.h - the engine that has no store: it asks monitor-wsd, over a WebSocket, and uploads
 * to it. Private to lib/remote/.
 *
 * It sees the records of one watchdog, that of its token. What cannot be asked of the daemon
 * (a regular expression, sums) is worked out here, from records that are fetched page by page.
 * What arrives while an answer is fetched may be in it.
 */
#ifndef MONITOR_REMOTE_H
#define MONITOR_REMOTE_H

#include "ndjson.h"
#include "remote/talk.h"
#include "store_backend.h"

#define REMOTE_SOURCE_SIZE 65   /* with its NUL */

struct remote {
	struct talk *talk;
	struct ndjson *reader;

	/* For what is uploaded without a number. */
	char source[REMOTE_SOURCE_SIZE];
	int64_t seq;                /* the last one used */
};

/* As in struct store_backend. */
void *remote_ask(void *impl, const struct query *q, struct error *e);
int remote_next(void *answer, struct record *r, struct error *e);
void remote_position(const void *answer, struct cursor *c);
void remote_end_ask(void *answer);
int remote_end(void *impl, struct cursor *c, struct error *e);
int remote_add(void *impl, const struct store_offer *offers, size_t n, struct store_added *added,
    struct error *e);
int remote_tally(void *impl, const struct query *q, enum tally_by by, double interval,
    double offset, int (*row)(void *arg, const struct tally *t), void *arg, struct error *e);
int remote_span(void *impl, const struct query *q, double *first, double *last,
    struct error *e);

#endif
