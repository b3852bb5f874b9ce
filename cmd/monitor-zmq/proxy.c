/*
 * monitor-zmq proxy - the fleet's one broker: what publishers send to its frontend goes to the
 * subscribers at its backend, and what those ask for to the publishers.
 */
#include <math.h>
#include <stdlib.h>

#include "cli.h"
#include "common.h"
#include "log.h"
#include "pubsub.h"
#include "service.h"
#include "socket_figures.h"
#include "verb.h"

#define SUBSCRIPTION_MAX 1024   /* bytes; a topic has 80 at most */
#define AT_ONCE 1000            /* messages from one side before a look at the other */

static const struct cli_option options[] = { COMMON_OPTIONS };

struct proxy {
	struct service *service;
	struct socket *frontend, *backend;
	uint64_t refused;
};

struct proxy_figures {
	struct socket_stats frontend, backend;
	uint64_t refused;
};

static const struct figure figures[] = {
	SOCKET_FIGURES("frontend_", struct proxy_figures, frontend),
	SOCKET_FIGURES("backend_", struct proxy_figures, backend),
	{ "monitor_zmq_messages_refused_total", FIGURE_COUNTER,
	    "Messages that were none of ours, and dropped.", FIGURE_AT(struct proxy_figures, refused) },
};

static int
write_metrics(void *arg, struct buf *text)
{
	const struct proxy *p = arg;
	struct proxy_figures f = { .refused = p->refused };

	socket_stats(p->frontend, &f.frontend);
	socket_stats(p->backend, &f.backend);
	return figures_write(figures, FIGURE_COUNT(figures), &f, text);
}

static void
refuse(struct proxy *p, const char *from, const char *why)
{
	p->refused++;
	log_limited(from, LOG_WARNING, "%s: a message is dropped: %s", from, why);
}

static int
pass_records(struct proxy *p, struct error *e)
{
	struct parcel m;
	int r = 1;

	for (int i = 0; i < AT_ONCE && r == 1; i++) {
		r = socket_pass(p->frontend, p->backend, &m, e);
		if (r == 1 && m.extra > 0)
			refuse(p, "a publisher", "it has more than one frame");
	}
	return r == -1 ? -1 : 0;
}

/* Subscriptions: 1 and what is wanted; 0 and what is not wanted any more. */
static int
pass_subscriptions(struct proxy *p, struct error *e)
{
	struct parcel m;
	int r = 1;

	for (int i = 0; i < AT_ONCE && r == 1; i++) {
		if ((r = socket_receive(p->backend, &m, e)) != 1)
			break;
		if (m.extra > 0 || m.body.len == 0 || (m.body.data[0] != 0 && m.body.data[0] != 1))
			refuse(p, "a subscriber", "it is no subscription");
		else
			r = socket_send(p->frontend, &m, NULL, e);
	}
	return r == -1 ? -1 : 0;
}

static int
work(struct proxy *p, struct error *e)
{
	struct hub_watch watches[] = {
		{ .socket = p->frontend, .events = HUB_READ },
		{ .socket = p->backend, .events = HUB_READ },
	};

	service_ready(p->service);
	while (!service_stopping(p->service)) {
		if (service_wait(p->service, watches, 2, INFINITY, e) == -1)
			return -1;
		if ((watches[1].ready & HUB_READ && pass_subscriptions(p, e) == -1) ||
		    (watches[0].ready & HUB_READ && pass_records(p, e) == -1))
			return -1;
	}
	return 0;
}

static int
proxy(const struct common *c)
{
	struct proxy p = { 0 };
	struct error e;
	int r = -1, status;

	p.service = service_new(&(struct service_settings){
		.common = c, .metrics = write_metrics, .arg = &p,
	}, &e);
	if (p.service != NULL &&
	    (p.frontend = service_socket(p.service, SOCKET_XSUB, &c->endpoints[0], 1,
	    PUBSUB_FRAME_MAX, &e)) != NULL &&
	    (p.backend = service_socket(p.service, SOCKET_XPUB, &c->endpoints[1], 1,
	    SUBSCRIPTION_MAX, &e)) != NULL)
		r = work(&p, &e);
	status = service_status(r, &e);
	socket_free(&p.frontend);
	socket_free(&p.backend);
	service_free(&p.service);
	return status;
}

static int
run(struct cli *cli, char *const *command)
{
	struct common c = COMMON_DEFAULTS;
	int key;

	(void)command;
	while ((key = cli_next(cli)) != -1)
		common_option(&c, key);
	common_operands(&c, cli, true);
	if (c.endpoint_count != 2)
		cli_usage("there must be two endpoints: where publishers come to, and subscribers");
	return proxy(&c);
}

const struct verb verb_proxy = {
	.name = "proxy",
	.synopsis = "[OPTION]... FRONTEND BACKEND",
	.about = "Be the broker between publishers, at FRONTEND, and subscribers, at BACKEND.",
	.options = options,
	.run = run,
};
