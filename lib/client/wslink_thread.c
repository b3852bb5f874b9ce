/*
 * The connection's thread: it alone calls libwebsockets, but to be woken.
 */
#include "client/wslink_inside.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "client/wslink_why.h"
#include "crypto.h"
#include "json.h"
#include "when.h"

/* Where nothing at all comes back for as long as so many periods between keepalives, the server is
 * dead. (It is silent, too, while it has too much to do to read from us.) */
#define SILENT_PERIODS 9

/* ---- how it ends --------------------------------------------------------------- */

static void
gone(struct wslink *l)
{
	wslink_because(l, ERROR_BUSY, "the connection is lost");
	pthread_mutex_lock(&l->lock);
	l->state = WSLINK_GONE;
	l->paused = false;
	queue_empty(&l->out);
	wslink_show(l);
	eventfd_write(l->wake, 1);
	pthread_mutex_unlock(&l->lock);
	l->wsi = NULL;
	l->piece.len = 0;
	l->keepalive = false;
	if (l->addresses != NULL)
		freeaddrinfo(l->addresses);
	l->addresses = NULL;
}

static void
failed(struct wslink *l, const struct wslink_failure *f)
{
	struct error why;

	wslink_why_failed(l->name, f, &why);
	pthread_mutex_lock(&l->lock);
	l->why = why;
	pthread_mutex_unlock(&l->lock);
	gone(l);
}

static void
closed_by_peer(struct wslink *l, const void *frame, size_t len)
{
	struct error why;

	wslink_why_closed(l->name, frame, len, &why);
	pthread_mutex_lock(&l->lock);
	if (l->why.kind == ERROR_NONE)
		l->why = why;
	pthread_mutex_unlock(&l->lock);
}

/* ---- what it receives and sends -------------------------------------------------- */

static bool
is_keepalive(struct str text)
{
	static const char *const names[] = { "action" };
	struct json j = { 0 };
	struct str value, action, name;
	bool is;

	is = text.len < 256 && json_open(&j, text, &value, NULL) == 0 && *value.data == '{' &&
	    json_members(&j, value, names, &action, 1) && json_string(&j, action, &name) &&
	    str_equal(name, str_of("keepalive"));
	json_free(&j);
	return is;
}

static int
deliver(struct wslink *l, struct lws *wsi)
{
	struct queued *m;

	if (is_keepalive((struct str){ l->piece.data, l->piece.len })) {
		l->piece.len = 0;
		return 0;
	}
	if ((m = queued_new()) == NULL)
		return -1;
	m->text = l->piece;
	l->piece = (struct buf){ 0 };
	pthread_mutex_lock(&l->lock);
	queue_push(&l->in, m);
	if (l->in.bytes > RECEIVED_MAX && !l->paused) {
		l->paused = true;
		lws_rx_flow_control(wsi, 0);
	}
	wslink_show(l);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

static int
take_piece(struct wslink *l, struct lws *wsi, const void *in, size_t len)
{
	int rc = buf_add(&l->piece, in, len);

	l->heard = when_ticks();
	if (rc == 0 && lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0)
		rc = deliver(l, wsi);
	if (rc == -1)
		wslink_because(l, ERROR_MEMORY, "out of memory");
	return rc;
}

static int
send_text(struct lws *wsi, char *text, size_t len)
{
	int n = lws_write(wsi, (unsigned char *)text + LWS_PRE, len, LWS_WRITE_TEXT);

	return n < 0 || (size_t)n < len ? -1 : 0;
}

/* One frame a call. */
static int
send_next(struct wslink *l, struct lws *wsi)
{
	char keepalive[LWS_PRE + 32];
	struct queued *m = NULL;
	bool close, more;
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	close = l->close;
	if (!l->keepalive)
		m = queue_pop(&l->out);
	more = l->out.head != NULL;
	if (l->crowded && l->out.bytes <= SENT_MAX)
		eventfd_write(l->wake, 1);
	pthread_mutex_unlock(&l->lock);
	if (close) {
		queued_free(m);
		lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
		return -1;
	}
	if (m != NULL) {
		rc = send_text(wsi, m->text.data, m->text.len - LWS_PRE);
		queued_free(m);
	} else if (l->keepalive) {
		l->keepalive = false;
		rc = send_text(wsi, keepalive, (size_t)snprintf(keepalive + LWS_PRE,
		    sizeof(keepalive) - LWS_PRE, "{\"action\":\"keepalive\"}"));
	}
	if (more)
		lws_callback_on_writable(wsi);
	return rc;
}

/* A period is over. */
static int
keep_alive(struct wslink *l, struct lws *wsi)
{
	double period;
	bool silent;

	pthread_mutex_lock(&l->lock);
	period = l->period;
	silent = !l->paused && when_ticks() - l->heard > period * SILENT_PERIODS;
	pthread_mutex_unlock(&l->lock);
	if (silent) {
		wslink_because(l, ERROR_BUSY, "nothing comes from the server any more");
		return -1;
	}
	l->keepalive = true;
	lws_callback_on_writable(wsi);
	lws_set_timer_usecs(wsi, (lws_usec_t)(period * 1e6));
	return 0;
}

static void
established(struct wslink *l, struct lws *wsi)
{
	l->heard = when_ticks();
	pthread_mutex_lock(&l->lock);
	l->state = WSLINK_UP;
	lws_set_timer_usecs(wsi, (lws_usec_t)(l->period * 1e6));
	eventfd_write(l->wake, 1);
	pthread_mutex_unlock(&l->lock);
}

int
wslink_happened(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct wslink *l = lws_context_user(lws_get_context(wsi));

	switch (reason) {
	case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
		/* `len` is whether it has been accepted; that stays as it is. */
		if (len == 0)
			l->certificate = crypto_certificate_fault(user);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		failed(l, &(struct wslink_failure){ .certificate = l->certificate,
		    .status = lws_http_client_http_response(wsi),
		    .said = { in, in != NULL ? len : 0 }, .addresses = l->addresses });
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		established(l, wsi);
		return 0;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return take_piece(l, wsi, in, len);
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return send_next(l, wsi);
	case LWS_CALLBACK_TIMER:
		return keep_alive(l, wsi);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		closed_by_peer(l, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		gone(l);
		return 0;
	default:
		return 0;
	}
}

/* ---- how it begins --------------------------------------------------------------- */

/* libwebsockets will look the host up again, but tells nobody why it could not. */
static bool
look_up(struct wslink *l)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%d", l->to->port);
	if ((rc = getaddrinfo(l->to->host, port, &hints, &l->addresses)) == 0)
		return true;
	l->addresses = NULL;
	wslink_because(l, ERROR_BUSY, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	gone(l);
	return false;
}

static void
open_connection(struct wslink *l)
{
	/* Its own hang-up would strike while we do not read: see SILENT_PERIODS instead. */
	static const lws_retry_bo_t never = { 0 };
	struct lws_client_connect_info i = {
		.context = l->lws,
		.address = l->to->host,
		.port = l->to->port,
		.path = l->to->path,
		.host = l->to->authority,
		.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (l->to->tls ? LCCSCF_USE_SSL : 0),
		.alpn = "http/1.1",
		.local_protocol_name = "monitor",
		.retry_and_idle_policy = &never,
		.pwsi = &l->wsi,
	};

	l->certificate = NULL;
	if (look_up(l) && lws_client_connect_via_info(&i) == NULL)
		failed(l, &(struct wslink_failure){ .addresses = l->addresses });
}

/* What the caller wants done. */
static bool
obey(struct wslink *l)
{
	bool open, write, rearm, resume, kill, end;
	double period;

	pthread_mutex_lock(&l->lock);
	open = l->open;
	write = l->state == WSLINK_UP && (l->out.head != NULL || l->close);
	resume = l->paused && l->in.bytes <= RECEIVED_MAX / 2;
	rearm = l->rearm;
	period = l->period;
	kill = l->kill;
	end = l->end;
	l->open = l->rearm = l->kill = false;
	l->paused = l->paused && !resume;
	pthread_mutex_unlock(&l->lock);
	if (open)
		open_connection(l);
	if (l->wsi != NULL && rearm)
		lws_set_timer_usecs(l->wsi, (lws_usec_t)(period * 1e6));
	if (l->wsi != NULL && resume) {
		l->heard = when_ticks();
		lws_rx_flow_control(l->wsi, 1);
	}
	if (l->wsi != NULL && write)
		lws_callback_on_writable(l->wsi);
	if (l->wsi != NULL && kill)
		lws_set_timeout(l->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	return !end;
}

void *
wslink_look_after(void *link)
{
	struct wslink *l = link;

	while (obey(l))
		lws_service(l->lws, 0);
	return NULL;
}
