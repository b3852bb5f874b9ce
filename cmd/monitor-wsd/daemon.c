#include "daemon.h"

#include <signal.h>
#include <string.h>

#include "lines.h"
#include "log.h"
#include "notify.h"
#include "parts.h"
#include "when.h"

#define NEWS_PAUSE 0.05   /* seconds from one look for what is new in the store to the next */

/* ---- rounds and time ---- */

/* Watch the store, if there is anybody whom its news would reach. */
static void
watch_news(struct parts *p)
{
	if (!p->news_resting || !serve_wants_news(p->serve))
		return;
	p->news_resting = false;
	reads_watched(p->reads);
	loop_watch_set(p->news_watch, true);
	serve_news(p->serve);
}

/* All that has come in was handled: what has to go out goes out together. */
void
daemon_round(void *arg)
{
	struct parts *p = arg;

	serve_resume(p->serve);
	sink_flush(p->sink);
	ws_round(p->ws);
	if (!p->news_paused)
		watch_news(p);
	if (p->stopping && !serve_busy(p->serve))
		loop_stop(p->loop);
}

/* The log says why the store can't be read, which nobody else is told. */
static void
tell_of_store(struct parts *p)
{
	struct error e;
	bool bad = p->reads != NULL && !reads_ok(p->reads, &e);

	if (bad && !p->store_bad)
		log_say(LOG_WARNING, "the store can't be read: %s", e.text);
	else if (!bad && p->store_bad)
		log_say(LOG_NOTICE, "the store can be read again");
	p->store_bad = bad;
}

void
daemon_tick(void *arg)
{
	struct parts *p = arg;

	serve_tick(p->serve);
	ws_tick(p->ws);
	tell_of_store(p);
	log_rest(false);
}

void
daemon_feed(void *arg)
{
	(void)arg;
	notify_send("WATCHDOG=1");
}

/* ---- what comes in ---- */

/* It cannot go on. */
static void
fail(struct parts *p, const struct error *e)
{
	*p->error = *e;
	p->result = -1;
	p->hurry = true;
	loop_stop(p->loop);
}

void
daemon_sink(void *arg)
{
	struct parts *p = arg;
	struct error e;

	if (sink_work(p->sink, &e) == -1)
		fail(p, &e);
}

void
daemon_settled(void *arg, struct sink_parcel *parcel)
{
	struct parts *p = arg;

	serve_settled(p->serve, parcel);
}

void
daemon_pool(void *arg)
{
	struct parts *p = arg;

	pool_reap(p->pool);
}

void
daemon_news(void *arg)
{
	struct parts *p = arg;

	/* Every commit is news; but each look costs a little, a subscriber. */
	loop_watch_set(p->news_watch, false);
	loop_timer_set(p->news_pause, NEWS_PAUSE, 0);
	p->news_resting = p->news_paused = true;
	serve_news(p->serve);
}

void
daemon_rested(void *arg)
{
	struct parts *p = arg;

	p->news_paused = false;
	watch_news(p);
}

void
daemon_lines(void *arg, struct str lines)
{
	struct parts *p = arg;
	struct error e;

	p->foreign += lines_count(lines);
	if (serve_forward(p->serve, lines, &e) == 0)
		return;
	p->foreign_bad++;
	log_limited("standard input", LOG_WARNING, "standard input: %s", e.text);
}

void
daemon_publish(void *arg, struct str lines)
{
	struct parts *p = arg;

	outlet_write(p->outlet, lines);
}

void
daemon_say_sink(void *arg, int priority, const char *text)
{
	(void)arg;
	log_limited("sink", priority, "%s", text);
}

void
daemon_say_serve(void *arg, int priority, const char *text)
{
	(void)arg;
	log_limited("sessions", priority, "%s", text);
}

/* ---- the certificate ---- */

/* Clients will have none of it, and their libraries seldom say so to anybody. */
static int
check_certificate(const struct settings *s, const struct tls *tls, struct error *e)
{
	if (tls == NULL || tls_expires(tls) > when_now())
		return 0;
	return error_set(e, ERROR_INVALID, "%s: the certificate, or one behind it, has expired",
	    s->tls.cert);
}

static void
warn_of_certificate(const struct parts *p)
{
	struct error e;

	if (check_certificate(p->settings, p->tls, &e) == -1)
		log_say(LOG_WARNING, "%s", e.text);
}

/* ---- signals ---- */

static void
run_reload(struct pool_job *job, void *worker)
{
	struct reload *r = (struct reload *)job;

	(void)worker;
	r->result = auth_reload(r->parts->auth, &r->error);
}

static void begin_reload(struct parts *p);

static void
end_reload(struct pool_job *job)
{
	struct reload *r = (struct reload *)job;
	struct parts *p = r->parts;

	r->running = false;
	if (r->result == -1)
		log_say(LOG_ERR, "%s: it stays as it was", r->error.text);
	if (p->serve == NULL || p->stopping)
		return;
	serve_recheck(p->serve);
	if (r->again) {
		begin_reload(p);
		return;
	}
	notify_send("READY=1");
	log_say(LOG_INFO, "reloaded");
}

/* Read keys, tokens and certificates again. A wish for it that comes meanwhile is
 * for what stands there by then. */
static void
begin_reload(struct parts *p)
{
	struct error e;

	p->reload.again = p->reload.running;
	if (p->reload.running)
		return;
	p->reload.running = true;
	notify_reloading();
	if (p->tls != NULL && tls_reload(p->tls, &e) == -1)
		log_say(LOG_ERR, "%s: the certificate stays as it was", e.text);
	warn_of_certificate(p);
	p->reload.job = (struct pool_job){ .run = run_reload, .done = end_reload };
	pool_submit(p->pool, &p->reload.job);
}

static void
stop(struct parts *p)
{
	if (p->stopping) {
		p->hurry = true;
		loop_stop(p->loop);
		return;
	}
	p->stopping = true;
	notify_send("STOPPING=1");
	log_say(LOG_INFO, "stopping");
	door_free(&p->door);
	listen_close(&p->listeners);
	inlet_free(&p->inlet);
	ws_stop(p->ws);
	serve_stop(p->serve);
	auth_cancel(p->auth);
	loop_timer_set(p->deadline, p->settings->stop_timeout, 0);
}

void
daemon_late(void *arg)
{
	struct parts *p = arg;
	struct sink_stats sink;

	sink_stats(p->sink, &sink);
	if (sink.unsettled_parcels > 0)
		log_say(LOG_WARNING, "not all was settled in time");
	else
		log_say(LOG_NOTICE, "not all clients took their leave in time");
	loop_stop(p->loop);
}

void
daemon_signal(void *arg, int signal)
{
	struct parts *p = arg;

	if (signal != SIGHUP)
		stop(p);
	else if (!p->stopping)
		begin_reload(p);
}

/* ---- a run ---- */

int
daemon_check(const struct settings *s, struct error *e)
{
	struct auth *auth = auth_new(&s->auth, e);
	struct tls *tls = NULL;
	int r = auth != NULL ? 0 : -1;

	if (r == 0 && s->tls.cert != NULL && (tls = tls_new(&s->tls, e)) == NULL)
		r = -1;
	if (r == 0)
		r = check_certificate(s, tls, e);
	tls_free(&tls);
	auth_free(&auth);
	return r;
}

static void
announce(const struct parts *p)
{
	for (const struct listener *l = p->listeners; l != NULL; l = l->next)
		log_say(LOG_INFO, "listening on %s", l->name);
	for (const struct listener *l = p->metrics_listeners; l != NULL; l = l->next)
		log_say(LOG_INFO, "metrics on %s", l->name);
	notify_send("READY=1");
}

int
daemon_run(const struct settings *s, struct error *e)
{
	struct parts p;
	int r = parts_make(&p, s, e);

	/* A sink that cannot be started at all shows now. */
	if (r == 0 && (r = sink_work(p.sink, e)) == 0) {
		p.error = e;
		warn_of_certificate(&p);
		announce(&p);
		loop_run(p.loop);
		r = p.result;
	}
	parts_free(&p);
	log_rest(true);
	return r;
}
