/*
 * echod - the yardstick of what the daemon's library can do: a bare libwebsockets server
 * that sends each message back.
 *
 *   echod [-p] [-c CERT -k KEY]
 *
 * Listens on 127.0.0.1 and prints the port, until SIGTERM. On its libev loop; with -p on
 * the library's own, over poll(2). With a certificate and key (PEM files): TLS.
 */
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include <ev.h>
#include <libwebsockets.h>

#include "buf.h"
#include "percentile.h"

#define MESSAGE_MAX (4 << 20)

/* A connection: messages on their way back, each behind its length and the room in front
 * of it that the library wants. The last one may be incomplete. */
struct echo {
	struct buf queue;
	size_t begun;              /* where the one that is coming begins */
	size_t sent;               /* taken up to here */
};

struct head {
	size_t len;
	unsigned char room[LWS_PRE];
};

static volatile sig_atomic_t stopping;

static int
take(struct echo *c, struct lws *wsi, const void *in, size_t len)
{
	struct head head = { 0 };

	if (c->queue.len == c->begun && buf_add(&c->queue, &head, sizeof(head)) == -1)
		return -1;
	if (buf_add(&c->queue, in, len) == -1 || c->queue.len - c->begun > MESSAGE_MAX)
		return -1;
	if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
		return 0;
	head.len = c->queue.len - c->begun - sizeof(head);
	memcpy(c->queue.data + c->begun, &head, sizeof(head));
	c->begun = c->queue.len;
	lws_callback_on_writable(wsi);
	return 0;
}

static int
give(struct echo *c, struct lws *wsi)
{
	struct head head;

	if (c->sent == c->begun)
		return 0;
	memcpy(&head, c->queue.data + c->sent, sizeof(head));
	c->sent += sizeof(head);
	if (lws_write(wsi, (unsigned char *)c->queue.data + c->sent, head.len, LWS_WRITE_TEXT) <
	    (int)head.len)
		return -1;
	c->sent += head.len;
	if (c->sent < c->begun) {
		lws_callback_on_writable(wsi);
	} else {
		buf_consume(&c->queue, c->sent);
		c->begun -= c->sent;
		c->sent = 0;
	}
	return 0;
}

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct echo *c = user;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		*c = (struct echo){ 0 };
		return 0;
	case LWS_CALLBACK_RECEIVE:
		return take(c, wsi, in, len);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return give(c, wsi);
	case LWS_CALLBACK_CLOSED:
		buf_free(&c->queue);
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "echo", .callback = on_event, .per_session_data_size = sizeof(struct echo),
	    .rx_buffer_size = 65536 },
	{ .name = NULL },
};

static void
on_signal(int sig)
{
	(void)sig;
	stopping = 1;
}

static void
on_ev_signal(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void
announce(struct lws_context *context)
{
	printf("%d\n", lws_get_vhost_listen_port(lws_get_vhost_by_name(context, "default")));
	fflush(stdout);
}

/* The library's own loop. */
static void
run_poll(const struct lws_context_creation_info *info)
{
	struct lws_context *context = lws_create_context(info);

	if (context == NULL)
		errx(1, "no context");
	signal(SIGTERM, on_signal);
	announce(context);
	while (!stopping && lws_service(context, 0) >= 0)
		continue;
	lws_context_destroy(context);
}

static void
run_ev(struct lws_context_creation_info *info)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct lws_context *context;
	void *loops[] = { loop };
	struct ev_signal term;

	if (loop == NULL)
		errx(1, "no event loop");
	info->options |= LWS_SERVER_OPTION_LIBEV;
	info->foreign_loops = loops;
	if ((context = lws_create_context(info)) == NULL)
		errx(1, "no context");
	ev_signal_init(&term, on_ev_signal, SIGTERM);
	ev_signal_start(loop, &term);
	announce(context);
	ev_run(loop, 0);
	_exit(0);   /* the connections go with the process */
}

int
main(int argc, char **argv)
{
	struct lws_context_creation_info info = { .iface = "127.0.0.1", .protocols = protocols,
	    .vhost_name = "default", .gid = -1, .uid = -1 };
	bool own = false;
	int option;

	while ((option = getopt(argc, argv, "pc:k:")) != -1) {
		switch (option) {
		case 'p': own = true; break;
		case 'c': info.ssl_cert_filepath = optarg; break;
		case 'k': info.ssl_private_key_filepath = optarg; break;
		default: return 2;
		}
	}
	if (optind != argc)
		errx(2, "usage: echod [-p] [-c CERT -k KEY]");
	if (info.ssl_cert_filepath != NULL)
		info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	lws_set_log_level(LLL_ERR, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (own)
		run_poll(&info);
	else
		run_ev(&info);
	return 0;
}
