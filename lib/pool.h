/*
 * pool.h - threads for what blocks: reads of the store, a fetch of a key.
 *
 * A job is run on one of a fixed number of threads, of those that are free the one that was busy
 * last, and then comes back to the thread that submitted it: pool_fd() polls readable, pool_reap()
 * calls `done`. Urgent jobs go before the others, else first come, first served.
 */
#ifndef MONITOR_POOL_H
#define MONITOR_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

struct pool;
struct pool_job {
	void (*run)(struct pool_job *job, void *worker);   /* on a thread; `worker`: its own */
	void (*done)(struct pool_job *job);                /* in pool_reap() */
	bool urgent;
	struct pool_job *next;                             /* the pool's */
};

/* `worker_new`, if not NULL, is called on each thread when it starts, its result handed to each
 * `run` there, and to `worker_free` when the thread ends. The caller's has one, too, once it runs a
 * job itself. */
struct pool *pool_new(unsigned threads, void *(*worker_new)(void *arg),
    void (*worker_free)(void *worker), void *arg, struct error *e);

/* Ends when the jobs that run have ended; jobs that still waited or were not
 * reaped get their `done`, from here, those which never ran with `run` not called. */
void pool_free(struct pool **p);

/* Never fails. The job is the pool's until `done` is called. */
void pool_submit(struct pool *p, struct pool_job *job);

/* The same, for a job that takes but a moment, less than to wake a thread and be woken: if there is
 * no other under way it is run here and now; else it is not touched: false. */
bool pool_run(struct pool *p, struct pool_job *job);

int pool_fd(const struct pool *p);
void pool_reap(struct pool *p);

#endif
