/*
 * loop.h - one thread waits for everything: descriptors, time, signals. The only user
 * of libev.
 *
 * Functions that are called belong to the watch, timer or loop that they were given to,
 * and may end it, or any other.
 */
#ifndef MONITOR_WSD_LOOP_H
#define MONITOR_WSD_LOOP_H

#include <stdbool.h>

#include "error.h"

struct loop;
struct loop *loop_new(struct error *e);
void loop_free(struct loop **l);   /* what was made for it must be gone, but signals */

/* Run until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* What libwebsockets takes for its foreign loop. */
void *loop_foreign(struct loop *l);

/* Call once a round, before it is waited again: all that has happened was handled. */
void loop_each_round(struct loop *l, void (*call)(void *arg), void *arg);

/* Call when the signal has come. */
int loop_signal(struct loop *l, int signal, void (*call)(void *arg, int signal), void *arg,
    struct error *e);

/* ---- descriptors ---- */

enum loop_event { LOOP_READ, LOOP_WRITE };
struct loop_watch;

/* Call whenever the descriptor is ready (a file always is), once it is switched on. */
struct loop_watch *loop_watch_new(struct loop *l, int fd, enum loop_event event,
    void (*call)(void *arg), void *arg, struct error *e);
void loop_watch_set(struct loop_watch *w, bool on);
void loop_watch_free(struct loop_watch **w);

/* ---- time ---- */

struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *l, void (*call)(void *arg), void *arg,
    struct error *e);

/* Call in `after` seconds from now on, then every `every` seconds (0: once). */
void loop_timer_set(struct loop_timer *t, double after, double every);
void loop_timer_free(struct loop_timer **t);

#endif
