#include "parts.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "crypto.h"
#include "log.h"
#include "notify.h"

#define RESERVE 256              /* descriptors for all but connections */
#define METRICS_MAX 32           /* connections for figures */
#define OUTLET_MAX ((size_t)4 << 20)
#define LINE_MAX_IN ((size_t)4 << 20)
#define RETRY_MIN 0.1            /* seconds until the sink is started again */
#define RETRY_MAX 10.0

static bool
has_sink(const struct settings *s)
{
	return s->command != NULL || s->sink != NULL;
}

/* ---- files, sockets, limits ---- */

static int
make_auth(struct parts *p, struct error *e)
{
	unsigned char random[8];

	if (crypto_random(random, sizeof(random), e) == -1)
		return -1;
	memcpy(p->run, "wsd-", 4);
	crypto_hex(random, sizeof(random), p->run + 4);
	if ((p->auth = auth_new(&p->settings->auth, e)) == NULL)
		return -1;
	if (p->settings->tls.cert == NULL)
		return 0;
	return (p->tls = tls_new(&p->settings->tls, e)) != NULL ? 0 : -1;
}

static int
open_listeners(struct parts *p, struct error *e)
{
	const struct settings *s = p->settings;
	unsigned take = LISTEN_IP | LISTEN_UNIX | (s->reuse_port ? LISTEN_REUSE_PORT : 0);

	for (size_t i = 0; i < s->listen_count; i++)
		if (listen_open(&p->listeners, s->listen[i], take, e) == -1)
			return -1;
	/* Of those that were passed it is only known now. */
	for (const struct listener *l = p->listeners; l != NULL; l = l->next)
		if (!l->local && s->auth.none && !s->insecure)
			return error_set(e, ERROR_USAGE, "%s: --no-auth would let in whoever reaches that; "
			    "if that is meant: --insecure", l->name);
	if (s->metrics == NULL)
		return 0;
	return listen_open(&p->metrics_listeners, s->metrics, LISTEN_IP | LISTEN_UNIX, e);
}

/* See that there are descriptors for all connections, or say how many there are. Not
 * more either: what libwebsockets allocates follows from the limit. */
static size_t
make_room(size_t connections)
{
	struct rlimit limit;
	rlim_t wanted = connections + RESERVE;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return connections;
	limit.rlim_cur = wanted <= limit.rlim_max ? wanted : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == wanted)
		return connections;
	connections = limit.rlim_cur > 2 * RESERVE ? limit.rlim_cur - RESERVE : limit.rlim_cur / 2;
	log_say(LOG_WARNING, "--max-connections: the limit of open files, %" PRIuMAX
	    ", leaves room for %zu", (uintmax_t)limit.rlim_cur, connections);
	return connections;
}

static int
make_admit(struct parts *p, struct error *e)
{
	const struct settings *s = p->settings;
	struct admit_settings all = {
		.max = make_room(s->max_connections),
		.max_per_address = s->max_per_address,
		.proxies = s->proxies,
		.proxy_count = s->proxy_count,
		.trust_unix = s->trust_unix,
	};
	struct admit_settings metrics = { .max = METRICS_MAX };

	if ((p->admit = admit_new(&all, e)) == NULL)
		return -1;
	return (p->metrics_admit = admit_new(&metrics, e)) != NULL ? 0 : -1;
}

/* ---- where records go to and come from ---- */

static int
make_store(struct parts *p, struct error *e)
{
	const struct settings *s = p->settings;
	int fd;

	if (s->store == NULL) {
		p->pool = p->own_pool = pool_new(1, NULL, NULL, NULL, e);
	} else if ((p->reads = reads_new(s->store, s->readers, e)) != NULL) {
		p->pool = reads_pool(p->reads);
		if ((fd = reads_watch(p->reads, e)) == -1 ||
		    (p->news_watch = loop_watch_new(p->loop, fd, LOOP_READ, daemon_news, p, e)) == NULL)
			return -1;
		loop_watch_set(p->news_watch, true);
	}
	if (p->pool == NULL || (p->pool_watch = loop_watch_new(p->loop, pool_fd(p->pool), LOOP_READ,
	    daemon_pool, p, e)) == NULL)
		return -1;
	loop_watch_set(p->pool_watch, true);
	return 0;
}

static int
make_sink(struct parts *p, struct error *e)
{
	const struct settings *s = p->settings;
	struct sink_settings sink = {
		.command = s->command,
		.path = s->sink,
		.fd = has_sink(s) ? -1 : STDOUT_FILENO,
		.room = s->max_unsettled,
		.retry_min = RETRY_MIN,
		.retry_max = RETRY_MAX,
		.settled = daemon_settled,
		.say = daemon_say_sink,
		.arg = p,
	};

	if ((p->sink = sink_new(&sink, e)) == NULL ||
	    (p->sink_watch = loop_watch_new(p->loop, sink_fd(p->sink), LOOP_READ, daemon_sink, p, e)) == NULL)
		return -1;
	loop_watch_set(p->sink_watch, true);
	if (!has_sink(s))
		return 0;
	if ((p->outlet = outlet_new(p->loop, STDOUT_FILENO, OUTLET_MAX, e)) == NULL)
		return -1;
	if (isatty(STDIN_FILENO))
		return 0;
	p->inlet = inlet_new(p->loop, STDIN_FILENO, LINE_MAX_IN, daemon_lines, p, e);
	return p->inlet != NULL ? 0 : -1;
}

static int
make_serve(struct parts *p, struct error *e)
{
	const struct settings *s = p->settings;
	struct serve_settings serve = {
		.auth = p->auth,
		.sink = p->sink,
		.reads = p->reads,
		.pool = p->pool,
		.numbered = has_sink(s),
		.run = p->run,
		.timeout = s->timeout,
		.auth_timeout = s->auth_timeout,
		.ping_interval = s->ping_interval,
		.max_message = s->max_message,
		.max_records = s->max_records,
		.max_answer = SIZE_MAX,
		.max_queue = s->max_queue,
		.max_reads = s->max_reads,
		.rate = s->rate,
		.burst = s->burst,
		.publish = p->outlet != NULL ? daemon_publish : NULL,
		.say = daemon_say_serve,
		.wake = ws_wake,
		.arg = p,
	};
	struct ws_settings ws = {
		.loop = p->loop,
		.tls = p->tls,
		.patience = s->auth_timeout,
		.no_origin = s->auth.none,
		.page = pages_show,
		.arg = p,
	};

	if ((p->serve = serve_new(&serve, e)) == NULL)
		return -1;
	ws.serve = p->serve;
	return (p->ws = ws_new(&ws, e)) != NULL ? 0 : -1;
}

/* ---- the loop ---- */

/* Those that have something to do with the terminal stay ignored where they were. */
static int
watch_signals(struct parts *p, struct error *e)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGINT };
	struct sigaction was;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (signals[i] == SIGINT && sigaction(SIGINT, NULL, &was) == 0 &&
		    was.sa_handler == SIG_IGN)
			continue;
		if (loop_signal(p->loop, signals[i], daemon_signal, p, e) == -1)
			return -1;
	}
	return 0;
}

static int
make_timers(struct parts *p, struct error *e)
{
	double watchdog = notify_watchdog();

	if ((p->tick = loop_timer_new(p->loop, daemon_tick, p, e)) == NULL ||
	    (p->watchdog = loop_timer_new(p->loop, daemon_feed, p, e)) == NULL ||
	    (p->news_pause = loop_timer_new(p->loop, daemon_rested, p, e)) == NULL ||
	    (p->deadline = loop_timer_new(p->loop, daemon_late, p, e)) == NULL)
		return -1;
	loop_timer_set(p->tick, 1, 1);
	if (watchdog > 0)
		loop_timer_set(p->watchdog, watchdog / 2, watchdog / 2);
	loop_each_round(p->loop, daemon_round, p);
	return 0;
}

static int
open_doors(struct parts *p, struct error *e)
{
	enum ws_kind kind = p->tls != NULL ? WS_TLS : WS_PLAIN;

	if ((p->door = door_new(p->loop, p->ws, p->admit, p->listeners, kind, e)) == NULL)
		return -1;
	p->metrics_door = door_new(p->loop, p->ws, p->metrics_admit, p->metrics_listeners, WS_METRICS,
	    e);
	return p->metrics_door != NULL ? 0 : -1;
}

int
parts_make(struct parts *p, const struct settings *s, struct error *e)
{
	*p = (struct parts){ .settings = s, .reload.parts = p };
	if (make_auth(p, e) == -1 || open_listeners(p, e) == -1 || make_admit(p, e) == -1)
		return -1;
	if ((p->loop = loop_new(e)) == NULL || watch_signals(p, e) == -1)
		return -1;
	if (make_store(p, e) == -1 || make_sink(p, e) == -1 || make_serve(p, e) == -1)
		return -1;
	return make_timers(p, e) == 0 ? open_doors(p, e) : -1;
}

/* ---- the end ---- */

/* The sink has some time to store what it has been given. */
static void
free_sink(struct parts *p)
{
	double patience = p->hurry ? 0 : p->settings->stop_timeout;
	uint64_t left;

	loop_watch_free(&p->sink_watch);
	if (p->sink == NULL)
		return;
	if ((left = sink_free(&p->sink, patience)) > 0)
		log_say(LOG_WARNING, "%" PRIu64 " records were not settled by the sink", left);
}

void
parts_free(struct parts *p)
{
	p->stopping = true;
	door_free(&p->door);
	door_free(&p->metrics_door);
	listen_close(&p->listeners);
	listen_close(&p->metrics_listeners);
	if (p->auth != NULL)
		auth_cancel(p->auth);
	ws_free(&p->ws);           /* ends the sessions, */
	loop_watch_free(&p->news_watch);
	loop_watch_free(&p->pool_watch);
	reads_free(&p->reads);     /* then their jobs, */
	pool_free(&p->own_pool);
	serve_free(&p->serve);     /* then what these belonged to */
	free_sink(p);
	outlet_free(&p->outlet);
	inlet_free(&p->inlet);
	admit_free(&p->admit);
	admit_free(&p->metrics_admit);
	loop_timer_free(&p->tick);
	loop_timer_free(&p->watchdog);
	loop_timer_free(&p->deadline);
	loop_timer_free(&p->news_pause);
	loop_free(&p->loop);
	tls_free(&p->tls);
	auth_free(&p->auth);
}
