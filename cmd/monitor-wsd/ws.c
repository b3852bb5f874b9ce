#include "ws_inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "when.h"

#define RX_BUFFER 4096             /* bytes read from one in a row */
#define RX_PIECE 1024              /* and given to its session at a time: each connection has so much */

/* ---- how a connection ends ---- */

void
conn_grow_up(struct conn *c)
{
	if (c->young)
		TAILQ_REMOVE(&c->ws->young, c, of_young);
	c->young = false;
}

static void
conn_free(struct conn *c)
{
	if (c->young)
		c->ws->stats.unfinished++;
	conn_grow_up(c);
	if (c->woken)
		TAILQ_REMOVE(&c->ws->woken, c, of_woken);
	session_free(&c->session);
	buf_free(&c->kept);
	admit_leave(c->admit, &c->visitor);
	free(c);
}

/* ---- the library's callbacks ---- */

static int
on_conn(struct conn *c, enum lws_callback_reasons reason, void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return conn_request(c);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return conn_upgrade(c, in);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		ws_forget_subprotocol(c->ws);
		return 0;
	case LWS_CALLBACK_ESTABLISHED:
		return conn_established(c);
	case LWS_CALLBACK_RECEIVE:
		return conn_receive(c, in, len);
	case LWS_CALLBACK_RECEIVE_PONG:
		session_alive(c->session);
		return 0;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		c->closing = true;
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return conn_writable(c);
	case LWS_CALLBACK_WSI_DESTROY:
		if (c->ws->adopting == c)
			c->ws->adopting = NULL;
		conn_free(c);
		return 0;
	case LWS_CALLBACK_RAW_ADOPT:   /* CONNECT, or what is no HTTP at all */
	case LWS_CALLBACK_RAW_RX:
		return -1;
	default:
		return 0;
	}
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct conn *c;
	struct ws *ws;
	struct error e;

	if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) {
		ws = lws_context_user(lws_get_context(wsi));
		if (tls_attach(ws->settings.tls, user, &e) == 0)
			return 0;
		log_say(LOG_ERR, "%s", e.text);
		return -1;
	}
	if (reason == LWS_CALLBACK_PROTOCOL_INIT || reason == LWS_CALLBACK_PROTOCOL_DESTROY ||
	    reason == LWS_CALLBACK_WSI_CREATE || (c = lws_get_opaque_user_data(wsi)) == NULL)
		return 0;
	return on_conn(c, reason, in, len);
}

/* What the library has to say. Much of it is about what others sent. */
static void
emit(int level, const char *line)
{
	size_t len = strcspn(line, "\n");

	log_limited("libwebsockets", level == LLL_ERR ? LOG_WARNING : LOG_NOTICE, "libwebsockets: %.*s",
	    (int)len, line);
}

/* ---- begin and end ---- */

/* No pings and no timeouts of its own: it would take a connection that is not read
 * from for dead. */
static const lws_retry_bo_t no_pings = { .secs_since_valid_ping = 0 };

static struct lws_vhost *
make_vhost(struct ws *ws, bool tls)
{
	int patience = (int)fmin(ceil(ws->settings.patience) + 1, 3600);
	struct lws_context_creation_info info = {
		.vhost_name = tls ? "tls" : "plain",
		/* Neither listens. Which of those with the same number a connection
		 * belongs to follows from its Host header: so they differ. */
		.port = tls ? CONTEXT_PORT_NO_LISTEN_SERVER : CONTEXT_PORT_NO_LISTEN,
		.protocols = ws->protocols,
		.retry_and_idle_policy = &no_pings,
		.timeout_secs_ah_idle = (uint16_t)patience,
		.keepalive_timeout = patience,
		.alpn = "http/1.1",
	};

	if (tls)
		info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
		    LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
	return lws_create_vhost(ws->context, &info);
}

static int
make_context(struct ws *ws)
{
	void *loops[] = { loop_foreign(ws->settings.loop) };
	struct lws_context_creation_info info = {
		.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
		    (ws->settings.tls != NULL ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
		.foreign_loops = loops,
		.timeout_secs = (unsigned)fmin(ceil(ws->settings.patience) + 1, 3600),
		.retry_and_idle_policy = &no_pings,
		.pt_serv_buf_size = RX_BUFFER + LWS_PRE,
		.max_http_header_data = WS_HEADERS_MAX,
		.user = ws,
	};

	if ((ws->context = lws_create_context(&info)) == NULL ||
	    (ws->plain = make_vhost(ws, false)) == NULL)
		return -1;
	return ws->settings.tls == NULL || (ws->tls = make_vhost(ws, true)) != NULL ? 0 : -1;
}

struct ws *
ws_new(const struct ws_settings *settings, struct error *e)
{
	struct ws *ws = calloc(1, sizeof(*ws));
	struct lws_protocols protocol = { .callback = callback, .rx_buffer_size = RX_PIECE,
	    .tx_packet_size = WS_CHUNK };

	if (ws == NULL) {
		error_memory(e);
		return NULL;
	}
	ws->settings = *settings;
	TAILQ_INIT(&ws->young);
	TAILQ_INIT(&ws->woken);
	ws->protocols[0] = ws->protocols[1] = protocol;
	ws->protocols[0].name = "";
	ws->protocols[1].name = ws->subprotocol;
	lws_set_log_level(LLL_ERR | LLL_WARN, emit);
	if (make_context(ws) == -1) {
		error_set(e, ERROR_SYSTEM, "libwebsockets cannot be set up (is libwebsockets-evlib-ev there?)");
		ws_free(&ws);
	}
	return ws;
}

void
ws_free(struct ws **wsp)
{
	struct ws *ws = *wsp;

	if (ws == NULL)
		return;
	if (ws->context != NULL)
		lws_context_destroy(ws->context);
	free(ws);
	*wsp = NULL;
}

int
ws_adopt(struct ws *ws, int fd, enum ws_kind kind, struct admit *admit, struct visitor *visitor)
{
	struct conn *c = calloc(1, sizeof(*c));
	lws_adopt_desc_t adopt = {
		.vh = kind == WS_TLS ? ws->tls : ws->plain,
		.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | LWS_ADOPT_ALLOW_SSL,
		.fd.sockfd = fd,
		.opaque = c,
	};
	struct lws *wsi;

	if (c == NULL) {
		admit_leave(admit, visitor);
		close(fd);
		return -1;
	}
	*c = (struct conn){ .ws = ws, .kind = kind, .admit = admit, .visitor = *visitor,
	    .young = true, .deadline = when_ticks() + ws->settings.patience };
	TAILQ_INSERT_TAIL(&ws->young, c, of_young);
	ws->adopting = c;
	if ((wsi = lws_adopt_descriptor_vhost_via_info(&adopt)) != NULL) {
		c->wsi = wsi;
		return 0;
	}
	/* If the library got so far as to know it, it is gone by now. */
	if (ws->adopting == c)
		conn_free(c);
	return -1;
}

void
ws_tick(struct ws *ws)
{
	double now = when_ticks();
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&ws->young); c != NULL && c->deadline <= now; c = next) {
		next = TAILQ_NEXT(c, of_young);
		shutdown(lws_get_socket_fd(c->wsi), SHUT_RDWR);
	}
	/* Its own timers may be late under libev, unless something happens. */
	lws_cancel_service(ws->context);
}

void
ws_stop(struct ws *ws)
{
	struct conn *c;

	ws->stopping = true;
	TAILQ_FOREACH(c, &ws->young, of_young)
		c->deadline = 0;
	ws_tick(ws);
}

void
ws_stats(const struct ws *ws, struct ws_stats *out)
{
	*out = ws->stats;
}
