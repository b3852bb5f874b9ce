#include "socket.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "raw.h"
#include "when.h"

#define REBIND_TRIES 500   /* 10 ms apart, for an address that we have just left ourselves */
#define LARGE ((size_t)64 << 10)         /* bytes of a message that is counted, */
#define UNSENT_MAX ((size_t)16 << 20)    /* and of all of these that may wait for a peer */
#define NAME_SIZE 16
#define PEER_SIZE 128

struct hub {
	struct raw_context *context;
	struct socket *sockets;
	unsigned names;            /* given so far */
};

/* One of its endpoints. */
struct place {
	char *given;
	char bound[RAW_ADDRESS_SIZE];   /* where it really is, or "" */
	char numbers[RAW_ADDRESS_SIZE]; /* where it was connected to last, without names, or "" */
	double redial;             /* connect again then; 0: libzmq sees to that */
};

/* The bytes of large messages that libzmq has not got rid of yet; its thread counts them down. Freed
 * with the last reference. */
struct unsent {
	atomic_size_t bytes;
	atomic_uint refs;
};

/* One of these messages. */
struct large {
	struct unsent *unsent;
	size_t len;
	char body[];
};

/* ROUTER: a peer for whom there are such messages on their way. */
struct receiver {
	LIST_ENTRY(receiver) next;
	struct unsent *unsent;
	size_t id_len;
	char id[];
};

struct socket {
	struct hub *hub;
	struct socket *next;
	struct socket_settings settings;
	char secret_key[KEY_SIZE], public_key[KEY_SIZE], server_key[KEY_SIZE];
	bool curve, bind;
	struct place *places;
	size_t place_count;
	struct raw *raw;           /* made anew now and then */
	char name[NAME_SIZE];      /* its domain */
	struct buf *prefixes;      /* what it subscribed to */
	size_t prefix_count;
	LIST_HEAD(, receiver) receivers;
	struct buf admitted;       /* the keys that came in, where there is an allow list */
	char peer[PEER_SIZE];      /* of what was received last */
	bool told;                 /* why the other end is no good, since it was last connected to */
	struct socket_stats stats;
};

/* ---- who may come in ---- */

static struct socket *
find_socket(const struct hub *h, const char *name)
{
	struct socket *s = h->sockets;

	while (s != NULL && strcmp(s->name, name) != 0)
		s = s->next;
	return s;
}

/* Keep in mind that this key came in. */
static int
remember(struct socket *s, const char *key)
{
	for (size_t i = 0; i < s->admitted.len; i += KEY_SIZE)
		if (memcmp(s->admitted.data + i, key, KEY_SIZE) == 0)
			return 0;
	return buf_add(&s->admitted, key, KEY_SIZE);
}

static enum raw_verdict
may_come_in(struct socket *s, const struct raw_question *q)
{
	/* It comes to one that has begun anew meanwhile. */
	if (s == NULL)
		return RAW_LATER;
	if (*q->key == '\0')
		return RAW_NO;
	if (s->settings.allow == NULL)
		return RAW_YES;
	if (!allow_has(s->settings.allow, str_of(q->key), NULL)) {
		log_limited("peers", LOG_WARNING, "a peer at %s is refused: its key %s is not allowed",
		    q->address, q->key);
		return RAW_NO;
	}
	return remember(s, q->key) == 0 ? RAW_YES : RAW_LATER;
}

static int
answer_questions(struct hub *h, struct error *e)
{
	struct raw_question q;
	int r;

	while ((r = raw_asked(h->context, &q, e)) == 1)
		if (raw_answer(h->context, &q, may_come_in(find_socket(h, q.domain), &q), e) == -1)
			return -1;
	return r;
}

/* ---- what happens to connections ---- */

static struct place *
find_place(const struct socket *s, const char *address)
{
	for (struct place *p = s->places; p < s->places + s->place_count; p++)
		if (strcmp(p->given, address) == 0 || strcmp(p->numbers, address) == 0)
			return p;
	return NULL;
}

/* libzmq gives an endpoint up for good where the other end broke the protocol, did not want us
 * or is of another kind; but it may be another one by now, or know our key. It is told from
 * what libzmq tries again by itself by nothing more being heard of it. */
static void
set_redial(struct socket *s, const char *address, double when)
{
	struct place *p = find_place(s, address);

	/* Which one is it, of those that were named? It may be any. */
	for (size_t i = 0; i < s->place_count; i++)
		if (p == NULL || p == &s->places[i])
			s->places[i].redial = when;
}

/* What an event tells as its address is what we gave, and from the second connection on what that
 * was found to stand for. */
static void
note_numbers(struct socket *s, const struct raw_event *event)
{
	struct place *p = find_place(s, event->address);

	if (p != NULL && *event->numbers != '\0')
		snprintf(p->numbers, sizeof(p->numbers), "%s", event->numbers);
}

static void
take_failure(struct socket *s, const struct raw_event *event)
{
	s->stats.refused++;
	s->told |= event->type == RAW_UNWANTED || event->why != NULL;
	if (event->type == RAW_UNWANTED && !s->bind)
		log_limited("unwanted", LOG_WARNING, "%s: our key is not allowed there", event->address);
	else if (event->why != NULL)
		log_limited("handshake", LOG_WARNING, "%s: no handshake with the other end: %s",
		    event->address, event->why);
}

static void
take_event(struct socket *s, const struct raw_event *event)
{
	switch (event->type) {
	case RAW_BEGUN:
		s->stats.begun++;
		set_redial(s, event->address, 0);
		note_numbers(s, event);
		break;
	case RAW_TRYING:
		set_redial(s, event->address, 0);
		break;
	case RAW_UP:
		s->stats.connected++;
		break;
	case RAW_UNWANTED:
	case RAW_FAILED:
		take_failure(s, event);
		break;
	case RAW_DOWN:
		s->stats.ended++;
		if (!s->bind)
			set_redial(s, event->address, when_ticks() + s->settings.retry_max);
		break;
	}
}

static void
take_events(struct socket *s)
{
	struct raw_event event;

	while (raw_event(s->raw, &event))
		take_event(s, &event);
}

static int
redial(struct socket *s, struct error *e)
{
	for (size_t i = 0; i < s->place_count; i++) {
		struct place *p = &s->places[i];
		if (p->redial == 0 || p->redial > when_ticks())
			continue;
		p->redial = 0;
		if (!s->told)
			log_limited("redial", LOG_WARNING, "%s: the other end is not as expected (is it the "
			    "right endpoint?)", p->given);
		raw_disconnect(s->raw, p->given);
		s->told = false;
		if (raw_connect(s->raw, p->given, e) == -1)
			return -1;
	}
	return 0;
}

void
socket_stats(const struct socket *s, struct socket_stats *out)
{
	*out = s->stats;
}

/* ---- for whom there is much on its way ---- */

static void
unsent_drop(struct unsent *u)
{
	if (atomic_fetch_sub(&u->refs, 1) == 1)
		free(u);
}

/* A copy, which is counted until it is let go of. NULL: no memory. */
static struct large *
large_new(struct unsent *u, struct str body)
{
	struct large *l = malloc(sizeof(*l) + body.len);

	if (l == NULL)
		return NULL;
	l->unsent = u;
	l->len = body.len;
	memcpy(l->body, body.data, body.len);
	atomic_fetch_add(&u->bytes, l->len);
	atomic_fetch_add(&u->refs, 1);
	return l;
}

/* On libzmq's thread, or on ours. */
static void
large_let_go(void *body, void *held)
{
	struct large *l = held;

	(void)body;
	atomic_fetch_sub(&l->unsent->bytes, l->len);
	unsent_drop(l->unsent);
	free(l);
}

static void
receiver_free(struct receiver *x)
{
	LIST_REMOVE(x, next);
	unsent_drop(x->unsent);
	free(x);
}

static struct receiver *
receiver_new(struct socket *s, struct str id)
{
	struct receiver *x = calloc(1, sizeof(*x) + id.len);

	if (x == NULL || (x->unsent = calloc(1, sizeof(*x->unsent))) == NULL) {
		free(x);
		return NULL;
	}
	atomic_init(&x->unsent->refs, 1);
	x->id_len = id.len;
	memcpy(x->id, id.data, id.len);
	LIST_INSERT_HEAD(&s->receivers, x, next);
	return x;
}

/* The receiver of that id, made if there is none; those that wait for nothing are let go. */
static struct receiver *
receiver_of(struct socket *s, struct str id)
{
	struct receiver *x, *next, *found = NULL;

	for (x = LIST_FIRST(&s->receivers); x != NULL; x = next) {
		next = LIST_NEXT(x, next);
		if (str_equal((struct str){ x->id, x->id_len }, id))
			found = x;
		else if (atomic_load(&x->unsent->bytes) == 0)
			receiver_free(x);
	}
	return found != NULL ? found : receiver_new(s, id);
}

/* ---- to open ---- */

/* libzmq removes whatever it finds at the path of an ipc socket. */
static int
check_ipc(const char *address, struct error *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = address + strlen("ipc://");
	struct stat st;
	bool alive;
	int fd;

	if (strncmp(address, "ipc://", 6) != 0 || lstat(path, &st) == -1)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return error_set(e, ERROR_USAGE, "%s: there is a file, and it is no socket", address);
	if (strlen(path) >= sizeof(a.sun_path))
		return error_set(e, ERROR_USAGE, "%s: a socket's path has at most %zu bytes", address,
		    sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return error_errno(e, errno, "socket");
	alive = connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 || errno != ECONNREFUSED;
	close(fd);
	return alive ? error_set(e, ERROR_BUSY, "%s: somebody else listens there", address) : 0;
}

/* Where it was before, if it was: the old socket leaves in its own time. */
static int
bind_place(struct socket *s, struct place *p, struct error *e)
{
	char bound[RAW_ADDRESS_SIZE];
	int tries = 0;

	if (*p->bound == '\0')
		return check_ipc(p->given, e) == -1 ? -1 : raw_bind(s->raw, p->given, p->bound, e);
	while (raw_bind(s->raw, p->bound, bound, e) == -1) {
		if (e->kind != ERROR_BUSY || ++tries == REBIND_TRIES)
			return -1;
		poll(NULL, 0, 10);
	}
	return 0;
}

/* Open what all of it is about, for the first time or again. */
static int
open_raw(struct socket *s, struct error *e)
{
	snprintf(s->name, sizeof(s->name), "%u", ++s->hub->names);
	s->raw = raw_new(s->hub->context, &(struct raw_settings){
		.socket = &s->settings,
		.bind = s->bind,
		.public_key = s->curve ? s->public_key : NULL,
		.domain = s->name,
	}, e);
	if (s->raw == NULL)
		return -1;
	for (size_t i = 0; i < s->prefix_count; i++)
		if (raw_subscribe(s->raw, (struct str){ s->prefixes[i].data, s->prefixes[i].len }, e) == -1)
			return -1;
	for (size_t i = 0; i < s->place_count; i++)
		if ((s->bind ? bind_place(s, &s->places[i], e) :
		    raw_connect(s->raw, s->places[i].given, e)) == -1)
			return -1;
	return 0;
}

static int
copy_keys(struct socket *s, struct error *e)
{
	struct socket_settings *o = &s->settings;

	if (o->secret_key == NULL)
		return 0;
	s->curve = true;
	snprintf(s->secret_key, sizeof(s->secret_key), "%s", o->secret_key);
	if (o->server_key != NULL)
		snprintf(s->server_key, sizeof(s->server_key), "%s", o->server_key);
	o->secret_key = s->secret_key;
	o->server_key = s->server_key;
	return raw_public_key(s->secret_key, s->public_key, e);
}

static int
copy_places(struct socket *s, struct error *e)
{
	const struct endpoint *endpoints = s->settings.endpoints;
	size_t n = s->settings.endpoint_count;

	s->settings.endpoints = NULL;
	if ((s->places = calloc(n + 1, sizeof(*s->places))) == NULL)
		return error_memory(e);
	for (size_t i = 0; i < n; i++, s->place_count++) {
		if (i == 0)
			s->bind = endpoints[i].bind;
		if (s->bind != endpoints[i].bind)
			return error_set(e, ERROR_USAGE, "%s: a socket either listens or connects",
			    endpoints[i].address);
		if ((s->places[i].given = strdup(endpoints[i].address)) == NULL)
			return error_memory(e);
	}
	return 0;
}

struct socket *
socket_new(struct hub *h, const struct socket_settings *settings, struct error *e)
{
	struct socket *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		error_memory(e);
		return NULL;
	}
	s->hub = h;
	s->next = h->sockets;
	h->sockets = s;
	s->settings = *settings;
	if (copy_keys(s, e) == -1 || copy_places(s, e) == -1 || open_raw(s, e) == -1)
		socket_free(&s);
	return s;
}

void
socket_free(struct socket **sp)
{
	struct socket *s = *sp, **at;

	if (s == NULL)
		return;
	for (at = &s->hub->sockets; *at != s;)
		at = &(*at)->next;
	*at = s->next;
	raw_free(&s->raw);
	while (!LIST_EMPTY(&s->receivers))
		receiver_free(LIST_FIRST(&s->receivers));
	for (size_t i = 0; i < s->place_count; i++)
		free(s->places[i].given);
	for (size_t i = 0; i < s->prefix_count; i++)
		buf_free(&s->prefixes[i]);
	free(s->places);
	free(s->prefixes);
	buf_free(&s->admitted);
	explicit_bzero(s->secret_key, sizeof(s->secret_key));
	free(s);
	*sp = NULL;
}

const char *
socket_bound(const struct socket *s, size_t n)
{
	const struct place *p = &s->places[n];

	return *p->bound != '\0' ? p->bound : p->given;
}

int
socket_subscribe(struct socket *s, struct str prefix, struct error *e)
{
	struct buf *more = reallocarray(s->prefixes, s->prefix_count + 1, sizeof(*more));

	if (more == NULL)
		return error_memory(e);
	s->prefixes = more;
	more[s->prefix_count] = (struct buf){ 0 };
	if (buf_add_str(&more[s->prefix_count], prefix) == -1)
		return error_memory(e);
	s->prefix_count++;
	return raw_subscribe(s->raw, prefix, e);
}

/* ---- messages ---- */

/* A User-Id is to be believed only where it was our answer: without CURVE, or where we
 * connected, the other end can say that it is anybody. */
static struct str
name_peer(struct socket *s)
{
	const char *key = !s->curve ? NULL : s->bind ? raw_property(s->raw, "User-Id") : s->server_key;
	const char *address = raw_property(s->raw, "Peer-Address");
	unsigned long uid;
	int n;

	if (address == NULL)
		address = "unknown";
	if (key != NULL)
		n = snprintf(s->peer, sizeof(s->peer), "curve:%s", key);
	else if (sscanf(address, "localhost:%lu:", &uid) == 1)
		n = snprintf(s->peer, sizeof(s->peer), "uid:%lu", uid);
	else if (strncmp(address, "::ffff:", 7) == 0)
		n = snprintf(s->peer, sizeof(s->peer), "tcp:%s", address + 7);
	else
		n = snprintf(s->peer, sizeof(s->peer), "tcp:%s", address);
	return (struct str){ s->peer, n < PEER_SIZE ? (size_t)n : PEER_SIZE - 1 };
}

static void
count_received(struct socket *s, const struct parcel *p)
{
	s->stats.received++;
	s->stats.received_bytes += p->body.len;
}

static void
count_sent(struct socket *s, const struct parcel *p)
{
	s->stats.sent++;
	s->stats.sent_bytes += p->body.len;
}

int
socket_receive(struct socket *s, struct parcel *p, struct error *e)
{
	int r = raw_receive(s->raw, p, e);

	if (r != 1)
		return r;
	if (s->settings.type == SOCKET_ROUTER)
		p->peer = name_peer(s);
	count_received(s, p);
	return 1;
}

/* libzmq's high-water mark counts messages, whatever their size. Without memory there is no room. */
static int
send_large(struct socket *s, const struct parcel *p, bool *gone, struct error *e)
{
	struct receiver *x = receiver_of(s, p->peer_id);
	size_t unsent = x != NULL ? atomic_load(&x->unsent->bytes) : 0;
	struct parcel lent = *p;
	struct large *l;

	*gone = false;
	if (x == NULL || (unsent > 0 && unsent + p->body.len > UNSENT_MAX) ||
	    (l = large_new(x->unsent, p->body)) == NULL)
		return 0;
	lent.body.data = l->body;
	lent.let_go = large_let_go;
	lent.held = l;
	return raw_send(s->raw, &lent, gone, e);
}

int
socket_send(struct socket *s, const struct parcel *p, bool *gone, struct error *e)
{
	bool lost, large = s->settings.type == SOCKET_ROUTER && p->body.len >= LARGE;
	int r = large ? send_large(s, p, &lost, e) : raw_send(s->raw, p, &lost, e);

	if (gone != NULL)
		*gone = lost;
	if (r == 1 && !lost)
		count_sent(s, p);
	return r;
}

int
socket_pass(struct socket *from, struct socket *to, struct parcel *p, struct error *e)
{
	int r = raw_pass(from->raw, to->raw, p, e);

	if (r != 1)
		return r;
	count_received(from, p);
	if (p->extra == 0)
		count_sent(to, p);
	return 1;
}

/* ---- the hub ---- */

struct hub *
hub_new(struct error *e)
{
	struct hub *h = calloc(1, sizeof(*h));

	if (h == NULL)
		error_memory(e);
	else if ((h->context = raw_context_new(e)) == NULL)
		hub_free(&h);
	return h;
}

void
hub_free(struct hub **hp)
{
	if (*hp == NULL)
		return;
	raw_context_free(&(*hp)->context);
	free(*hp);
	*hp = NULL;
}

/* The time until the first endpoint is to be connected to again, if that is sooner. */
static double
until_redial(const struct hub *h, double seconds)
{
	for (const struct socket *s = h->sockets; s != NULL; s = s->next)
		for (size_t i = 0; i < s->place_count; i++)
			if (s->places[i].redial != 0)
				seconds = fmin(seconds, fmax(s->places[i].redial - when_ticks(), 0));
	return seconds;
}

static int
list_all(struct hub *h, const struct hub_watch *watches, size_t n, struct error *e)
{
	int r = 0;

	raw_list_clear(h->context);
	for (size_t i = 0; i < n && r == 0; i++)
		r = watches[i].socket != NULL ?
		    raw_list_socket(h->context, watches[i].socket->raw, watches[i].events, e) :
		    raw_list_fd(h->context, watches[i].fd, watches[i].events, e);
	for (struct socket *s = h->sockets; s != NULL && r == 0; s = s->next)
		r = raw_list_monitor(h->context, s->raw, e);
	return r;
}

int
hub_wait(struct hub *h, struct hub_watch *watches, size_t n, double seconds, struct error *e)
{
	if (list_all(h, watches, n, e) == -1 ||
	    raw_wait(h->context, until_redial(h, seconds), e) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		watches[i].ready = raw_ready(h->context, i);
	/* A look at a ZeroMQ socket costs several system calls. */
	for (struct socket *s = h->sockets; s != NULL; s = s->next) {
		if (raw_ready(h->context, n++) != 0)
			take_events(s);
		if (redial(s, e) == -1)
			return -1;
	}
	return raw_ready(h->context, n) != 0 ? answer_questions(h, e) : 0;
}

static bool
somebody_must_go(const struct hub *h)
{
	for (const struct socket *s = h->sockets; s != NULL; s = s->next)
		for (size_t i = 0; i < s->admitted.len; i += KEY_SIZE)
			if (!allow_has(s->settings.allow, str_of(s->admitted.data + i), NULL))
				return true;
	return false;
}

static int
begin_anew(struct socket *s, struct error *e)
{
	take_events(s);
	s->stats.ended = s->stats.begun;
	s->admitted.len = 0;
	raw_drop(s->raw);
	raw_free(&s->raw);
	return open_raw(s, e);
}

int
hub_recheck(struct hub *h, struct error *e)
{
	if (!somebody_must_go(h))
		return 0;
	for (struct socket *s = h->sockets; s != NULL; s = s->next)
		if (begin_anew(s, e) == -1)
			return -1;
	return 1;
}

/* ---- keys ---- */

int
socket_keypair(char public_key[KEY_SIZE], char secret_key[KEY_SIZE], struct error *e)
{
	return raw_keypair(public_key, secret_key, e);
}
