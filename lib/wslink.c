#include "wslink.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "crypto.h"
#include "json.h"
#include "when.h"
#include "wslink_queue.h"
#include "wslink_why.h"

#define RECEIVED_MAX ((size_t)8 << 20)   /* bytes that wait for the caller: then no more is read */
#define SENT_MAX ((size_t)4 << 20)       /* bytes that wait to be sent */
#define PIECE 65536                      /* is received at once */
#define CONNECT_SECONDS 20               /* libwebsockets' bound for each step of it */
#define CLOSE_MS 1000                    /* for a close to be answered */

/* A server hangs up after so many seconds, as long as it has not said otherwise. We send
 * a keepalive three times in each; where nothing at all comes back for as long as three of
 * them, it is dead. (It is silent, too, while it has too much to do to read from us.) */
#define TIMEOUT 30.0
#define TIMEOUT_MAX 3600.0
#define SILENT_PERIODS 9

struct wslink {
	const char *name;          /* the URL */
	const struct client_url *to;
	struct lws_context *lws;
	pthread_t thread;
	bool threaded;
	int fd;                    /* see show() */
	int wake;

	pthread_mutex_t lock;      /* all from here on: */
	enum wslink_state state;
	struct error why;          /* it is not up */
	struct queue in, out;      /* what is to be sent stands behind LWS_PRE bytes of room */
	double period;             /* seconds between keepalives */
	bool shown;                /* `fd` is readable */
	bool crowded;              /* somebody waits for room in `out` */
	bool paused;               /* nothing is received: `in` is full */
	bool open, close, kill, rearm, end;   /* what the thread is to do */

	/* The thread's own. */
	struct lws *wsi;
	struct addrinfo *addresses;
	struct buf piece;          /* of the message that is coming in */
	const char *certificate;   /* what is wrong with the server's */
	double heard;              /* from the server, last: CLOCK_MONOTONIC */
	bool keepalive;            /* is due */
};

/* ---- what one thread tells the other ---------------------------------------- */

/* With the lock held: the caller's descriptor is readable while there is something for
 * it to see. */
static void
show(struct wslink *l)
{
	bool ready = l->in.head != NULL || l->state == WSLINK_GONE;
	eventfd_t n;

	if (ready == l->shown)
		return;
	l->shown = ready;
	if (ready)
		eventfd_write(l->fd, 1);
	else
		eventfd_read(l->fd, &n);
}

/* The first reason counts. */
static void
because(struct wslink *l, enum error_kind kind, const char *why)
{
	pthread_mutex_lock(&l->lock);
	if (l->why.kind == ERROR_NONE)
		error_set(&l->why, kind, "%s: %s", l->name, why);
	pthread_mutex_unlock(&l->lock);
}

/* ---- the connection's thread: how it ends ------------------------------------ */

static void
gone(struct wslink *l)
{
	because(l, ERROR_BUSY, "the connection is lost");
	pthread_mutex_lock(&l->lock);
	l->state = WSLINK_GONE;
	l->paused = false;
	queue_empty(&l->out);
	show(l);
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

/* ---- ... what it receives and sends -------------------------------------------- */

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
	show(l);
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
		because(l, ERROR_MEMORY, "out of memory");
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
		because(l, ERROR_BUSY, "nothing comes from the server any more");
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

static int
happened(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
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

/* ---- ... and how it begins ------------------------------------------------------ */

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
	because(l, ERROR_BUSY, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
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

static void *
look_after(void *arg)
{
	struct wslink *l = arg;

	while (obey(l))
		lws_service(l->lws, 0);
	return NULL;
}

/* ---- the other side ---------------------------------------------------------------- */

static int
start_lws(struct wslink *l, const struct client_settings *s, struct error *e)
{
	static const struct lws_protocols protocols[] = {
		{ .name = "monitor", .callback = happened, .rx_buffer_size = PIECE },
		{ .name = NULL },
	};
	struct lws_context_creation_info i = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.user = l,
		.fd_limit_per_thread = 16,
		.pt_serv_buf_size = PIECE,
		.timeout_secs = CONNECT_SECONDS,
		.connect_timeout_secs = CONNECT_SECONDS,
		.http_proxy_address = "",   /* or it would ask the environment */
		.client_ssl_ca_filepath = s->ca,
		.client_ssl_cert_filepath = s->cert,
		.client_ssl_private_key_filepath = s->key,
		.options = !l->to->tls ? 0 : LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
		    (s->ca != NULL ? LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS : 0),
	};
	struct sigaction before;

	lws_set_log_level(0, NULL);
	/* It ignores SIGPIPE: that is not for a library to say. */
	sigaction(SIGPIPE, NULL, &before);
	l->lws = lws_create_context(&i);
	sigaction(SIGPIPE, &before, NULL);
	if (l->lws != NULL)
		return 0;
	return s->cert == NULL ? error_memory(e) :
	    error_set(e, ERROR_USAGE, "%s: not a certificate that goes with %s", s->cert, s->key);
}

static int
start_thread(struct wslink *l, struct error *e)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&l->thread, NULL, look_after, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return error_errno(e, rc, "cannot start a thread");
	l->threaded = true;
	return 0;
}

struct wslink *
wslink_new(const struct client_settings *s, const struct client_url *url, struct error *e)
{
	struct wslink *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		error_memory(e);
		return NULL;
	}
	l->name = s->url;
	l->to = url;
	l->wake = -1;
	pthread_mutex_init(&l->lock, NULL);
	because(l, ERROR_BUSY, "not connected");
	if ((l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1 ||
	    (l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1) {
		error_errno(e, errno, "eventfd");
		goto fail;
	}
	if (start_lws(l, s, e) == -1 || start_thread(l, e) == -1)
		goto fail;
	return l;
fail:
	wslink_free(&l);
	return NULL;
}

void
wslink_free(struct wslink **lp)
{
	struct wslink *l = *lp;

	if (l == NULL)
		return;
	if (l->threaded) {
		wslink_close(l);
		pthread_mutex_lock(&l->lock);
		l->end = true;
		pthread_mutex_unlock(&l->lock);
		lws_cancel_service(l->lws);
		pthread_join(l->thread, NULL);
	}
	if (l->lws != NULL)
		lws_context_destroy(l->lws);
	queue_empty(&l->in);
	queue_empty(&l->out);
	buf_free(&l->piece);
	if (l->fd != -1)
		close(l->fd);
	if (l->wake != -1)
		close(l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l);
	*lp = NULL;
}

void
wslink_open(struct wslink *l)
{
	pthread_mutex_lock(&l->lock);
	if (l->state != WSLINK_OPENING && l->state != WSLINK_UP) {
		queue_empty(&l->in);
		l->why.kind = ERROR_NONE;
		l->state = WSLINK_OPENING;
		l->period = TIMEOUT / 3;
		l->open = true;
		show(l);
	}
	pthread_mutex_unlock(&l->lock);
	lws_cancel_service(l->lws);
}

/* Until there is no connection, or so long. */
static bool
wait_until_gone(struct wslink *l, int ms)
{
	struct pollfd fd = { .fd = l->wake, .events = POLLIN };
	enum wslink_state state;
	eventfd_t n;

	for (;;) {
		state = wslink_state(l, NULL);
		if (state != WSLINK_OPENING && state != WSLINK_UP)
			return true;
		if (poll(&fd, 1, ms) == 0)
			return false;
		eventfd_read(l->wake, &n);
	}
}

void
wslink_close(struct wslink *l)
{
	pthread_mutex_lock(&l->lock);
	l->close = l->state == WSLINK_UP;
	l->kill = l->state == WSLINK_OPENING;
	pthread_mutex_unlock(&l->lock);
	because(l, ERROR_BUSY, "not connected");
	lws_cancel_service(l->lws);
	if (!wait_until_gone(l, CLOSE_MS)) {
		pthread_mutex_lock(&l->lock);
		l->kill = true;
		pthread_mutex_unlock(&l->lock);
		lws_cancel_service(l->lws);
		wait_until_gone(l, -1);
	}
	pthread_mutex_lock(&l->lock);
	l->state = WSLINK_IDLE;
	l->close = l->kill = false;
	queue_empty(&l->in);
	show(l);
	pthread_mutex_unlock(&l->lock);
}

enum wslink_state
wslink_state(struct wslink *l, struct error *why)
{
	enum wslink_state state;

	pthread_mutex_lock(&l->lock);
	state = l->state;
	if (why != NULL && state != WSLINK_UP)
		*why = l->why;
	pthread_mutex_unlock(&l->lock);
	return state;
}

void
wslink_timeout(struct wslink *l, double seconds)
{
	pthread_mutex_lock(&l->lock);
	l->period = (seconds < TIMEOUT_MAX ? seconds : TIMEOUT_MAX) / 3;
	l->rearm = true;
	pthread_mutex_unlock(&l->lock);
	lws_cancel_service(l->lws);
}

int
wslink_send(struct wslink *l, struct str text, struct error *e)
{
	struct queued *m = queued_new();
	int rc = 1;

	if (m == NULL || buf_reserve(&m->text, LWS_PRE + text.len) == -1) {
		queued_free(m);
		return error_memory(e);
	}
	m->text.len = LWS_PRE;
	buf_add_str(&m->text, text);
	pthread_mutex_lock(&l->lock);
	l->crowded = l->out.bytes > SENT_MAX;
	if (l->state != WSLINK_UP) {
		*e = l->why;
		rc = -1;
	} else if (l->crowded) {
		rc = 0;
	} else {
		queue_push(&l->out, m);
	}
	pthread_mutex_unlock(&l->lock);
	if (rc != 1)
		queued_free(m);
	else
		lws_cancel_service(l->lws);
	return rc;
}

int
wslink_receive(struct wslink *l, struct buf *text, struct error *e)
{
	struct queued *m;
	bool resume;
	int rc = 1;

	pthread_mutex_lock(&l->lock);
	if ((m = queue_pop(&l->in)) == NULL && l->state != WSLINK_UP) {
		*e = l->why;
		rc = -1;
	}
	resume = l->paused && l->in.bytes <= RECEIVED_MAX / 2;
	show(l);
	pthread_mutex_unlock(&l->lock);
	if (resume)
		lws_cancel_service(l->lws);
	if (m == NULL)
		return rc == 1 ? 0 : -1;
	*text = m->text;
	m->text = (struct buf){ 0 };
	queued_free(m);
	return 1;
}

int
wslink_fd(const struct wslink *l)
{
	return l->fd;
}

int
wslink_wake_fd(const struct wslink *l)
{
	return l->wake;
}
