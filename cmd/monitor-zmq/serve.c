/*
 * monitor-zmq serve - the protocol's requests from other backends: reads from the store, uploads to
 * a sink.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth.h"
#include "cli.h"
#include "common.h"
#include "crypto.h"
#include "desk.h"
#include "log.h"
#include "options.h"
#include "output.h"
#include "pool.h"
#include "reads.h"
#include "serve.h"
#include "serve_figures.h"
#include "service.h"
#include "sink.h"
#include "sink_figures.h"
#include "socket_figures.h"
#include "store.h"
#include "verb.h"
#include "when.h"

#define MAX_MESSAGE ((uint64_t)1 << 20)
#define MAX_ANSWER ((uint64_t)16 << 20)
#define MAX_QUEUE ((size_t)4 << 20)       /* bytes that wait for a slow subscriber */
#define MAX_WAITING ((size_t)4 << 20)     /* bytes of requests that a session cannot take yet */
#define MAX_WAITING_ALL ((size_t)64 << 20)
#define MAX_RECORDS 100000                /* in one upload */
#define MAX_SESSIONS 10000
#define MAX_READS 4                       /* of one watchdog at once */
#define READERS 2
#define ROOM ((uint64_t)64 << 20)
#define AT_ONCE 64                        /* requests taken in a row */
#define TICK 1.0
#define RETRY 0.02                        /* seconds until what was blocked is tried again */
#define TIMEOUT 60.0
#define RUN_SIZE 40

enum { OPT_SINK = COMMON_OWN, OPT_ROOM, OPT_PASS, OPT_MAX_MESSAGE, OPT_MAX_ANSWER, OPT_TIMEOUT,
	OPT_READERS };

static const struct cli_option options[] = {
	{ 0, NULL, NULL, "Records" },
	{ 'd', "store", "URL", "read from there (default: $MONITOR_READ_STORE, $MONITOR_STORE, " STORE_DEFAULT ")" },
	{ OPT_SINK, "sink", "unix:PATH", "uploads go to the sink that listens there (or to a command behind --)" },
	{ OPT_ROOM, "room", "SIZE", "of unsettled uploads (default: 64M)" },
	{ OPT_PASS, "pass", NULL, "write notifications that are stored to standard output, too" },
	{ 0, NULL, NULL, "Requests" },
	{ OPT_MAX_MESSAGE, "max-message", "SIZE", "cut off who sends larger ones (default: 1M)" },
	{ OPT_MAX_ANSWER, "max-answer", "SIZE", "longer answers fail (default: 16M)" },
	{ OPT_TIMEOUT, "timeout", "DURATION", "forget who has asked nothing for so long (default: 60s)" },
	{ OPT_READERS, "readers", "N", "threads that read the store (default: 2)" },
	{ COMMON_STOP_TIMEOUT, "stop-timeout", "DURATION", "to answer after SIGTERM (default: 10s)" },
	COMMON_OPTIONS,
};

struct settings {
	struct common common;
	const char *store, *sink;
	char *const *command;
	bool pass;
	uint64_t room, max_message, max_answer;
	unsigned readers;
	double timeout;
};

struct figures {
	struct socket_stats socket;
	struct serve_stats serve;
	struct desk_stats desk;
	struct sink_figures sink;
	uint64_t dropped;          /* notifications that nobody read */
};

struct server {
	const struct settings *settings;
	struct service *service;
	struct socket *socket;
	struct sink *sink;         /* or NULL */
	struct reads *reads;
	struct auth *auth;
	struct serve *serve;
	struct desk *desk;
	struct output output;
	int news;                  /* the descriptor that tells of them */
	char run[RUN_SIZE];
	double ticked, retried;
	bool unheard;              /* nobody reads standard output */
	bool ending;               /* it has been told so */
	struct figures figures;
};

static const struct figure figures[] = {
	SOCKET_FIGURES("", struct figures, socket),
	SERVE_FIGURES(struct figures, serve),
	{ "monitor_zmq_requests_total", FIGURE_COUNTER, "Requests received.",
	    FIGURE_AT(struct figures, desk.requests) },
	{ "monitor_zmq_denied_total", FIGURE_COUNTER, "Requests that their peer's key does not allow.",
	    FIGURE_AT(struct figures, desk.denied) },
	{ "monitor_zmq_odd_total", FIGURE_COUNTER, "Requests that made no sense.",
	    FIGURE_AT(struct figures, desk.odd) },
	{ "monitor_zmq_busy_total", FIGURE_COUNTER, "Requests that were too many at once.",
	    FIGURE_AT(struct figures, desk.busy) },
	{ "monitor_zmq_passed_dropped_total", FIGURE_COUNTER,
	    "Notifications that standard output did not take.", FIGURE_AT(struct figures, dropped) },
	SINK_FIGURES(struct figures, sink),
};

static int
write_metrics(void *arg, struct buf *text)
{
	struct server *s = arg;

	socket_stats(s->socket, &s->figures.socket);
	serve_stats(s->serve, &s->figures.serve);
	desk_stats(s->desk, &s->figures.desk);
	if (s->sink != NULL)
		sink_figures_take(&s->figures.sink, s->sink);
	return figures_write(figures, FIGURE_COUNT(figures), &s->figures, text);
}

/* ---- what others have to say -------------------------------------------- */

static void
on_settled(void *arg, struct sink_parcel *parcel)
{
	struct server *s = arg;

	serve_settled(s->serve, parcel);
}

static void
on_serve_says(void *arg, int priority, const char *text)
{
	(void)arg;
	log_limited("serve", priority, "%s", text);
}

/* Notifications that have been stored. Whoever reads them must not hold us up. */
static void
on_publish(void *arg, struct str lines)
{
	struct server *s = arg;

	if (s->unheard || output_pending(&s->output) + lines.len > OUTPUT_ROOM ||
	    output_add(&s->output, lines) == -1)
		s->figures.dropped++;
}

/* ---- the socket --------------------------------------------------------- */

static int
take_requests(struct server *s, struct error *e)
{
	struct parcel m, answer;
	struct str reply;
	int r = 1;

	for (int i = 0; i < AT_ONCE; i++) {
		if ((r = socket_receive(s->socket, &m, e)) != 1)
			break;
		desk_take(s->desk, &m, &reply);
		answer = (struct parcel){ .peer_id = m.peer_id, .delimiter = m.delimiter, .body = reply };
		if (reply.len > 0 && socket_send(s->socket, &answer, NULL, e) == -1)
			return -1;
	}
	return r == -1 ? -1 : 0;
}

static int
send_letters(struct server *s, struct error *e)
{
	struct parcel letter;
	bool gone;
	int r;

	while (desk_next(s->desk, &letter)) {
		if ((r = socket_send(s->socket, &letter, &gone, e)) == -1)
			return -1;
		if (r == 0)
			desk_blocked(s->desk);
		else if (gone)
			desk_gone(s->desk);
		else
			desk_sent(s->desk);
	}
	return 0;
}

/* ---- the loop ----------------------------------------------------------- */

enum { SOCKET, SINK, POOL, NEWS, OUTPUT, WATCHES };

static void
watch(const struct server *s, struct hub_watch w[WATCHES])
{
	bool pending = output_pending(&s->output) > 0;

	w[SOCKET] = (struct hub_watch){ .socket = s->socket, .events = HUB_READ };
	w[SINK] = (struct hub_watch){ .fd = s->sink != NULL ? sink_fd(s->sink) : -1, .events = HUB_READ };
	w[POOL] = (struct hub_watch){ .fd = pool_fd(reads_pool(s->reads)), .events = HUB_READ };
	w[NEWS] = (struct hub_watch){ .fd = s->news, .events = HUB_READ };
	w[OUTPUT] = (struct hub_watch){ .fd = s->settings->pass && !s->unheard ? s->output.fd : -1,
	    .events = pending ? HUB_WRITE : 0 };
}

static int
work_sink(struct server *s, bool ready, struct error *e)
{
	if (s->sink == NULL)
		return 0;
	sink_flush(s->sink);
	if (ready && sink_work(s->sink, e) == -1)
		return -1;
	serve_resume(s->serve);
	sink_flush(s->sink);
	return 0;
}

static int
flush_output(struct server *s, unsigned ready, struct error *e)
{
	struct error why;
	int r = s->unheard ? 0 : output_flush(&s->output, &why);

	if (r == -1 && why.kind != ERROR_GONE) {
		*e = why;
		return -1;
	}
	if ((r == -1 || ready & HUB_HANGUP) && !s->unheard) {
		s->unheard = true;
		log_say(LOG_WARNING, "standard output: nobody reads the notifications any more");
	}
	if (s->unheard)
		s->output.written = s->output.buf.len;
	return 0;
}

static void
tick(struct server *s)
{
	double t = when_ticks();

	if (t - s->retried >= RETRY) {
		s->retried = t;
		desk_unblock(s->desk);
	}
	if (t - s->ticked < TICK)
		return;
	s->ticked = t;
	serve_tick(s->serve);
	desk_tick(s->desk);
}

static int
play_round(struct server *s, struct error *e)
{
	struct hub_watch w[WATCHES];

	watch(s, w);
	if (service_wait(s->service, w, WATCHES, desk_is_blocked(s->desk) ? RETRY : TICK, e) == -1 ||
	    (w[SOCKET].ready != 0 && take_requests(s, e) == -1) ||
	    work_sink(s, w[SINK].ready != 0, e) == -1)
		return -1;
	pool_reap(reads_pool(s->reads));   /* there may be what was looked for just now */
	if (w[NEWS].ready != 0) {
		reads_watched(s->reads);
		serve_news(s->serve);
	}
	tick(s);
	return send_letters(s, e) == -1 ? -1 : flush_output(s, w[OUTPUT].ready, e);
}

static bool
at_end(struct server *s)
{
	if (!service_stopping(s->service))
		return false;
	if (!s->ending) {
		s->ending = true;
		desk_stop(s->desk);
		serve_stop(s->serve);
	}
	return service_patience(s->service) <= 0 || (!serve_busy(s->serve) && output_pending(&s->output) == 0);
}

static int
work(struct server *s, struct error *e)
{
	service_ready(s->service);
	while (!at_end(s))
		if (play_round(s, e) == -1)
			return -1;
	return 0;
}

/* ---- begin and end ------------------------------------------------------ */

static int
name_run(struct server *s, struct error *e)
{
	unsigned char random[16];

	if (crypto_random(random, sizeof(random), e) == -1)
		return -1;
	memcpy(s->run, "zmq-", 4);
	crypto_hex(random, sizeof(random), s->run + 4);
	return 0;
}

static int
open_sink(struct server *s, struct error *e)
{
	const struct settings *o = s->settings;

	if (o->command == NULL && o->sink == NULL)
		return 0;
	s->sink = sink_new(&(struct sink_settings){
		.command = o->command,
		.path = o->sink,
		.room = o->room,
		.retry_min = o->common.retry_min,
		.retry_max = o->common.retry_max,
		.settled = on_settled,
		.say = service_say,
		.arg = s,
	}, e);
	return s->sink != NULL ? 0 : -1;
}

static int
open_serve(struct server *s, struct error *e)
{
	const struct settings *o = s->settings;

	s->desk = desk_new(&(struct desk_settings){
		.allow = service_allow(s->service),
		.uploads = s->sink != NULL,
		.max_sessions = MAX_SESSIONS,
		.max_waiting = MAX_WAITING,
		.max_waiting_all = MAX_WAITING_ALL,
	}, e);
	s->serve = serve_new(&(struct serve_settings){
		.auth = s->auth, .sink = s->sink, .reads = s->reads, .pool = reads_pool(s->reads),
		.numbered = true, .run = s->run,
		.timeout = o->timeout, .auth_timeout = o->timeout, .ping_interval = INFINITY,
		.max_message = o->max_message, .max_records = MAX_RECORDS, .max_answer = SIZE_MAX,
		.whole = o->max_answer, .quiet = true,
		.max_queue = MAX_QUEUE, .max_reads = MAX_READS,
		.publish = o->pass ? on_publish : NULL, .say = on_serve_says, .wake = desk_wake,
		.arg = s,
	}, e);
	if (s->desk == NULL || s->serve == NULL)
		return -1;
	desk_serve(s->desk, s->serve);
	return 0;
}

static int
open_server(struct server *s, struct error *e)
{
	const struct settings *o = s->settings;

	s->service = service_new(&(struct service_settings){
		.common = &o->common, .metrics = write_metrics, .arg = s,
	}, e);
	if (s->service == NULL || name_run(s, e) == -1 || open_sink(s, e) == -1 ||
	    (s->auth = auth_new(&(struct auth_settings){ .none = true }, e)) == NULL ||
	    (s->reads = reads_new(o->store, o->readers, e)) == NULL || open_serve(s, e) == -1 ||
	    (s->news = reads_watch(s->reads, e)) == -1)
		return -1;
	reads_at_once(s->reads);
	s->socket = service_socket(s->service, SOCKET_ROUTER, o->common.endpoints,
	    o->common.endpoint_count, (size_t)o->max_message, e);
	return s->socket != NULL ? 0 : -1;
}

static void
close_server(struct server *s)
{
	uint64_t left = 0;

	desk_free(&s->desk);
	if (s->sink != NULL)
		left = sink_free(&s->sink, service_patience(s->service));
	if (left > 0)
		log_say(LOG_WARNING, "%" PRIu64 " records are not settled, and not acknowledged", left);
	serve_free(&s->serve);
	reads_free(&s->reads);
	auth_free(&s->auth);
	socket_free(&s->socket);
	service_free(&s->service);
	output_free(&s->output);
}

static int
serve(const struct settings *o)
{
	struct server s = {
		.settings = o, .output = { .fd = STDOUT_FILENO }, .news = -1,
	};
	struct error e;
	int r = open_server(&s, &e), status;

	if (r == 0)
		r = work(&s, &e);
	status = service_status(r, &e);
	close_server(&s);
	return status;
}

/* ---- options ------------------------------------------------------------ */

static void
parse_option(struct settings *s, int key)
{
	switch (key) {
	case 'd':
		s->store = cli_store(optarg);
		break;
	case OPT_SINK:
		s->sink = cli_sink(optarg);
		break;
	case OPT_ROOM:
		s->room = cli_size("--room", optarg, 1, OPTIONS_LARGEST);
		break;
	case OPT_PASS:
		s->pass = true;
		break;
	case OPT_MAX_MESSAGE:
		s->max_message = cli_size("--max-message", optarg, 1, STORE_LONGEST);
		break;
	case OPT_MAX_ANSWER:
		s->max_answer = cli_size("--max-answer", optarg, 1, OPTIONS_LARGEST);
		break;
	case OPT_TIMEOUT:
		s->timeout = cli_duration("--timeout", optarg, 1, OPTIONS_LONGEST);
		break;
	case OPT_READERS:
		s->readers = (unsigned)cli_count("--readers", optarg, 1, 64);
		break;
	default:
		common_option(&s->common, key);
	}
}

static int
run(struct cli *cli, char *const *command)
{
	struct settings s = {
		.common = COMMON_DEFAULTS,
		.command = command,
		.room = ROOM,
		.max_message = MAX_MESSAGE,
		.max_answer = MAX_ANSWER,
		.readers = READERS,
		.timeout = TIMEOUT,
	};
	int key;

	while ((key = cli_next(cli)) != -1)
		parse_option(&s, key);
	common_operands(&s.common, cli, true);
	options_check_sink(s.sink, command, false);
	if (s.common.secret_key != NULL && s.common.allow == NULL)
		cli_usage("with --curve-key, who may ask for what has to be said: --curve-allow");
	if (s.store == NULL)
		s.store = cli_read_store(STORE_DEFAULT);
	return serve(&s);
}

const struct verb verb_serve = {
	.name = "serve",
	.synopsis = "[OPTION]... ENDPOINT... [-- SINK [ARGUMENT]...]",
	.about = "Answer the protocol's requests of other backends.",
	.options = options,
	.command = true,
	.run = run,
};
