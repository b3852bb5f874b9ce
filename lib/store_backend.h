/*
 * store_backend.h - what an engine gives to store.c: a const table of
 * functions, found by URL. Everything as store.h says; `impl` is the engine's
 * own.
 */
#ifndef MONITOR_STORE_BACKEND_H
#define MONITOR_STORE_BACKEND_H

#include "client.h"
#include "store.h"

struct store_backend {
	const char *name;

	/* Is this URL ours? If so `*rest` is what follows the scheme. (NULL, as are open and
	 * await, for an engine that is not found by a URL.) */
	bool (*claims)(const char *url, const char **rest);

	/* `stop_fd` (-1: none) is that of `trouble` from the beginning. */
	void *(*open)(const char *rest, enum store_mode mode, int stop_fd, struct error *e);
	void (*close)(void *impl);

	/* NULL where a store is made by opening it. */
	int (*create_schema)(const char *rest, double interval, enum store_made *made,
	    struct error *left, struct error *e);
	int (*schema)(double interval, bool roles_only, struct buf *text, struct error *e);

	/* It is reached over a network. `trouble` is NULL where that is told at opening. */
	bool distant;
	void (*trouble)(void *impl, const struct store_trouble *t);

	size_t batch;   /* see store_batch() */
	int (*add)(void *impl, const struct store_offer *offers, size_t n,
	    struct store_added *added, struct error *e);

	/* A walk in one direction; `limit` counts from the query's start. store.c
	 * turns "the newest N, oldest first" into such walks. */
	void *(*ask)(void *impl, const struct query *q, struct error *e);
	int (*next)(void *answer, struct record *r, struct error *e);
	void (*position)(const void *answer, struct cursor *c);
	void (*end_ask)(void *answer);

	/* NULL where cursors are the same in both orders. */
	int (*by_arrival)(void *impl, struct cursor *c, struct error *e);
	int (*end)(void *impl, struct cursor *c, struct error *e);
	int (*watch)(void *impl, struct error *e);
	void (*watched)(void *impl);
	int (*await)(const char *rest, int stop_fd, struct error *e);

	int (*tally)(void *impl, const struct query *q, enum tally_by by, double interval,
	    double offset, int (*row)(void *arg, const struct tally *t), void *arg,
	    struct error *e);
	int (*span)(void *impl, const struct query *q, double *first, double *last,
	    struct error *e);

	int (*stats)(void *impl, struct store_stats *st, struct error *e);
	int (*backup)(void *impl, const char *path, struct error *e);
	int64_t (*verify)(void *impl, void (*found)(void *arg, const char *text), void *arg,
	    struct error *e);
	int (*salvage)(void *impl, const char *path, struct store_salvaged *out,
	    struct error *e);
	int (*purge)(void *impl, const struct purge *p, const volatile int *stop,
	    struct purged *out, struct error *e);
};

extern const struct store_backend store_sqlite;
extern const struct store_backend store_postgres;

/* Opened by what a URL cannot hold: a token. */
extern const struct store_backend store_remote;
void *remote_open(const struct client_settings *settings, enum store_mode mode, struct error *e);

#endif
