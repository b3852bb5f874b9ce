/*
 * reads.h - answers from the store, a bounded slice at a time, off the event loop.
 *
 * A read is made from a request, and then asked for slice after slice. Each is a
 * look of its own into the store, which holds nothing between slices, so
 * whoever takes an answer may be as slow as they like. What arrived after the
 * first slice was looked for is not in an answer. A subscription's read never ends: a slice of
 * it is whatever has arrived since the last.
 *
 * reads_*() is called by the thread that owns the pool. Every thread of the pool opens the
 * store for itself, when it is first needed, and again when it was replaced.
 */
#ifndef MONITOR_READS_H
#define MONITOR_READS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "pool.h"
#include "proto.h"
#include "query.h"
#include "str.h"

struct reads;

/* A pool of `threads` that read the store at `url`. The string is copied; nothing is
 * opened yet. */
struct reads *reads_new(const char *url, unsigned threads, struct error *e);
/* No read may be wanted any more: see pool_free(). What is under way at a server ends at once. */
void reads_free(struct reads **r);
struct pool *reads_pool(struct reads *r);

/* From now on the caller's thread itself looks for the beginning of an answer, if nothing else is
 * under way, and not far: a small answer does not wait for a thread to wake up. For a caller whom
 * a slow disk may hold up; a server's store is never looked into like that. */
void reads_at_once(struct reads *r);

/* One answer, or subscription. */
struct read;

enum read_state {
	READ_MORE,      /* a slice, and there is more, or may be: ask again */
	READ_END,       /* the last slice of an answer: it ends the JSON text */
	READ_IDLE,      /* subscription: nothing new; `text` is empty */
	READ_FAILED,    /* see the error; `text` is not to be sent */
};

/* What a slice came to. Valid in `done`, and until the next read_slice(). */
struct read_result {
	enum read_state state;
	bool first;              /* it begins the JSON text */
	struct buf text;         /* `headroom` bytes to write a frame's header into, then the piece.
	                          * The receiver may take the buffer and leave an empty one. */
	size_t records;          /* in it; 0 where only that there are some is told */
	struct error error;      /* for the log. The client is told read_comment() */
};

/* Make a read: everything it needs is copied out of the request. `watchdog` is the
 * tenant: no other's records can ever come out. `action` and `id` of the request
 * go into the answer. `subscription`: from its cursor, or since what is left of its window, or else
 * from now on, in the order of arrival. A cursor that is not of this store is told by the first
 * slice. `limit` bounds an answer's records, whatever is asked for: with objects its cursor
 * tells where to go on. */
struct read *read_new(struct reads *r, const struct proto_request *request, struct str watchdog,
    bool subscription, size_t limit, size_t headroom, struct error *e);

/* Free it; if a slice is under way, as soon as that is done (and `done` is not called). */
void read_free(struct read **r);

/* Get the next slice: about `bytes` of text, at least one record; a subscription's is a whole
 * message. `done(arg)` is called from pool_reap(), or pool_free(). One slice at a time; after
 * one that failed the same may be asked for again. */
void read_slice(struct read *r, size_t bytes, void (*done)(void *arg, struct read_result *result),
    void *arg);

/* What the client is told about a failure: never a path, SQL or anybody's data. (ERROR_ABSENT,
 * which no read fails with: there is no store to read from at all.) */
const char *read_comment(const struct error *e);

/* The store has news for subscriptions: polls readable; reads_watched() clears it and re-arms.
 * Watches on a thread of its own from the first call on, whether there is a store already or not
 * and through its being replaced. -1: failed. */
int reads_watch(struct reads *r, struct error *e);
void reads_watched(struct reads *r);

/* Did the last look into the store go well (or was there no store yet)? Otherwise why not. */
bool reads_ok(struct reads *r, struct error *e);

#endif
