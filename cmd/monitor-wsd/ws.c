#include "ws.h"

#include <libwebsockets.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "when.h"

#define CHUNK ((size_t)16 << 10)   /* bytes of text in a frame; so much may wait for a slow receiver */
#define TURN (4 * CHUNK)           /* bytes sent to one in a row */
#define RX_BUFFER 4096             /* bytes read from one in a row */
#define RX_PIECE 1024              /* and given to its session at a time: each connection has so much */
#define FRAME 10                   /* bytes of a header, at most */
#define PATH_SIZE 64
#define SUBPROTOCOL_SIZE 128
#define FORWARDED_SIZE 4096        /* more than all headers may have */

_Static_assert(SERVE_HEADROOM >= LWS_PRE, "a frame's header fits before the text");

/* A connection, from when it was accepted on. */
struct conn {
	struct ws *ws;
	struct lws *wsi;
	enum ws_kind kind;
	struct admit *admit;
	struct visitor visitor;
	struct session *session;       /* NULL: not upgraded */
	size_t sent;                   /* of the text that session_output() gives */
	struct buf kept;               /* TLS: what came while nothing is read, see keep() */
	double deadline;               /* while it is young */
	bool young;                    /* neither upgraded nor answered */
	bool paused;                   /* not read from */
	bool woken;                    /* on the list of those to be looked at */
	bool closing;                  /* nothing is sent any more */
	TAILQ_ENTRY(conn) of_young, of_woken;
};

struct ws {
	struct ws_settings settings;
	struct lws_context *context;
	struct lws_vhost *plain, *tls;
	char subprotocol[SUBPROTOCOL_SIZE];   /* see pretend_subprotocol() */
	struct lws_protocols protocols[3];
	struct conn *adopting;
	TAILQ_HEAD(, conn) young, woken;
	bool stopping;
	struct ws_stats stats;
};

/* ---- how a connection ends ---- */

static void
grow_up(struct conn *c)
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
	grow_up(c);
	if (c->woken)
		TAILQ_REMOVE(&c->ws->woken, c, of_woken);
	session_free(&c->session);
	buf_free(&c->kept);
	admit_leave(c->admit, &c->visitor);
	free(c);
}

/* End it, whatever state it is in and whatever waits to be sent: the library finds the
 * socket dead. */
static void
cut(struct conn *c)
{
	c->closing = true;
	shutdown(lws_get_socket_fd(c->wsi), SHUT_RDWR);
	lws_rx_flow_control(c->wsi, 1);
	lws_callback_on_writable(c->wsi);
}

/* ---- HTTP ---- */

static const char *
status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 429:
		return "Too Many Requests";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

/* Answer, with `body` (NULL: the status in words), and close: always -1. */
static int
respond(struct conn *c, int status, const struct buf *body)
{
	struct buf b = { 0 };
	const char *text = status_text(status);
	size_t len = body != NULL ? body->len : strlen(text) + 1;

	grow_up(c);
	c->ws->stats.requests++;
	if (buf_reserve(&b, LWS_PRE) == -1)
		return -1;
	b.len = LWS_PRE;
	if (buf_printf(&b, "HTTP/1.1 %d %s\r\n"
	    "content-type: text/plain%s; charset=utf-8\r\n"
	    "content-length: %zu\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
	    status, text, c->kind == WS_METRICS ? "; version=0.0.4" : "", len) == 0 &&
	    (body != NULL ? buf_add(&b, body->data, body->len) : buf_printf(&b, "%s\n", text)) == 0)
		lws_write(c->wsi, (unsigned char *)b.data + LWS_PRE, b.len - LWS_PRE,
		    LWS_WRITE_HTTP_HEADERS);
	buf_free(&b);
	return -1;
}

/* The path that is asked for by GET. */
static bool
read_path(struct conn *c, char path[PATH_SIZE])
{
	return lws_hdr_copy(c->wsi, path, PATH_SIZE, WSI_TOKEN_GET_URI) > 0;
}

static int
on_request(struct conn *c)
{
	const struct ws_settings *s = &c->ws->settings;
	struct buf text = { 0 };
	char path[PATH_SIZE];
	int status = 404;

	if (read_path(c, path) && (status = s->page(s->arg, path, c->kind == WS_METRICS, &text)) == -1) {
		status = 500;
		text.len = 0;
	}
	respond(c, status, text.len > 0 ? &text : NULL);
	buf_free(&text);
	return -1;
}

/* ---- upgrade ---- */

/* A client may ask for subprotocols. There are none, and it is served as if it had not
 * asked; but the library sends away whoever asks for what it does not know. So it
 * knows, for a moment, the first of those that are asked for, */
static void
pretend_subprotocol(struct conn *c)
{
	char *name = c->ws->subprotocol;

	if (lws_hdr_copy(c->wsi, name, SUBPROTOCOL_SIZE, WSI_TOKEN_PROTOCOL) > 0)
		name[strcspn(name, ", \t")] = '\0';
}

/* and knows no name any more when it writes the answer. */
static void
forget_subprotocol(struct ws *ws)
{
	ws->subprotocol[0] = '\0';
}

/* Whose connection is it, as the proxy says? */
static bool
ask_proxy(struct conn *c)
{
	static const char name[] = "forwarded:";
	char for_[FORWARDED_SIZE], forwarded[FORWARDED_SIZE];
	struct str texts[2] = { { 0 } };

	if (!c->visitor.proxied)
		return true;
	if (lws_hdr_copy(c->wsi, for_, sizeof(for_), WSI_TOKEN_X_FORWARDED_FOR) > 0)
		texts[0] = str_of(for_);
	if (lws_hdr_custom_copy(c->wsi, forwarded, sizeof(forwarded), name, sizeof(name) - 1) > 0)
		texts[1] = str_of(forwarded);
	return admit_forwarded(c->admit, &c->visitor, texts[0], texts[1]);
}

static bool
has_origin(struct conn *c)
{
	return lws_hdr_total_length(c->wsi, WSI_TOKEN_ORIGIN) > 0 ||
	    lws_hdr_total_length(c->wsi, WSI_TOKEN_SWORIGIN) > 0;
}

/* A request to upgrade: 0 to let it happen, -1 once it was answered otherwise. */
static int
on_upgrade(struct conn *c, const char *to)
{
	struct ws *ws = c->ws;
	char path[PATH_SIZE], name[VISITOR_NAME_SIZE];

	if (strcasecmp(to, "websocket") != 0)
		return on_request(c);   /* as anybody may who does not know what is asked for */
	if (c->kind == WS_METRICS || !read_path(c, path) || strcmp(path, "/ws") != 0)
		return respond(c, 404, NULL);
	if (ws->stopping) {
		admit_refuse(c->admit, REFUSED_STOPPING);
		return respond(c, 503, NULL);
	}
	if (ws->settings.no_origin && has_origin(c)) {
		admit_refuse(c->admit, REFUSED_ORIGIN);
		return respond(c, 403, NULL);
	}
	if (!ask_proxy(c)) {
		visitor_name(&c->visitor, name);
		log_limited("refused", LOG_WARNING, "%s: there are too many connections of it", name);
		return respond(c, 429, NULL);
	}
	pretend_subprotocol(c);
	return 0;
}

static int
on_established(struct conn *c)
{
	char name[VISITOR_NAME_SIZE];
	struct error e;

	visitor_name(&c->visitor, name);
	if ((c->session = session_new(c->ws->settings.serve, c, name, &e)) == NULL) {
		log_limited("connection", LOG_ERR, "%s: %s", name, e.text);
		return -1;
	}
	grow_up(c);
	c->ws->stats.upgraded++;
	return 0;
}

/* ---- a session's input and output ---- */

/* A piece of a message that is kept; its text is behind it. */
struct piece {
	size_t len;
	bool first, last, binary;
};

/* The library, told in the midst of a TLS record not to read on, goes round and round with the
 * rest of it for ever. So it is told when it is through, and what it has yet to say is kept: no more
 * than a record. */
static int
keep(struct conn *c, const struct piece *p, const char *data)
{
	return buf_add(&c->kept, p, sizeof(*p)) == -1 || buf_add(&c->kept, data, p->len) == -1 ? -1 : 0;
}

/* Give the session what was kept, as far as it reads; its output is to be looked at after that. */
static void
hand_on(struct conn *c)
{
	struct piece p;
	size_t at = 0;

	while (at < c->kept.len && session_reads(c->session)) {
		memcpy(&p, c->kept.data + at, sizeof(p));
		at += sizeof(p) + p.len;
		session_receive(c->session, (struct str){ c->kept.data + at - p.len, p.len }, p.first,
		    p.last, p.binary);
	}
	buf_consume(&c->kept, at);
	if (c->kept.len == 0)
		buf_free(&c->kept);
}

/* Read from it, or not, as the session wants it. */
static void
set_flow(struct conn *c)
{
	bool reads = session_reads(c->session);

	if (reads && c->kept.len > 0) {   /* that first */
		lws_callback_on_writable(c->wsi);
		reads = false;
	}
	if (reads != c->paused)
		return;
	c->paused = !reads;
	lws_rx_flow_control(c->wsi, reads);
	/* What had been read before is looked at when the library is called. */
	if (reads)
		lws_callback_on_writable(c->wsi);
}

static int
on_receive(struct conn *c, const char *data, size_t len)
{
	struct piece p = { .len = len, .first = lws_is_first_fragment(c->wsi),
	    .last = lws_is_final_fragment(c->wsi) && lws_remaining_packet_payload(c->wsi) == 0,
	    .binary = lws_frame_is_binary(c->wsi) };

	if (c->closing)
		return 0;
	if (len == 0)
		data = "";
	ws_wake(c);
	if (c->kept.len > 0 || (c->kind == WS_TLS && !session_reads(c->session)))
		return keep(c, &p, data);
	session_receive(c->session, (struct str){ data, len }, p.first, p.last, p.binary);
	if (c->kind != WS_TLS)
		set_flow(c);
	return 0;
}

/* A piece of text as a frame, or a part of it. */
static int
send_text(struct conn *c, const struct session_output *out)
{
	size_t n = out->len - c->sent < CHUNK ? out->len - c->sent : CHUNK;
	bool first = out->first && c->sent == 0, last = out->last && c->sent + n == out->len;
	int flags = (first ? LWS_WRITE_TEXT : LWS_WRITE_CONTINUATION) | (last ? 0 : LWS_WRITE_NO_FIN);
	char *at = out->data + c->sent, covered[LWS_PRE];
	int r;

	/* The frame's header covers text that was sent; but others may yet be sent it. */
	memcpy(covered, at - LWS_PRE, LWS_PRE);
	r = lws_write(c->wsi, (unsigned char *)at, n, (enum lws_write_protocol)flags);
	memcpy(at - LWS_PRE, covered, LWS_PRE);
	if (r < (int)n)
		return -1;
	c->sent += n;
	if (c->sent == out->len) {
		c->sent = 0;
		session_sent(c->session);
	}
	return (int)n + FRAME;
}

static int
send_ping(struct conn *c)
{
	/* An empty one's answer would not be told of. */
	unsigned char ping[LWS_PRE + 4] = { [LWS_PRE] = 'p', 'i', 'n', 'g' };

	if (lws_write(c->wsi, ping + LWS_PRE, 4, LWS_WRITE_PING) < 4)
		return -1;
	session_sent(c->session);
	return FRAME;
}

/* Say why, and let the library close it: -1. That can only be done when it asks. */
static int
send_close(struct conn *c, const struct session_output *out, bool asked)
{
	char reason[124];
	int len;

	if (!asked) {
		lws_callback_on_writable(c->wsi);
		return 0;
	}
	len = snprintf(reason, sizeof(reason), "%s", out->reason != NULL ? out->reason : "");
	lws_close_reason(c->wsi, (enum lws_close_status)out->code, (unsigned char *)reason,
	    (size_t)len < sizeof(reason) ? (size_t)len : sizeof(reason) - 1);
	session_sent(c->session);
	c->closing = true;
	lws_rx_flow_control(c->wsi, 1);   /* the other end has to agree */
	return -1;
}

/* Send the next thing. How many bytes, about; 0: nothing now; -1: it is over. */
static int
send_next(struct conn *c, bool asked)
{
	struct session_output out;

	session_output(c->session, &out);
	switch (out.type) {
	case OUTPUT_TEXT:
		return send_text(c, &out);
	case OUTPUT_PING:
		return send_ping(c);
	case OUTPUT_CLOSE:
		return send_close(c, &out, asked);
	default:
		return 0;
	}
}

/* Send what there is; but what the socket does not take the library keeps, so not
 * more of that than one piece, and then it asks again when that is gone. */
static int
send_some(struct conn *c, bool asked)
{
	size_t sent = 0;
	int n;

	while (!c->closing && !lws_partial_buffered(c->wsi)) {
		if (sent >= TURN) {
			lws_callback_on_writable(c->wsi);
			break;
		}
		if ((n = send_next(c, asked)) <= 0)
			return n;
		sent += (size_t)n;
	}
	return 0;
}

static int
on_writable(struct conn *c)
{
	if (c->closing)
		return session_dropped(c->session) ? -1 : 0;
	hand_on(c);
	if (session_dropped(c->session) || send_some(c, true) == -1)
		return -1;
	set_flow(c);
	return 0;
}

void
ws_wake(void *transport)
{
	struct conn *c = transport;

	if (c->woken || c->session == NULL)
		return;
	c->woken = true;
	TAILQ_INSERT_TAIL(&c->ws->woken, c, of_woken);
}

void
ws_round(struct ws *ws)
{
	struct conn *c;

	/* Who is woken meanwhile comes to the end of the list, but for the one that is
	 * looked at: it is looked at to the end anyway. */
	while ((c = TAILQ_FIRST(&ws->woken)) != NULL) {
		if (!c->closing)
			hand_on(c);
		if ((!c->closing && send_some(c, false) == -1) || session_dropped(c->session))
			cut(c);
		else if (!c->closing)
			set_flow(c);
		TAILQ_REMOVE(&ws->woken, c, of_woken);
		c->woken = false;
	}
}

/* ---- the library's callbacks ---- */

static int
on_conn(struct conn *c, enum lws_callback_reasons reason, void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return on_request(c);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return on_upgrade(c, in);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		forget_subprotocol(c->ws);
		return 0;
	case LWS_CALLBACK_ESTABLISHED:
		return on_established(c);
	case LWS_CALLBACK_RECEIVE:
		return on_receive(c, in, len);
	case LWS_CALLBACK_RECEIVE_PONG:
		session_alive(c->session);
		return 0;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		c->closing = true;
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return on_writable(c);
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
	    .tx_packet_size = CHUNK };

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
