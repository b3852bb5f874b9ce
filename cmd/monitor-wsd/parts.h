/*
 * parts.h - what a running daemon consists of, for its own files.
 *
 *   daemon.c   the loop's events, signals, the end
 *   parts.c    the parts made and freed
 *   pages.c    what the HTTP pages show
 */
#ifndef MONITOR_WSD_PARTS_H
#define MONITOR_WSD_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "admit.h"
#include "auth.h"
#include "daemon.h"
#include "door.h"
#include "inlet.h"
#include "listen.h"
#include "loop.h"
#include "outlet.h"
#include "pool.h"
#include "reads.h"
#include "serve.h"
#include "sink.h"
#include "tls.h"
#include "ws.h"

struct parts;

/* Files read again, off the loop as that takes time. */
struct reload {
	struct pool_job job;           /* first: it is all that the pool knows */
	struct parts *parts;
	bool running, again;
	int result;
	struct error error;
};

struct parts {
	const struct settings *settings;
	char run[32];                  /* the name of this run */
	struct auth *auth;
	struct tls *tls;
	struct listener *listeners, *metrics_listeners;
	struct loop *loop;
	struct reads *reads;           /* NULL: no store */
	struct pool *own_pool, *pool;  /* that of `reads`, else our own */
	struct sink *sink;
	struct serve *serve;
	struct admit *admit, *metrics_admit;
	struct ws *ws;
	struct door *door, *metrics_door;
	struct outlet *outlet;         /* NULL: standard output is the sink */
	struct inlet *inlet;
	struct loop_watch *sink_watch, *pool_watch, *news_watch;
	struct loop_timer *tick, *watchdog, *deadline, *news_pause;
	bool news_resting, news_paused;   /* the store is not watched; nor is it time to */
	bool store_bad;                /* as the log has it */
	struct reload reload;
	uint64_t foreign, foreign_bad; /* lines; reads of such in which one was no use */
	bool stopping, hurry;
	int result;                    /* of the run */
	struct error *error;
};

/* Make them all, in an order in which none knows what is not there yet. */
int parts_make(struct parts *p, const struct settings *s, struct error *e);

/* End and free those that there are. */
void parts_free(struct parts *p);

/* ---- daemon.c, called by what parts_make() made ---- */

void daemon_round(void *arg);
void daemon_tick(void *arg);
void daemon_feed(void *arg);
void daemon_late(void *arg);
void daemon_signal(void *arg, int signal);
void daemon_sink(void *arg);
void daemon_pool(void *arg);
void daemon_news(void *arg);
void daemon_rested(void *arg);
void daemon_lines(void *arg, struct str lines);
void daemon_settled(void *arg, struct sink_parcel *p);
void daemon_publish(void *arg, struct str lines);
void daemon_say_sink(void *arg, int priority, const char *text);
void daemon_say_serve(void *arg, int priority, const char *text);

/* ---- pages.c ---- */

int pages_show(void *arg, const char *path, bool metrics, struct buf *text);

#endif
