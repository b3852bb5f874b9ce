/*
 * monitor-zmq push - lines from standard input to a puller, kept until its sink has settled
 * them: with --ack a sink itself.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "common.h"
#include "crypto.h"
#include "log.h"
#include "options.h"
#include "output.h"
#include "push_lines.h"
#include "relay_push.h"
#include "service.h"
#include "socket_figures.h"
#include "store.h"
#include "verb.h"
#include "when.h"

#define MESSAGE_MAX ((size_t)4 << 20)   /* bytes from a puller: it sends a sixteenth of that */
#define AT_ONCE 64                      /* messages taken in a row */
#define HIGH_WATER 64                   /* batches that may wait in the socket: they are kept here, too */
#define MAX_LINE ((uint64_t)4 << 20)
#define MAX_UNSETTLED ((uint64_t)16 << 20)   /* more than that leaves the caches before it is settled */
#define PATIENCE 15.0

enum { OPT_ACK = COMMON_OWN, OPT_MAX_LINE, OPT_MAX_UNSETTLED, OPT_PATIENCE };

static const struct cli_option options[] = {
	{ 0, NULL, NULL, "Records" },
	{ OPT_ACK, "ack", NULL, "be a sink: acknowledge on standard output what is settled" },
	CLI_LABELS,
	{ OPT_MAX_LINE, "max-line", "SIZE", "refuse longer lines (default: 4M)" },
	{ OPT_MAX_UNSETTLED, "max-unsettled", "SIZE", "read no more while so much is kept (default: 16M)" },
	{ OPT_PATIENCE, "patience", "DURATION", "begin anew after such a silence (default: 15s)" },
	{ COMMON_STOP_TIMEOUT, "stop-timeout", "DURATION", "to settle after SIGTERM (default: 10s)" },
	COMMON_OPTIONS,
};

struct settings {
	struct common common;
	bool ack;
	struct ndjson_defaults defaults;
	uint64_t max_line, max_unsettled;
	double patience;
};

struct figures {
	struct socket_stats socket;
	struct relay_push_stats relay;
	uint64_t refused, welcome;
};

struct push {
	const struct settings *settings;
	struct service *service;
	struct socket *socket;
	struct relay_push *relay;
	struct push_lines lines;
	struct output answers;
	uint64_t connected;        /* connections, as far as the relay knows */
	bool blocked;              /* there was no room to send */
	bool unheard;              /* nobody reads the answers */
	struct figures figures;
};

static const struct figure figures[] = {
	SOCKET_FIGURES("", struct figures, socket),
	{ "monitor_zmq_push_settled_lines_total", FIGURE_COUNTER, "Lines that the far sink has settled.",
	    FIGURE_AT(struct figures, relay.lines) },
	{ "monitor_zmq_push_settled_bytes_total", FIGURE_COUNTER, "Bytes of these.",
	    FIGURE_AT(struct figures, relay.bytes) },
	{ "monitor_zmq_push_unsettled_lines", FIGURE_GAUGE, "Lines kept until they are settled.",
	    FIGURE_AT(struct figures, relay.unsettled_lines) },
	{ "monitor_zmq_push_unsettled_bytes", FIGURE_GAUGE, "Bytes of these.",
	    FIGURE_AT(struct figures, relay.unsettled_bytes) },
	{ "monitor_zmq_push_resent_lines_total", FIGURE_COUNTER, "Lines sent more than once.",
	    FIGURE_AT(struct figures, relay.resent) },
	{ "monitor_zmq_push_refused_lines_total", FIGURE_COUNTER, "Lines that were no records, here or there.",
	    FIGURE_AT(struct figures, refused) },
	{ "monitor_zmq_push_greetings_total", FIGURE_COUNTER, "Times that the puller was greeted.",
	    FIGURE_AT(struct figures, relay.greetings) },
	{ "monitor_zmq_push_puller_restarts_total", FIGURE_COUNTER, "Times that it was another puller.",
	    FIGURE_AT(struct figures, relay.restarts) },
	{ "monitor_zmq_push_odd_messages_total", FIGURE_COUNTER, "Messages that made no sense, and dropped.",
	    FIGURE_AT(struct figures, relay.odd) },
	{ "monitor_zmq_push_welcome", FIGURE_GAUGE, "1 while the puller takes lines.",
	    FIGURE_AT(struct figures, welcome) },
};

static int
write_metrics(void *arg, struct buf *text)
{
	struct push *p = arg;

	socket_stats(p->socket, &p->figures.socket);
	relay_push_stats(p->relay, &p->figures.relay);
	p->figures.refused = p->lines.refused;
	p->figures.welcome = p->figures.relay.open;
	return figures_write(figures, FIGURE_COUNT(figures), &p->figures, text);
}

/* ---- answers ------------------------------------------------------------ */

/* Is there room for more? */
static bool
has_room(const struct push *p)
{
	return output_pending(&p->answers) < OUTPUT_ROOM;
}

/* Where nobody reads them any more, nobody wants more lines taken; those that were are
 * settled all the same. */
static void
give_up_answers(struct push *p)
{
	p->unheard = true;
	service_stop(p->service);
}

static int
flush_answers(struct push *p, struct error *e)
{
	struct error why;

	if (!p->unheard && output_flush(&p->answers, &why) == -1) {
		if (why.kind != ERROR_GONE) {
			*e = why;
			return -1;
		}
		give_up_answers(p);
	}
	if (p->unheard)
		p->answers.written = p->answers.buf.len;
	return 0;
}

/* ---- the socket --------------------------------------------------------- */

static int
take_message(struct push *p, const struct parcel *m, struct error *e)
{
	struct str answers, body = m->body;
	struct error why;

	if (m->extra > 0)
		body.len = 0;   /* which makes no sense either */
	if (relay_push_take(p->relay, body, when_ticks(), &answers, &why) == 0)
		return push_lines_answer(&p->lines, answers, e);
	log_limited("odd", LOG_WARNING, "a message is dropped: %s", why.text);
	return 0;
}

static int
take_messages(struct push *p, struct error *e)
{
	struct parcel m;
	int r = 1;

	for (int i = 0; i < AT_ONCE && has_room(p); i++) {
		if ((r = socket_receive(p->socket, &m, e)) != 1)
			break;
		if (take_message(p, &m, e) == -1)
			return -1;
	}
	return r == -1 ? -1 : 0;
}

static int
send_messages(struct push *p, struct error *e)
{
	struct parcel m = { .extra = 0 };
	int r = 1;

	while (relay_push_next(p->relay, when_ticks(), &m.body)) {
		m.held = relay_push_hold(p->relay, m.body);
		m.let_go = m.held != NULL ? relay_push_let_go : NULL;
		r = socket_send(p->socket, &m, NULL, e);
		if (r != 1)
			break;
		relay_push_sent(p->relay, when_ticks());
	}
	p->blocked = r == 0;
	return r == -1 ? -1 : 0;
}

/* Is there a new connection? What was under way on the last one is lost. */
static void
look_at_connection(struct push *p)
{
	struct socket_stats s;

	socket_stats(p->socket, &s);
	if (s.connected != p->connected)
		relay_push_connected(p->relay);
	p->connected = s.connected;
}

/* ---- the loop ----------------------------------------------------------- */

static bool
is_reading(const struct push *p)
{
	return !p->lines.input.ended && !service_stopping(p->service) && has_room(p) &&
	    relay_push_held(p->relay) < p->settings->max_unsettled;
}

static bool
at_end(struct push *p)
{
	bool stopping = service_stopping(p->service);

	if (!stopping && !p->lines.input.ended)
		return false;
	return (stopping && service_patience(p->service) <= 0) ||
	    (relay_push_settled(p->relay) && output_pending(&p->answers) == 0);
}

enum { SOCKET, INPUT, ANSWERS, WATCHES };

static int
wait_for(struct push *p, struct hub_watch w[WATCHES], struct error *e)
{
	double due = p->blocked ? INFINITY : relay_push_due(p->relay) - when_ticks();
	double most = service_stopping(p->service) ? service_patience(p->service) : INFINITY;
	bool answers = p->settings->ack && !p->unheard, pending = output_pending(&p->answers) > 0;

	w[SOCKET] = (struct hub_watch){ .socket = p->socket,
	    .events = (has_room(p) ? HUB_READ : 0) | (p->blocked ? HUB_WRITE : 0) };
	w[INPUT] = (struct hub_watch){ .fd = is_reading(p) ? p->lines.input.fd : -1,
	    .events = HUB_READ };
	w[ANSWERS] = (struct hub_watch){ .fd = answers ? p->answers.fd : -1,
	    .events = pending ? HUB_WRITE : 0 };
	return service_wait(p->service, w, WATCHES, fmax(fmin(due, most), 0), e);
}

static int
work(struct push *p, struct error *e)
{
	struct hub_watch w[WATCHES];

	service_ready(p->service);
	while (!at_end(p)) {
		if (wait_for(p, w, e) == -1)
			return -1;
		if (w[ANSWERS].ready & HUB_HANGUP)
			give_up_answers(p);
		look_at_connection(p);
		if ((w[INPUT].ready != 0 && push_lines_read(&p->lines, e) == -1) ||
		    take_messages(p, e) == -1 || send_messages(p, e) == -1 || flush_answers(p, e) == -1)
			return -1;
	}
	relay_push_finish(p->relay);
	return send_messages(p, e);
}

static int
open_push(struct push *p, struct error *e)
{
	const struct settings *s = p->settings;
	unsigned char run_id[RELAY_RUN_SIZE];

	p->service = service_new(&(struct service_settings){
		.common = &s->common, .metrics = write_metrics, .arg = p,
	}, e);
	if (p->service == NULL || crypto_random(run_id, sizeof(run_id), e) == -1 ||
	    (p->relay = relay_push_new(run_id, s->patience, e)) == NULL)
		return -1;
	p->lines = (struct push_lines){
		.ack = s->ack, .relay = p->relay, .answers = &p->answers,
		.input = { .fd = STDIN_FILENO, .max = s->max_line },
	};
	if (push_lines_begin(&p->lines, run_id, &s->defaults, e) == -1)
		return -1;
	p->socket = service_socket(p->service, SOCKET_DEALER, s->common.endpoints, 1, MESSAGE_MAX, e);
	return p->socket != NULL ? 0 : -1;
}

/* How did it go? The exit status for it. */
static int
summarize(const struct push *p)
{
	struct relay_push_stats s;
	bool stopped = service_stopping(p->service);

	relay_push_stats(p->relay, &s);
	log_say(LOG_INFO, "%" PRIu64 " line%s settled (%" PRIu64 " refused, %" PRIu64 " sent again)",
	    s.lines, s.lines == 1 ? "" : "s", p->lines.refused, s.resent);
	if (s.unsettled_lines > 0)
		log_say(LOG_ERR, "%" PRIu64 " line%s not settled", s.unsettled_lines,
		    s.unsettled_lines == 1 ? " is" : "s are");
	else if (p->unheard && !p->lines.input.ended)
		log_say(LOG_ERR, "standard output: nobody reads the answers");
	else
		return p->lines.refused > 0 && !stopped ? EXIT_REFUSED : EXIT_SUCCESS;
	return EXIT_ERROR;
}

static int
push(const struct settings *s)
{
	struct push p = {
		.settings = s, .answers = { .fd = STDOUT_FILENO },
	};
	struct error e;
	int r = open_push(&p, &e), status;

	if (r == 0)
		r = work(&p, &e);
	status = r == 0 ? summarize(&p) : service_status(r, &e);
	socket_free(&p.socket);
	service_free(&p.service);
	relay_push_free(&p.relay);
	push_lines_end(&p.lines);
	output_free(&p.answers);
	return status;
}

/* ---- options ------------------------------------------------------------ */

static void
parse_option(struct settings *s, int key)
{
	switch (key) {
	case OPT_ACK:
		s->ack = true;
		break;
	case OPT_MAX_LINE:
		s->max_line = cli_size("--max-line", optarg, 1, STORE_LONGEST);
		break;
	case OPT_MAX_UNSETTLED:
		s->max_unsettled = cli_size("--max-unsettled", optarg, 1, OPTIONS_LARGEST);
		break;
	case OPT_PATIENCE:
		s->patience = cli_duration("--patience", optarg, 1, OPTIONS_LONGEST);
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
		.defaults = { .kind = RECORD_LOG, .watchdog = str_of("local") },
		.max_line = MAX_LINE,
		.max_unsettled = MAX_UNSETTLED,
		.patience = PATIENCE,
	};
	int key;

	(void)command;
	while ((key = cli_next(cli)) != -1)
		parse_option(&s, key);
	common_operands(&s.common, cli, false);
	if (s.common.endpoint_count != 1 || s.common.endpoints[0].bind)
		cli_usage("push connects to one endpoint");
	if (s.common.high_water > HIGH_WATER)
		s.common.high_water = HIGH_WATER;
	return push(&s);
}

const struct verb verb_push = {
	.name = "push",
	.synopsis = "[OPTION]... ENDPOINT",
	.about = "Send records to a puller's sink: lines of JSON from standard input.",
	.options = options,
	.run = run,
};
