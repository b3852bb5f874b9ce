#include "client/wslink_inside.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PIECE 65536                      /* is received at once */
#define CONNECT_SECONDS 20               /* libwebsockets' bound for each step of it */
#define CLOSE_MS 1000                    /* for a close to be answered */

/* A server hangs up after so many seconds, as long as it has not said otherwise. A keepalive
 * is sent three times in each. */
#define TIMEOUT 30.0
#define TIMEOUT_MAX 3600.0

/* ---- what one thread tells the other ---------------------------------------- */

void
wslink_show(struct wslink *l)
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

void
wslink_because(struct wslink *l, enum error_kind kind, const char *why)
{
	pthread_mutex_lock(&l->lock);
	if (l->why.kind == ERROR_NONE)
		error_set(&l->why, kind, "%s: %s", l->name, why);
	pthread_mutex_unlock(&l->lock);
}

/* ---- to begin and end ------------------------------------------------------------ */

static int
start_lws(struct wslink *l, const struct client_settings *s, struct error *e)
{
	static const struct lws_protocols protocols[] = {
		{ .name = "monitor", .callback = wslink_happened, .rx_buffer_size = PIECE },
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
	rc = pthread_create(&l->thread, NULL, wslink_look_after, l);
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
	wslink_because(l, ERROR_BUSY, "not connected");
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
		wslink_show(l);
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
	wslink_because(l, ERROR_BUSY, "not connected");
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
	wslink_show(l);
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
	wslink_show(l);
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
