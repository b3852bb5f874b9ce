/*
 * world.h - all that a struct serve needs around it, for one test: nobody has to prove who they are,
 * the store is the fixture's "store.db", and the sink is the test's own.
 */
#ifndef MONITOR_TEST_WORLD_H
#define MONITOR_TEST_WORLD_H

#include "fixture.h"
#include "pool.h"
#include "serve.h"

struct world {
	struct auth *auth;
	struct sink *sink;
	struct reads *reads;
	struct pool *pool;
	struct serve *serve;
	struct buf published;
};

static void
world_wake(void *transport)
{
	(void)transport;
}

static void
world_say(void *arg, int priority, const char *text)
{
	(void)arg;
	(void)priority;
	(void)text;
}

static void
world_publish(void *arg, struct str lines)
{
	struct world *w = arg;

	if (buf_add_str(&w->published, lines) == -1)
		fixture_fail("publish", "out of memory");
}

static void
world_settled(void *arg, struct sink_parcel *p)
{
	struct world *w = arg;

	serve_settled(w->serve, p);
}

static struct serve_settings
world_usual(void)
{
	return (struct serve_settings){
		.numbered = true, .run = "run", .timeout = 30, .auth_timeout = 30,
		.ping_interval = 20, .max_message = 1 << 20, .max_records = 1000, .max_answer = SIZE_MAX,
		.max_queue = 1 << 20, .max_reads = 2,
	};
}

static void
world_begin(struct world *w, struct serve_settings settings, struct sink_settings sink)
{
	struct error e;

	*w = (struct world){ 0 };
	sink.settled = world_settled;
	sink.say = world_say;
	sink.arg = w;
	if ((w->sink = sink_new(&sink, &e)) == NULL ||
	    (w->auth = auth_new(&(struct auth_settings){ .none = true }, &e)) == NULL ||
	    (w->reads = reads_new(fixture_url("store.db"), 2, &e)) == NULL)
		fixture_fail("set-up", e.text);
	settings.auth = w->auth;
	settings.sink = w->sink;
	settings.reads = w->reads;
	settings.pool = w->pool = reads_pool(w->reads);
	settings.publish = world_publish;
	settings.say = world_say;
	settings.wake = world_wake;
	settings.arg = w;
	if ((w->serve = serve_new(&settings, &e)) == NULL)
		fixture_fail("serve_new", e.text);
}

static void
world_end(struct world *w)
{
	sink_free(&w->sink, 0);
	serve_free(&w->serve);
	reads_free(&w->reads);
	auth_free(&w->auth);
	buf_free(&w->published);
}

#endif
