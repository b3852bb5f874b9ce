#include "raw.h"

#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <zmq.h>

#define HANDSHAKE 10000    /* milliseconds */
#define TTL_MAX 6000       /* seconds, as the protocol has it */

#define FAILED (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
#define BEGUN (ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED)
#define TRYING (ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_CONNECT_RETRIED)
#define EVENTS (FAILED | BEGUN | TRYING | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | \
	ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED)

/* What to wait for: a socket, or a descriptor. */
struct item {
	void *socket;              /* NULL: none */
	bool simple;               /* that it is readable is all there is to know */
	unsigned wanted, ready;    /* HUB_... */
};

struct raw_context {
	void *context;
	void *zap;                 /* a REP */
	char request[32];          /* the id of what is being asked */
	struct item *items;        /* what to wait for, */
	struct pollfd *fds;        /* and how: the n-th is that of the n-th */
	size_t item_count, room;
};

struct raw {
	void *socket;
	void *monitor;             /* a PAIR */
	bool router;
	zmq_msg_t id, body;        /* of what was received last */
};

static int
fail(struct error *e, const char *what)
{
	return error_set(e, ERROR_SYSTEM, "%s: %s", what, zmq_strerror(zmq_errno()));
}

/* Nothing there, or no room. */
static bool
is_empty(void)
{
	return zmq_errno() == EAGAIN || zmq_errno() == EINTR;
}

static int
milliseconds(double seconds)
{
	return seconds < 1e6 ? (int)ceil(seconds * 1000) : 1000000000;
}

/* ---- the context, and its questions ---- */

struct raw_context *
raw_context_new(struct error *e)
{
	struct raw_context *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		error_memory(e);
		return NULL;
	}
	if ((c->context = zmq_ctx_new()) == NULL ||
	    (c->zap = zmq_socket(c->context, ZMQ_REP)) == NULL ||
	    zmq_bind(c->zap, "inproc://zeromq.zap.01") == -1) {
		fail(e, "ZeroMQ");
		raw_context_free(&c);
	}
	return c;
}

void
raw_context_free(struct raw_context **cp)
{
	struct raw_context *c = *cp;

	if (c == NULL)
		return;
	if (c->zap != NULL)
		zmq_close(c->zap);
	while (c->context != NULL && zmq_ctx_term(c->context) == -1 && zmq_errno() == EINTR)
		;
	free(c->items);
	free(c->fds);
	free(c);
	*cp = NULL;
}

/* Copy a frame, cut to what there is room for. */
static void
copy_frame(zmq_msg_t *frame, char *text, size_t size)
{
	size_t n = zmq_msg_size(frame);

	if (n >= size)
		n = size - 1;
	memcpy(text, zmq_msg_data(frame), n);
	text[n] = '\0';
}

static void
take_zap_frame(struct raw_context *c, struct raw_question *q, size_t n, zmq_msg_t *frame)
{
	enum { REQUEST = 1, DOMAIN = 2, ADDRESS = 3, CREDENTIALS = 6 };

	switch (n) {
	case REQUEST:
		copy_frame(frame, c->request, sizeof(c->request));
		break;
	case DOMAIN:
		copy_frame(frame, q->domain, sizeof(q->domain));
		break;
	case ADDRESS:
		copy_frame(frame, q->address, sizeof(q->address));
		break;
	case CREDENTIALS:
		if (zmq_msg_size(frame) == 32)
			zmq_z85_encode(q->key, zmq_msg_data(frame), 32);
		break;
	}
}

int
raw_asked(struct raw_context *c, struct raw_question *q, struct error *e)
{
	bool more = true;
	zmq_msg_t frame;

	*q = (struct raw_question){ 0 };
	for (size_t n = 0; more; n++) {
		zmq_msg_init(&frame);
		if (zmq_msg_recv(&frame, c->zap, ZMQ_DONTWAIT) == -1)
			return n == 0 && is_empty() ? 0 : fail(e, "ZAP");
		take_zap_frame(c, q, n, &frame);
		more = zmq_msg_more(&frame);
		zmq_msg_close(&frame);
	}
	return 1;
}

int
raw_answer(struct raw_context *c, const struct raw_question *q, enum raw_verdict verdict,
    struct error *e)
{
	static const char *const codes[] = { [RAW_YES] = "200", [RAW_LATER] = "300", [RAW_NO] = "400" };
	/* Version, request, status, its text, user id, metadata. */
	const char *const frames[] = {
		"1.0", c->request, codes[verdict], "", verdict == RAW_YES ? q->key : "", "",
	};
	const size_t count = sizeof(frames) / sizeof(frames[0]);

	for (size_t i = 0; i < count; i++)
		if (zmq_send(c->zap, frames[i], strlen(frames[i]), i + 1 < count ? ZMQ_SNDMORE : 0) == -1)
			return fail(e, "ZAP");
	return 0;
}

/* ---- a socket ---- */

static int
set_numbers(struct raw *r, const struct socket_settings *o, struct error *e)
{
	const struct {
		int option, value;
	} numbers[] = {
		{ ZMQ_SNDHWM, o->high_water }, { ZMQ_RCVHWM, o->high_water },
		{ ZMQ_LINGER, milliseconds(o->linger) },
		{ ZMQ_RECONNECT_IVL, milliseconds(o->retry_min) },
		{ ZMQ_RECONNECT_IVL_MAX, milliseconds(o->retry_max) },
		{ ZMQ_HEARTBEAT_IVL, milliseconds(o->heartbeat) },
		{ ZMQ_HEARTBEAT_TIMEOUT, milliseconds(3 * o->heartbeat) },
		{ ZMQ_HEARTBEAT_TTL, milliseconds(fmin(3 * o->heartbeat, TTL_MAX)) },
		/* Who takes nothing at all is sent no pings either. */
		{ ZMQ_TCP_MAXRT, milliseconds(3 * o->heartbeat) },
		{ ZMQ_HANDSHAKE_IVL, HANDSHAKE },
		/* What waited for a connection that broke is not for the next one. */
		{ ZMQ_IMMEDIATE, o->type == SOCKET_DEALER },
	};
	const int64_t max = (int64_t)o->max_message;
	const int on = 1;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (zmq_setsockopt(r->socket, numbers[i].option, &numbers[i].value, sizeof(int)) == -1)
			return fail(e, "an option of a socket");
	if (zmq_setsockopt(r->socket, ZMQ_MAXMSGSIZE, &max, sizeof(max)) == -1 ||
	    (r->router && zmq_setsockopt(r->socket, ZMQ_ROUTER_MANDATORY, &on, sizeof(on)) == -1))
		return fail(e, "an option of a socket");
	return 0;
}

static int
set_curve(struct raw *r, const struct raw_settings *s, struct error *e)
{
	const struct socket_settings *o = s->socket;
	const int server = s->bind;

	if (s->public_key == NULL)
		return 0;
	if (zmq_setsockopt(r->socket, ZMQ_CURVE_SECRETKEY, o->secret_key, KEY_SIZE) == -1 ||
	    zmq_setsockopt(r->socket, ZMQ_CURVE_PUBLICKEY, s->public_key, KEY_SIZE) == -1 ||
	    zmq_setsockopt(r->socket, ZMQ_CURVE_SERVER, &server, sizeof(server)) == -1 ||
	    zmq_setsockopt(r->socket, ZMQ_ZAP_DOMAIN, s->domain, strlen(s->domain)) == -1 ||
	    (!server &&
	    zmq_setsockopt(r->socket, ZMQ_CURVE_SERVERKEY, o->server_key, KEY_SIZE) == -1))
		return fail(e, "CURVE");
	return 0;
}

/* What is a socket ready for now? */
static unsigned
events_of(void *socket)
{
	int events = 0;
	size_t size = sizeof(events);

	if (zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == -1)
		return 0;
	return (events & ZMQ_POLLIN ? HUB_READ : 0u) | (events & ZMQ_POLLOUT ? HUB_WRITE : 0u);
}

static int
set_monitor(struct raw *r, void *context, const char *name, struct error *e)
{
	const int unlimited = 0;
	char address[40];

	snprintf(address, sizeof(address), "inproc://monitor-%s", name);
	/* With a limit, libzmq's thread would wait for us to read. */
	if ((r->monitor = zmq_socket(context, ZMQ_PAIR)) == NULL ||
	    zmq_setsockopt(r->monitor, ZMQ_RCVHWM, &unlimited, sizeof(unlimited)) == -1 ||
	    zmq_socket_monitor(r->socket, address, EVENTS) == -1 ||
	    zmq_connect(r->monitor, address) == -1)
		return fail(e, "a socket's monitor");
	/* Whoever has not looked for anything yet is not told of it either. */
	events_of(r->monitor);
	return 0;
}

struct raw *
raw_new(struct raw_context *c, const struct raw_settings *s, struct error *e)
{
	static const int types[] = {
		[SOCKET_SUB] = ZMQ_SUB, [SOCKET_XPUB] = ZMQ_XPUB, [SOCKET_XSUB] = ZMQ_XSUB,
		[SOCKET_DEALER] = ZMQ_DEALER, [SOCKET_ROUTER] = ZMQ_ROUTER,
	};
	struct raw *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		error_memory(e);
		return NULL;
	}
	zmq_msg_init(&r->id);
	zmq_msg_init(&r->body);
	r->router = s->socket->type == SOCKET_ROUTER;
	if ((r->socket = zmq_socket(c->context, types[s->socket->type])) == NULL)
		fail(e, "a socket");
	if (r->socket == NULL || set_numbers(r, s->socket, e) == -1 || set_curve(r, s, e) == -1 ||
	    set_monitor(r, c->context, s->domain, e) == -1)
		raw_free(&r);
	return r;
}

void
raw_free(struct raw **rp)
{
	struct raw *r = *rp;

	if (r == NULL)
		return;
	zmq_msg_close(&r->id);
	zmq_msg_close(&r->body);
	if (r->monitor != NULL) {
		zmq_socket_monitor(r->socket, NULL, 0);
		zmq_close(r->monitor);
	}
	if (r->socket != NULL)
		zmq_close(r->socket);
	free(r);
	*rp = NULL;
}

void
raw_drop(struct raw *r)
{
	const int at_once = 0;

	zmq_setsockopt(r->socket, ZMQ_LINGER, &at_once, sizeof(at_once));
}

/* With IPv6 on, an address of IPv4 would be shown as one of IPv6, and localhost would be only
 * what it is in IPv6. */
static int
set_family(struct raw *r, const char *address, struct error *e)
{
	const char *host = address + strlen("tcp://");
	const int six = host[strspn(host, "0123456789.")] != ':' &&
	    strncmp(host, "localhost:", strlen("localhost:")) != 0;

	if (zmq_setsockopt(r->socket, ZMQ_IPV6, &six, sizeof(six)) == -1)
		return fail(e, address);
	return 0;
}

int
raw_bind(struct raw *r, const char *address, char bound[RAW_ADDRESS_SIZE], struct error *e)
{
	size_t size = RAW_ADDRESS_SIZE;
	mode_t mask;
	int result;

	if (set_family(r, address, e) == -1)
		return -1;
	mask = umask(0117);   /* an ipc socket is for its owner and group */
	result = zmq_bind(r->socket, address);
	umask(mask);
	if (result == -1 && zmq_errno() == EADDRINUSE)
		return error_set(e, ERROR_BUSY, "%s: somebody else listens there", address);
	if (result == -1 && zmq_errno() == ENODEV)
		return error_set(e, ERROR_USAGE, "%s: cannot be listened on: this machine has no such address, "
		    "nor such an interface", address);
	if (result == -1)
		return error_set(e, zmq_errno() == EACCES ? ERROR_DENIED : ERROR_USAGE,
		    "%s: cannot be listened on: %s", address, zmq_strerror(zmq_errno()));
	if (zmq_getsockopt(r->socket, ZMQ_LAST_ENDPOINT, bound, &size) == -1)
		return fail(e, address);
	return 0;
}

int
raw_connect(struct raw *r, const char *address, struct error *e)
{
	if (set_family(r, address, e) == -1)
		return -1;
	if (zmq_connect(r->socket, address) == -1)
		return error_set(e, ERROR_USAGE, "%s: cannot be connected to: %s", address,
		    zmq_strerror(zmq_errno()));
	return 0;
}

void
raw_disconnect(struct raw *r, const char *address)
{
	zmq_disconnect(r->socket, address);
}

int
raw_subscribe(struct raw *r, struct str prefix, struct error *e)
{
	if (zmq_setsockopt(r->socket, ZMQ_SUBSCRIBE, prefix.data, prefix.len) == -1)
		return fail(e, "a subscription");
	return 0;
}

/* ---- messages ---- */

/* The next frame; 1, 0, -1. */
static int
receive_frame(struct raw *r, zmq_msg_t *frame, struct error *e)
{
	if (zmq_msg_recv(frame, r->socket, ZMQ_DONTWAIT) != -1)
		return 1;
	return is_empty() ? 0 : fail(e, "receiving");
}

/* Step over the frames behind this one. */
static int
skip_rest(struct raw *r, const zmq_msg_t *frame, size_t *extra, struct error *e)
{
	bool more = zmq_msg_more(frame);
	zmq_msg_t rest;
	int result = 0;

	for (; more && result != -1; (*extra)++) {
		zmq_msg_init(&rest);
		result = receive_frame(r, &rest, e);
		more = zmq_msg_more(&rest);
		zmq_msg_close(&rest);
	}
	return result == -1 ? -1 : 0;
}

static struct str
content(zmq_msg_t *frame)
{
	return (struct str){ zmq_msg_data(frame), zmq_msg_size(frame) };
}

int
raw_receive(struct raw *r, struct parcel *p, struct error *e)
{
	int got;

	*p = (struct parcel){ 0 };
	if (r->router && (got = receive_frame(r, &r->id, e)) != 1)
		return got;
	if ((got = receive_frame(r, &r->body, e)) != 1)
		return got;
	if (r->router && zmq_msg_size(&r->body) == 0 && zmq_msg_more(&r->body)) {
		p->delimiter = true;
		if ((got = receive_frame(r, &r->body, e)) != 1)
			return got;
	}
	if (skip_rest(r, &r->body, &p->extra, e) == -1)
		return -1;
	p->body = content(&r->body);
	if (r->router)
		p->peer_id = content(&r->id);
	return 1;
}

/* What stands before the body. -1: zmq_errno(). */
static int
send_address(struct raw *r, const struct parcel *p)
{
	const int more = ZMQ_DONTWAIT | ZMQ_SNDMORE;

	if (!r->router)
		return 0;
	if (zmq_send(r->socket, p->peer_id.data, p->peer_id.len, more) == -1)
		return -1;
	return p->delimiter ? zmq_send(r->socket, "", 0, more) : 0;
}

/* A body that need not be copied. -1: zmq_errno(). */
static int
send_lent(struct raw *r, const struct parcel *p)
{
	zmq_msg_t body;
	int result, error;

	if (zmq_msg_init_data(&body, (char *)p->body.data, p->body.len, p->let_go, p->held) == -1) {
		p->let_go((char *)p->body.data, p->held);
		errno = EAGAIN;   /* there is no memory now */
		return -1;
	}
	if ((result = send_address(r, p)) != -1)
		result = zmq_msg_send(&body, r->socket, ZMQ_DONTWAIT);
	if (result == -1) {
		error = zmq_errno();
		zmq_msg_close(&body);   /* which lets go of it */
		errno = error;
	}
	return result;
}

int
raw_send(struct raw *r, const struct parcel *p, bool *gone, struct error *e)
{
	int result = p->let_go != NULL ? send_lent(r, p) : send_address(r, p) == -1 ? -1 :
	    zmq_send(r->socket, p->body.data, p->body.len, ZMQ_DONTWAIT);

	*gone = result == -1 && zmq_errno() == EHOSTUNREACH;
	return result != -1 || *gone ? 1 : is_empty() ? 0 : fail(e, "sending");
}

int
raw_pass(struct raw *from, struct raw *to, struct parcel *p, struct error *e)
{
	int got = receive_frame(from, &from->body, e);

	*p = (struct parcel){ 0 };
	if (got != 1)
		return got;
	p->body.len = zmq_msg_size(&from->body);
	if (skip_rest(from, &from->body, &p->extra, e) == -1)
		return -1;
	if (p->extra == 0 && zmq_msg_send(&from->body, to->socket, ZMQ_DONTWAIT) == -1)
		return fail(e, "sending");
	return 1;
}

const char *
raw_property(struct raw *r, const char *name)
{
	return zmq_msg_gets(&r->body, name);
}

/* ---- what happens ---- */

static const char *
reason_of(uint32_t value)
{
	switch (value) {
	case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
		return "only one side uses CURVE";
	case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
		return "the keys do not fit";
	default:
		return "it does not keep to the protocol";
	}
}

/* The other end, as libzmq writes it. (The connection may have ended by now, and `fd` be none.) */
static void
write_numbers(char text[RAW_ADDRESS_SIZE], int fd)
{
	struct sockaddr_storage a;
	socklen_t size = sizeof(a);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	*text = '\0';
	if (getpeername(fd, (struct sockaddr *)&a, &size) == -1 ||
	    (a.ss_family != AF_INET && a.ss_family != AF_INET6) ||
	    getnameinfo((struct sockaddr *)&a, size, host, sizeof(host), port, sizeof(port),
	    NI_NUMERICHOST | NI_NUMERICSERV) != 0 || strlen(host) + strlen(port) + 16 > RAW_ADDRESS_SIZE)
		return;
	sprintf(text, a.ss_family == AF_INET6 ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
}

bool
raw_event(struct raw *r, struct raw_event *event)
{
	unsigned char head[6];   /* its number and its value; then comes the address */
	uint16_t number;
	uint32_t value;
	int n;

	if (zmq_recv(r->monitor, head, sizeof(head), ZMQ_DONTWAIT) != (int)sizeof(head) ||
	    (n = zmq_recv(r->monitor, event->address, RAW_ADDRESS_SIZE - 1, ZMQ_DONTWAIT)) == -1)
		return false;
	event->address[n < RAW_ADDRESS_SIZE ? n : RAW_ADDRESS_SIZE - 1] = '\0';
	memcpy(&number, head, sizeof(number));
	memcpy(&value, head + sizeof(number), sizeof(value));
	event->type = number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED ? RAW_UP :
	    number == ZMQ_EVENT_DISCONNECTED ? RAW_DOWN :
	    number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? RAW_UNWANTED :
	    (number & BEGUN) != 0 ? RAW_BEGUN : (number & TRYING) != 0 ? RAW_TRYING : RAW_FAILED;
	event->why = number == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL ? reason_of(value) : NULL;
	write_numbers(event->numbers, number == ZMQ_EVENT_CONNECTED ? (int)value : -1);
	return true;
}

/* ---- waiting ---- */

/*
 * Not with zmq_poll(), which looks at every socket twice in every round, at some system calls
 * each. A socket's descriptor is readable when something has happened since it was last looked
 * at; whether that is what one waits for has to be asked then, and before. Of a monitor, and of
 * the questions, everything is always taken, so there the descriptor says it all.
 */

void
raw_list_clear(struct raw_context *c)
{
	c->item_count = 0;
}

static int
grow(struct raw_context *c)
{
	size_t room = c->room > 0 ? 2 * c->room : 16;
	struct item *items = reallocarray(c->items, room, sizeof(*items));
	struct pollfd *fds;

	if (items != NULL)
		c->items = items;
	if ((fds = reallocarray(c->fds, room, sizeof(*fds))) != NULL)
		c->fds = fds;
	if (items == NULL || fds == NULL)
		return -1;
	c->room = room;
	return 0;
}

static int
list_add(struct raw_context *c, struct item item, int fd, unsigned events, struct error *e)
{
	size_t size = sizeof(fd);

	if (c->item_count == c->room && grow(c) == -1)
		return error_memory(e);
	if (item.socket != NULL && zmq_getsockopt(item.socket, ZMQ_FD, &fd, &size) == -1)
		return fail(e, "a socket's descriptor");
	c->fds[c->item_count] = (struct pollfd){ .fd = fd };
	if (item.socket != NULL)
		c->fds[c->item_count].events = events != 0 ? POLLIN : 0;
	else
		c->fds[c->item_count].events = (short)((events & HUB_READ ? POLLIN : 0) |
		    (events & HUB_WRITE ? POLLOUT : 0));
	c->items[c->item_count] = item;
	c->items[c->item_count++].wanted = events;
	return 0;
}

int
raw_list_socket(struct raw_context *c, struct raw *r, unsigned events, struct error *e)
{
	return list_add(c, (struct item){ .socket = r->socket }, -1, events, e);
}

int
raw_list_monitor(struct raw_context *c, struct raw *r, struct error *e)
{
	return list_add(c, (struct item){ .socket = r->monitor, .simple = true }, -1, HUB_READ, e);
}

int
raw_list_fd(struct raw_context *c, int fd, unsigned events, struct error *e)
{
	return list_add(c, (struct item){ .socket = NULL }, fd, events, e);
}

/* What a socket is ready for, of what is wanted. */
static unsigned
ask_socket(const struct item *i)
{
	return i->wanted == 0 ? 0 : events_of(i->socket) & i->wanted;
}

static unsigned
ask_descriptor(const struct pollfd *fd)
{
	return (fd->revents & POLLIN ? HUB_READ : 0u) | (fd->revents & POLLOUT ? HUB_WRITE : 0u) |
	    (fd->revents & ~(POLLIN | POLLOUT) ? HUB_HANGUP : 0u);
}

int
raw_wait(struct raw_context *c, double seconds, struct error *e)
{
	bool ready = false;

	if (list_add(c, (struct item){ .socket = c->zap, .simple = true }, -1, HUB_READ, e) == -1)
		return -1;
	for (struct item *i = c->items; i < c->items + c->item_count; i++) {
		i->ready = i->socket != NULL && !i->simple ? ask_socket(i) : 0;
		ready |= i->ready != 0;
	}
	if (poll(c->fds, c->item_count, ready ? 0 : isinf(seconds) ? -1 : milliseconds(seconds)) == -1) {
		if (errno != EINTR)
			return error_errno(e, errno, "waiting");
		for (size_t i = 0; i < c->item_count; i++)
			c->fds[i].revents = 0;
	}
	for (size_t n = 0; n < c->item_count; n++) {
		struct item *i = &c->items[n];
		if (i->socket == NULL || i->simple)
			i->ready = ask_descriptor(&c->fds[n]);
		else if (c->fds[n].revents != 0)
			i->ready |= ask_socket(i);
	}
	return 0;
}

unsigned
raw_ready(const struct raw_context *c, size_t n)
{
	return c->items[n].ready;
}

/* ---- keys ---- */

int
raw_keypair(char public_key[KEY_SIZE], char secret_key[KEY_SIZE], struct error *e)
{
	return zmq_curve_keypair(public_key, secret_key) == -1 ? fail(e, "CURVE") : 0;
}

int
raw_public_key(const char *secret_key, char public_key[KEY_SIZE], struct error *e)
{
	return zmq_curve_public(public_key, secret_key) == -1 ? fail(e, "CURVE") : 0;
}
