/*
 * monitor-zmq pull - lines of many pushers, to one sink, and its answers back.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "common.h"
#include "crypto.h"
#include "log.h"
#include "options.h"
#include "relay_pull.h"
#include "service.h"
#include "sink.h"
#include "sink_figures.h"
#include "socket_figures.h"
#include "verb.h"
#include "when.h"

#define MAX_MESSAGE ((uint64_t)8 << 20)
#define ROOM ((uint64_t)16 << 20)   /* as push keeps: see there */
#define AT_ONCE 16             /* messages taken in a row, */
#define BYTES_AT_ONCE ((size_t)1 << 20)   /* and about so much */
#define TICK 0.25              /* seconds, while there is something to do */
#define WORD 3.0               /* seconds of silence: a pusher's patience is five times that */

enum { OPT_SINK = COMMON_OWN, OPT_ROOM, OPT_MAX_MESSAGE };

static const struct cli_option options[] = {
	{ 0, NULL, NULL, "The sink (or behind --, a command)" },
	{ OPT_SINK, "sink", "unix:PATH", "the socket on which it listens" },
	{ OPT_ROOM, "room", "SIZE", "of unsettled lines of all pushers (default: 16M)" },
	{ 0, NULL, NULL, "Records" },
	CLI_LABELS,
	{ OPT_MAX_MESSAGE, "max-message", "SIZE", "cut off who sends larger ones (default: 8M)" },
	{ COMMON_STOP_TIMEOUT, "stop-timeout", "DURATION", "to settle after SIGTERM (default: 10s)" },
	COMMON_OPTIONS,
};

struct settings {
	struct common common;
	char *const *command;
	const char *sink;
	uint64_t room, max_message;
	struct ndjson_defaults defaults;
};

struct figures {
	struct socket_stats socket;
	struct relay_pull_stats relay;
	struct sink_figures sink;
};

struct pull {
	const struct settings *settings;
	struct service *service;
	struct socket *socket;
	struct sink *sink;
	struct relay_pull *relay;
	double ticked;
	struct figures figures;
};

static const struct figure figures[] = {
	SOCKET_FIGURES("", struct figures, socket),
	{ "monitor_zmq_pull_pushers", FIGURE_GAUGE, "Pushers that have greeted.",
	    FIGURE_AT(struct figures, relay.pushers) },
	{ "monitor_zmq_pull_greetings_total", FIGURE_COUNTER, "Greetings of pushers.",
	    FIGURE_AT(struct figures, relay.greetings) },
	{ "monitor_zmq_pull_batches_total", FIGURE_COUNTER, "Batches of lines taken.",
	    FIGURE_AT(struct figures, relay.batches) },
	{ "monitor_zmq_pull_lines_total", FIGURE_COUNTER, "Lines handed to the sink.",
	    FIGURE_AT(struct figures, relay.intake.lines) },
	{ "monitor_zmq_pull_refused_lines_total", FIGURE_COUNTER, "Lines that are no records.",
	    FIGURE_AT(struct figures, relay.intake.refused) },
	{ "monitor_zmq_pull_unnumbered_lines_total", FIGURE_COUNTER,
	    "Lines without a readable number, and dropped.",
	    FIGURE_AT(struct figures, relay.intake.unnumbered) },
	{ "monitor_zmq_pull_ungreeted_total", FIGURE_COUNTER,
	    "Batches of pushers that have to begin anew.", FIGURE_AT(struct figures, relay.ungreeted) },
	{ "monitor_zmq_pull_odd_messages_total", FIGURE_COUNTER, "Messages that made no sense, and dropped.",
	    FIGURE_AT(struct figures, relay.odd) },
	SINK_FIGURES(struct figures, sink),
};

static int
write_metrics(void *arg, struct buf *text)
{
	struct pull *p = arg;

	socket_stats(p->socket, &p->figures.socket);
	relay_pull_stats(p->relay, &p->figures.relay);
	sink_figures_take(&p->figures.sink, p->sink);
	return figures_write(figures, FIGURE_COUNT(figures), &p->figures, text);
}

/* ---- what others have to say -------------------------------------------- */

static void
on_settled(void *arg, struct sink_parcel *parcel)
{
	struct pull *p = arg;

	relay_pull_settled(p->relay, parcel);
}

static void
on_rejected(void *arg, struct sink_parcel *parcel, int64_t seq, struct str reason)
{
	struct pull *p = arg;

	relay_pull_rejected(p->relay, parcel, seq, reason);
}

static void
on_relay_says(void *arg, int priority, const char *text)
{
	(void)arg;
	log_limited("relay", priority, "%s", text);
}

/* ---- the socket --------------------------------------------------------- */

static void
take_message(struct pull *p, const struct parcel *m)
{
	struct str body = m->body;
	struct error why;

	if (m->extra > 0 || m->delimiter)
		body.len = 0;   /* which makes no sense either */
	if (relay_pull_take(p->relay, m->peer_id, m->peer, body, when_ticks(), &why) == -1)
		log_limited("odd", LOG_WARNING, "%.*s: a message is dropped: %s", STR_ARGS(m->peer), why.text);
}

static int
take_messages(struct pull *p, struct error *e)
{
	struct parcel m;
	size_t bytes = 0;
	int r = 1;

	for (int i = 0; i < AT_ONCE && bytes < BYTES_AT_ONCE; i++) {
		if ((r = socket_receive(p->socket, &m, e)) != 1)
			break;
		bytes += m.body.len;
		take_message(p, &m);
	}
	return r == -1 ? -1 : 0;
}

static int
send_messages(struct pull *p, struct error *e)
{
	struct parcel m = { .extra = 0 };
	bool gone;
	int r;

	while (relay_pull_next(p->relay, &m.peer_id, &m.body)) {
		if ((r = socket_send(p->socket, &m, &gone, e)) == -1)
			return -1;
		if (r == 0)
			relay_pull_blocked(p->relay);
		else if (gone)
			relay_pull_gone(p->relay);
		else
			relay_pull_sent(p->relay, when_ticks());
	}
	return 0;
}

/* ---- the loop ----------------------------------------------------------- */

static bool
at_end(struct pull *p)
{
	if (!service_stopping(p->service))
		return false;
	relay_pull_stop(p->relay);
	return !relay_pull_busy(p->relay) || service_patience(p->service) <= 0;
}

static void
tick(struct pull *p)
{
	double t = when_ticks();

	if (t - p->ticked >= TICK) {
		p->ticked = t;
		relay_pull_tick(p->relay, t);
	}
}

/* How long may it be until the next? */
static double
pause_of(const struct pull *p)
{
	struct relay_pull_stats s;

	if (relay_pull_busy(p->relay) || service_stopping(p->service))
		return TICK;
	relay_pull_stats(p->relay, &s);
	return s.pushers > 0 ? WORD / 3 : INFINITY;
}

static int
play_round(struct pull *p, struct error *e)
{
	struct hub_watch w[] = {
		{ .socket = p->socket, .events = service_stopping(p->service) ? 0 : HUB_READ },
		{ .fd = sink_fd(p->sink), .events = HUB_READ },
	};

	if (service_wait(p->service, w, 2, pause_of(p), e) == -1 ||
	    (w[0].ready != 0 && take_messages(p, e) == -1))
		return -1;
	sink_flush(p->sink);
	if (w[1].ready != 0 && sink_work(p->sink, e) == -1)
		return -1;
	tick(p);
	return send_messages(p, e);
}

static int
work(struct pull *p, struct error *e)
{
	service_ready(p->service);
	while (!at_end(p))
		if (play_round(p, e) == -1)
			return -1;
	return 0;
}

static int
open_sink(struct pull *p, struct error *e)
{
	const struct settings *s = p->settings;

	p->sink = sink_new(&(struct sink_settings){
		.command = s->command,
		.path = s->sink,
		.room = s->room,
		.retry_min = s->common.retry_min,
		.retry_max = s->common.retry_max,
		.settled = on_settled,
		.rejected = on_rejected,
		.say = service_say,
		.arg = p,
	}, e);
	return p->sink != NULL ? 0 : -1;
}

/* So much credit that the batches it makes are not longer than a message may be. */
static uint64_t
room_for_batches(const struct settings *s)
{
	const uint64_t longest = RELAY_BATCH_MOST + RELAY_LINES_HEAD;
	uint64_t batch;

	if (s->max_message >= longest)
		return s->room;
	batch = s->max_message > RELAY_LINES_HEAD ? s->max_message - RELAY_LINES_HEAD : 0;
	return batch * RELAY_CREDIT_BATCHES < s->room ? batch * RELAY_CREDIT_BATCHES : s->room;
}

static int
open_relay(struct pull *p, struct error *e)
{
	struct relay_pull_settings s = {
		.sink = p->sink,
		.room = room_for_batches(p->settings),
		.heartbeat = WORD,
		.defaults = p->settings->defaults,
		.say = on_relay_says,
	};

	if (crypto_random(s.run, sizeof(s.run), e) == -1 || (p->relay = relay_pull_new(&s, e)) == NULL)
		return -1;
	return 0;
}

static int
open_pull(struct pull *p, struct error *e)
{
	const struct common *c = &p->settings->common;

	p->service = service_new(&(struct service_settings){
		.common = c, .metrics = write_metrics, .arg = p,
	}, e);
	if (p->service == NULL || open_sink(p, e) == -1 || open_relay(p, e) == -1)
		return -1;
	p->socket = service_socket(p->service, SOCKET_ROUTER, c->endpoints, c->endpoint_count,
	    p->settings->max_message, e);
	return p->socket != NULL ? 0 : -1;
}

/* Whoever sent what is left still has it. */
static void
close_sink(struct pull *p)
{
	uint64_t left;

	if (p->sink == NULL)
		return;
	if ((left = sink_free(&p->sink, service_patience(p->service))) > 0)
		log_say(LOG_NOTICE, "%" PRIu64 " lines are not settled; their pushers will send them again",
		    left);
}

static int
pull(const struct settings *s)
{
	struct pull p = { .settings = s };
	struct relay_pull_stats stats;
	struct error e;
	int r = open_pull(&p, &e), status;

	if (r == 0)
		r = work(&p, &e);
	status = service_status(r, &e);
	close_sink(&p);
	if (status == EXIT_SUCCESS) {
		relay_pull_stats(p.relay, &stats);
		log_say(LOG_INFO, "%" PRIu64 " line%s (%" PRIu64 " refused)", stats.intake.lines,
		    stats.intake.lines == 1 ? "" : "s", stats.intake.refused);
	}
	relay_pull_free(&p.relay);
	socket_free(&p.socket);
	service_free(&p.service);
	return status;
}

/* ---- options ------------------------------------------------------------ */

static void
parse_option(struct settings *s, int key)
{
	switch (key) {
	case OPT_SINK:
		s->sink = cli_sink(optarg);
		break;
	case OPT_ROOM:
		s->room = cli_size("--room", optarg, 1, OPTIONS_LARGEST);
		break;
	case OPT_MAX_MESSAGE:
		s->max_message = cli_size("--max-message", optarg, 1, OPTIONS_LARGEST);
		break;
	default:
		if (!cli_label(key, optarg, &s->defaults))
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
		.defaults = { .kind = RECORD_LOG, .watchdog = str_of("local") },
	};
	int key;

	while ((key = cli_next(cli)) != -1)
		parse_option(&s, key);
	common_operands(&s.common, cli, true);
	for (size_t i = 0; i < s.common.endpoint_count; i++)
		if (!s.common.endpoints[i].bind)
			cli_usage("pull listens, and pushers connect to it");
	options_check_sink(s.sink, command, true);
	return pull(&s);
}

const struct verb verb_pull = {
	.name = "pull",
	.synopsis = "[OPTION]... ENDPOINT... [-- SINK [ARGUMENT]...]",
	.about = "Take records of pushers to a sink.",
	.options = options,
	.command = true,
	.run = run,
};
