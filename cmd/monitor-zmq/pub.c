/*
 * monitor-zmq pub - records from standard input, to whoever subscribes to them.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "common.h"
#include "crypto.h"
#include "input.h"
#include "log.h"
#include "ndjson.h"
#include "numbers.h"
#include "output.h"
#include "pubsub.h"
#include "service.h"
#include "socket_figures.h"
#include "verb.h"
#include "when.h"

#define SUBSCRIPTION_MAX 1024           /* bytes; a topic has 80 at most */
#define TOPICS ((size_t)1 << 18)        /* whose numbers are kept */
#define RUN_SIZE 17
#define WAIT 1.0

enum { OPT_PASS = COMMON_OWN, OPT_WAIT };

static const struct cli_option options[] = {
	{ 0, NULL, NULL, "Records" },
	{ OPT_PASS, "pass", NULL, "copy standard input to standard output, too" },
	{ OPT_WAIT, "wait", "DURATION", "for a first subscriber, before the first record (default: 1s)" },
	COMMON_OPTIONS,
};

struct settings {
	struct common common;
	bool pass;
	double wait;
};

struct figures {
	struct socket_stats socket;
	uint64_t records, refused, runs;
};

struct pub {
	const struct settings *settings;
	struct service *service;
	struct socket *socket;
	struct input input;
	struct output output;
	struct ndjson *reader;
	struct numbers *numbers;
	char run[RUN_SIZE];        /* what publishes: a name that nobody else has */
	struct buf topic, frame;
	bool wanted;               /* somebody has subscribed to something, once */
	struct figures figures;
};

static const struct figure figures[] = {
	SOCKET_FIGURES("", struct figures, socket),
	{ "monitor_zmq_records_total", FIGURE_COUNTER, "Records published.",
	    FIGURE_AT(struct figures, records) },
	{ "monitor_zmq_refused_total", FIGURE_COUNTER, "Lines that were no records.",
	    FIGURE_AT(struct figures, refused) },
};

static int
write_metrics(void *arg, struct buf *text)
{
	struct pub *p = arg;

	socket_stats(p->socket, &p->figures.socket);
	return figures_write(figures, FIGURE_COUNT(figures), &p->figures, text);
}

/* ---- records ---- */

/* Be somebody else, who has not published anything yet. */
static int
begin_run(struct pub *p, struct error *e)
{
	if (crypto_random_name(p->run, sizeof(p->run), e) == -1)
		return -1;
	numbers_clear(p->numbers);
	return 0;
}

/* The topic's next number. Where there are more topics than can be kept, what was forgotten must
 * not begin at 1 again under the same name. */
static int
next_number(struct pub *p, struct str topic, uint64_t *number, struct error *e)
{
	static const struct str nothing = { "", 0 };
	bool forgot;
	uint64_t *last = numbers_of(p->numbers, topic, nothing, &forgot);

	if (forgot) {
		if (begin_run(p, e) == -1)
			return -1;
		last = numbers_of(p->numbers, topic, nothing, &forgot);
	}
	*number = ++*last;
	return 0;
}

static int
publish(struct pub *p, const struct record *r, struct str line, struct error *e)
{
	struct pubsub f = {
		.kind = r->kind, .watchdog = r->watchdog, .publisher = str_of(p->run), .line = line,
	};

	p->topic.len = p->frame.len = 0;
	if (pubsub_write_topic(&p->topic, r->kind, r->watchdog) == -1)
		return error_memory(e);
	if (next_number(p, (struct str){ p->topic.data, p->topic.len }, &f.number, e) == -1)
		return -1;
	if (pubsub_write(&p->frame, &f) == -1)
		return error_memory(e);
	/* Never waits: for whom there is no room, it is lost. */
	if (socket_send(p->socket, &(struct parcel){ .body = { p->frame.data, p->frame.len } }, NULL,
	    e) == -1)
		return -1;
	p->figures.records++;
	return 0;
}

static void
refuse(struct pub *p, const char *why)
{
	p->figures.refused++;
	log_limited("refused", LOG_WARNING, "standard input:%" PRIu64 ": %s", p->input.lines, why);
}

static int
take_line(struct pub *p, struct str line, bool cut, struct error *e)
{
	struct ndjson_line read;
	struct error why;

	if (cut) {
		refuse(p, "the line is too long");
		return 0;
	}
	if (str_is_blank(line))
		return 0;
	if (ndjson_read(p->reader, line, &read, &why) == -1) {
		refuse(p, why.text);
		return 0;
	}
	return publish(p, &read.record, line, e);
}

static int
take_input(struct pub *p, struct error *e)
{
	struct str piece, line;
	bool cut;

	if (input_read(&p->input, &piece, e) == -1)
		return -1;
	if (p->settings->pass && output_add(&p->output, piece) == -1)
		return error_memory(e);
	while (input_line(&p->input, &line, &cut))
		if (take_line(p, line, cut, e) == -1)
			return -1;
	return 0;
}

/* ---- the loop ---- */

/* What subscribers ask for is libzmq's business; that they do is ours. */
static int
take_subscriptions(struct pub *p, struct error *e)
{
	struct parcel m;
	int r;

	while ((r = socket_receive(p->socket, &m, e)) == 1)
		p->wanted |= m.body.len > 0 && m.body.data[0] == 1;
	return r;
}

/* Who is not connected yet would miss the first records, and perhaps these are all. */
static int
wait_for_subscriber(struct pub *p, struct error *e)
{
	struct hub_watch watch = { .socket = p->socket, .events = HUB_READ };
	const double end = when_ticks() + p->settings->wait;

	while (!p->wanted && !service_stopping(p->service) && when_ticks() < end)
		if (service_wait(p->service, &watch, 1, end - when_ticks(), e) == -1 ||
		    take_subscriptions(p, e) == -1)
			return -1;
	if (!p->wanted && !service_stopping(p->service))
		log_say(LOG_NOTICE, "nobody has subscribed yet: what is published until then is lost");
	return 0;
}

static bool
at_end(const struct pub *p)
{
	return service_stopping(p->service) ||
	    (p->input.ended && output_pending(&p->output) == 0);
}

static int
work(struct pub *p, struct error *e)
{
	struct hub_watch subscriptions = { .socket = p->socket, .events = HUB_READ };
	struct hub_watch w[3];

	service_ready(p->service);
	if (wait_for_subscriber(p, e) == -1)
		return -1;
	while (!at_end(p)) {
		bool reads = !p->input.ended && output_pending(&p->output) < OUTPUT_ROOM;
		bool writes = output_pending(&p->output) > 0;
		w[0] = subscriptions;
		w[1] = (struct hub_watch){ .fd = reads ? p->input.fd : -1, .events = HUB_READ };
		w[2] = (struct hub_watch){ .fd = writes ? p->output.fd : -1, .events = HUB_WRITE };
		if (service_wait(p->service, w, 3, INFINITY, e) == -1 ||
		    take_subscriptions(p, e) == -1 ||
		    (w[1].ready != 0 && take_input(p, e) == -1) || output_flush(&p->output, e) == -1)
			return -1;
	}
	return 0;
}

static int
open_pub(struct pub *p, struct error *e)
{
	static const struct ndjson_defaults defaults = { .kind = RECORD_LOG, .watchdog = { "local", 5 } };
	const struct common *c = &p->settings->common;

	p->service = service_new(&(struct service_settings){
		.common = c, .metrics = write_metrics, .arg = p,
	}, e);
	if (p->service == NULL || (p->reader = ndjson_new(&defaults, e)) == NULL ||
	    (p->numbers = numbers_new(TOPICS, e)) == NULL || begin_run(p, e) == -1)
		return -1;
	p->socket = service_socket(p->service, SOCKET_XPUB, c->endpoints, c->endpoint_count,
	    SUBSCRIPTION_MAX, e);
	return p->socket != NULL ? 0 : -1;
}

static int
pub(const struct settings *s)
{
	struct pub p = {
		.settings = s,
		.input = { .fd = STDIN_FILENO, .max = PUBSUB_LINE_MAX },
		.output = { .fd = STDOUT_FILENO },
	};
	struct error e;
	int r = open_pub(&p, &e), status;

	if (r == 0)
		r = work(&p, &e);
	if (r == -1 && e.kind == ERROR_GONE)
		r = 0;
	if ((status = service_status(r, &e)) == EXIT_SUCCESS) {
		log_say(LOG_INFO, "%" PRIu64 " record%s (%" PRIu64 " refused)", p.figures.records,
		    p.figures.records == 1 ? "" : "s", p.figures.refused);
		if (p.figures.refused > 0 && !service_stopping(p.service))
			status = EXIT_REFUSED;
	}
	socket_free(&p.socket);
	service_free(&p.service);
	numbers_free(&p.numbers);
	ndjson_free(&p.reader);
	input_free(&p.input);
	output_free(&p.output);
	buf_free(&p.topic);
	buf_free(&p.frame);
	return status;
}

static int
run(struct cli *cli, char *const *command)
{
	struct settings s = { .common = COMMON_DEFAULTS, .wait = WAIT };
	struct error e;
	int key;

	(void)command;
	while ((key = cli_next(cli)) != -1) {
		if (key == OPT_PASS)
			s.pass = true;
		else if (key != OPT_WAIT)
			common_option(&s.common, key);
		else if (when_parse_duration(optarg, &s.wait, &e) == -1)
			cli_usage("--wait: %s", e.text);
	}
	common_operands(&s.common, cli, false);
	return pub(&s);
}

const struct verb verb_pub = {
	.name = "pub",
	.synopsis = "[OPTION]... [ENDPOINT]...",
	.about = "Publish records: lines of JSON from standard input.",
	.options = options,
	.run = run,
};
