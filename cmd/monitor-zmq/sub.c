/*
 * monitor-zmq sub - published records, to standard output.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "common.h"
#include "log.h"
#include "ndjson.h"
#include "numbers.h"
#include "output.h"
#include "pubsub.h"
#include "record.h"
#include "service.h"
#include "socket_figures.h"
#include "verb.h"

#define TOPICS ((size_t)1 << 18)   /* of all publishers, whose numbers are kept */
#define WATCHDOGS 1000
#define AT_ONCE 1000               /* messages before they are written out */

static const struct cli_option options[] = {
	{ 0, NULL, NULL, "Records" },
	{ 'k', "kind", "KIND", "only log, or notification" },
	{ 'W', "watchdog", "CODE", "only of this watchdog; may be repeated" },
	COMMON_OPTIONS,
};

struct settings {
	struct common common;
	unsigned kinds;            /* a set */
	struct str watchdogs[WATCHDOGS];
	size_t watchdog_count;
};

struct figures {
	struct socket_stats socket;
	uint64_t records, refused, missed, gaps, repeated;
};

struct sub {
	const struct settings *settings;
	struct service *service;
	struct socket *socket;
	struct output output;
	struct ndjson *reader;
	struct numbers *numbers;
	struct figures figures;
};

static const struct figure figures[] = {
	SOCKET_FIGURES("", struct figures, socket),
	{ "monitor_zmq_records_total", FIGURE_COUNTER, "Records received.",
	    FIGURE_AT(struct figures, records) },
	{ "monitor_zmq_refused_total", FIGURE_COUNTER, "Messages that were no records, and dropped.",
	    FIGURE_AT(struct figures, refused) },
	{ "monitor_zmq_missed_total", FIGURE_COUNTER, "Records that never came, by their numbers.",
	    FIGURE_AT(struct figures, missed) },
	{ "monitor_zmq_gaps_total", FIGURE_COUNTER, "Gaps that these make.",
	    FIGURE_AT(struct figures, gaps) },
	{ "monitor_zmq_repeated_total", FIGURE_COUNTER, "Records that came a second time, and dropped.",
	    FIGURE_AT(struct figures, repeated) },
};

static int
write_metrics(void *arg, struct buf *text)
{
	struct sub *s = arg;

	socket_stats(s->socket, &s->figures.socket);
	return figures_write(figures, FIGURE_COUNT(figures), &s->figures, text);
}

/* ---- records ---- */

static void
refuse(struct sub *s, const char *why)
{
	s->figures.refused++;
	log_limited("refused", LOG_WARNING, "a message is dropped: %s", why);
}

/* Is it the one that was expected, or a later one? From whom nothing was heard before may have
 * begun before we listened. */
static bool
is_news(struct sub *s, const struct pubsub *p)
{
	bool forgot;
	uint64_t *last = numbers_of(s->numbers, p->publisher, p->topic, &forgot);
	uint64_t missed;

	if (p->number <= *last) {
		s->figures.repeated++;
		return false;
	}
	missed = *last > 0 ? p->number - *last - 1 : 0;
	*last = p->number;
	if (missed > 0) {
		s->figures.gaps++;
		s->figures.missed += missed;
		log_limited("missed", LOG_WARNING, "%.*s of %.*s: %" PRIu64 " missed before number %" PRIu64,
		    STR_ARGS(p->topic), STR_ARGS(p->publisher), missed, p->number);
	}
	return true;
}

/* What goes out must be a record, and of the watchdog that was asked for, whoever sent it. */
static bool
is_record(struct sub *s, const struct pubsub *p, struct error *e)
{
	struct ndjson_line line;

	if (ndjson_read(s->reader, p->line, &line, e) == -1)
		return false;
	if (line.record.kind == p->kind && str_equal(line.record.watchdog, p->watchdog))
		return true;
	error_set(e, ERROR_INVALID, "its record is of another kind or watchdog than its topic");
	return false;
}

static int
take_message(struct sub *s, const struct parcel *m, struct error *e)
{
	struct pubsub p;
	struct error why;

	if (m->extra > 0) {
		refuse(s, "it has more than one frame");
		return 0;
	}
	if (pubsub_read(m->body, &p, &why) == -1 || !is_record(s, &p, &why)) {
		refuse(s, why.text);
		return 0;
	}
	if (!is_news(s, &p))
		return 0;
	s->figures.records++;
	if (output_add(&s->output, p.line) == -1 || output_add(&s->output, str_of("\n")) == -1)
		return error_memory(e);
	return 0;
}

static int
take_messages(struct sub *s, struct error *e)
{
	struct parcel m;
	int r = 1;

	for (int i = 0; i < AT_ONCE && output_pending(&s->output) < OUTPUT_ROOM; i++) {
		if ((r = socket_receive(s->socket, &m, e)) != 1)
			break;
		if (take_message(s, &m, e) == -1)
			return -1;
	}
	return r == -1 ? -1 : 0;
}

/* ---- the loop ---- */

/* While standard output does not take what there is, messages wait in their queue, and when
 * that is full they are lost, which the next ones tell. */
static int
work(struct sub *s, struct error *e)
{
	struct hub_watch w[2];

	service_ready(s->service);
	while (!service_stopping(s->service)) {
		size_t pending = output_pending(&s->output);
		w[0] = (struct hub_watch){ .socket = s->socket, .events = pending < OUTPUT_ROOM ? HUB_READ : 0 };
		w[1] = (struct hub_watch){ .fd = s->output.fd, .events = pending > 0 ? HUB_WRITE : 0 };
		if (service_wait(s->service, w, 2, INFINITY, e) == -1)
			return -1;
		if (w[1].ready & HUB_HANGUP)
			return error_set(e, ERROR_GONE, "standard output: nobody reads it any more");
		if (take_messages(s, e) == -1 || output_flush(&s->output, e) == -1)
			return -1;
	}
	return 0;
}

static int
subscribe(struct sub *s, enum record_kind kind, const struct str *watchdog, struct error *e)
{
	struct buf topic = { 0 };
	int r;

	r = watchdog != NULL ? pubsub_write_topic(&topic, kind, *watchdog) :
	    buf_printf(&topic, "%s.", record_kind_name(kind));
	r = r == -1 ? error_memory(e) :
	    socket_subscribe(s->socket, (struct str){ topic.data, topic.len }, e);
	buf_free(&topic);
	return r;
}

static int
subscribe_all(struct sub *s, struct error *e)
{
	const struct settings *o = s->settings;

	for (unsigned kind = 0; kind < RECORD_KINDS; kind++) {
		if ((o->kinds & RECORD_KIND_BIT(kind)) == 0)
			continue;
		if (o->watchdog_count == 0 && subscribe(s, kind, NULL, e) == -1)
			return -1;
		for (size_t i = 0; i < o->watchdog_count; i++)
			if (subscribe(s, kind, &o->watchdogs[i], e) == -1)
				return -1;
	}
	return 0;
}

static int
open_sub(struct sub *s, struct error *e)
{
	static const struct ndjson_defaults defaults = { .kind = RECORD_LOG, .watchdog = { "local", 5 } };
	const struct common *c = &s->settings->common;

	s->service = service_new(&(struct service_settings){
		.common = c, .metrics = write_metrics, .arg = s,
	}, e);
	if (s->service == NULL || (s->reader = ndjson_new(&defaults, e)) == NULL ||
	    (s->numbers = numbers_new(TOPICS, e)) == NULL)
		return -1;
	s->socket = service_socket(s->service, SOCKET_SUB, c->endpoints, c->endpoint_count,
	    PUBSUB_FRAME_MAX, e);
	return s->socket != NULL ? subscribe_all(s, e) : -1;
}

static int
sub(const struct settings *o)
{
	struct sub s = { .settings = o, .output = { .fd = STDOUT_FILENO } };
	struct error e;
	int r = open_sub(&s, &e), status;

	if (r == 0)
		r = work(&s, &e);
	if (r == -1 && e.kind == ERROR_GONE)
		r = 0;
	if ((status = service_status(r, &e)) == EXIT_SUCCESS)
		log_say(LOG_INFO, "%" PRIu64 " record%s (%" PRIu64 " missed, %" PRIu64 " refused, "
		    "%" PRIu64 " repeated)", s.figures.records, s.figures.records == 1 ? "" : "s",
		    s.figures.missed, s.figures.refused, s.figures.repeated);
	socket_free(&s.socket);
	service_free(&s.service);
	numbers_free(&s.numbers);
	ndjson_free(&s.reader);
	output_free(&s.output);
	return status;
}

static void
parse_option(struct settings *s, int key)
{
	struct str watchdog;

	switch (key) {
	case 'k':
		s->kinds = RECORD_KIND_BIT(cli_kind(optarg));
		break;
	case 'W':
		watchdog = cli_watchdog(optarg);
		if (s->watchdog_count == WATCHDOGS)
			cli_usage("--watchdog: at most %d", WATCHDOGS);
		s->watchdogs[s->watchdog_count++] = watchdog;
		break;
	default:
		common_option(&s->common, key);
	}
}

static int
run(struct cli *cli, char *const *command)
{
	struct settings s = { .common = COMMON_DEFAULTS, .kinds = RECORD_ALL_KINDS };
	int key;

	(void)command;
	while ((key = cli_next(cli)) != -1)
		parse_option(&s, key);
	common_operands(&s.common, cli, false);
	return sub(&s);
}

const struct verb verb_sub = {
	.name = "sub",
	.synopsis = "[OPTION]... [ENDPOINT]...",
	.about = "Write published records to standard output.",
	.options = options,
	.run = run,
};
