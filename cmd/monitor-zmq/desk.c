#include "desk.h"

#include <math.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "json.h"
#include "log.h"
#include "proto.h"
#include "record.h"

#define SHORT 4096   /* bytes of a request */

TAILQ_HEAD(clients, client);

/* Whose replies go where. */
struct address {
	struct str id, watchdog;
	bool delimiter;
};

struct request {
	STAILQ_ENTRY(request) next;
	size_t len;
	char text[];
};

/* A peer that acts for one watchdog. */
struct client {
	struct address address;    /* the key in desk.clients; points into `memory` */
	struct desk *desk;
	struct session *session;
	struct str peer;           /* who it is, likewise */
	TAILQ_ENTRY(client) next, of_list;
	struct clients *list;      /* ready, blocked, or NULL */
	STAILQ_HEAD(, request) waiting;
	size_t waiting_bytes;
	bool subscribed;
	char memory[];
};

struct desk {
	struct desk_settings settings;
	struct serve *serve;
	struct json json;
	struct buf reply;
	void *by_address;          /* tsearch(3) */
	struct clients clients;    /* who asked last is last */
	struct clients ready, blocked;
	size_t count;
	size_t waiting_bytes;      /* of all clients */
	bool stopped;
	struct desk_stats stats;
};

struct desk *
desk_new(const struct desk_settings *settings, struct error *e)
{
	struct desk *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		error_memory(e);
		return NULL;
	}
	d->settings = *settings;
	TAILQ_INIT(&d->clients);
	TAILQ_INIT(&d->ready);
	TAILQ_INIT(&d->blocked);
	return d;
}

void
desk_serve(struct desk *d, struct serve *serve)
{
	d->serve = serve;
}

/* ---- clients ------------------------------------------------------------ */

static int
compare_text(struct str a, struct str b)
{
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return a.len == 0 ? 0 : memcmp(a.data, b.data, a.len);
}

static int
compare(const void *a, const void *b)
{
	const struct address *x = a, *y = b;
	int r = compare_text(x->id, y->id);

	if (r == 0)
		r = compare_text(x->watchdog, y->watchdog);
	return r != 0 ? r : (int)x->delimiter - (int)y->delimiter;
}

static void
list(struct client *c, struct clients *to)
{
	if (c->list != NULL)
		TAILQ_REMOVE(c->list, c, of_list);
	if ((c->list = to) != NULL)
		TAILQ_INSERT_TAIL(to, c, of_list);
}

void
desk_wake(void *transport)
{
	struct client *c = transport;

	if (c->list == NULL)
		list(c, &c->desk->ready);
}

/* The next request that waits, which is the caller's now. */
static struct request *
take_waiting(struct client *c)
{
	struct request *r = STAILQ_FIRST(&c->waiting);

	if (r == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&c->waiting, next);
	c->waiting_bytes -= r->len;
	c->desk->waiting_bytes -= r->len;
	return r;
}

static void
drop(struct desk *d, struct client *c)
{
	struct request *r;

	session_free(&c->session);
	list(c, NULL);
	tdelete(c, &d->by_address, compare);
	TAILQ_REMOVE(&d->clients, c, next);
	d->count--;
	while ((r = take_waiting(c)) != NULL)
		free(r);
	free(c);
}

void
desk_free(struct desk **dp)
{
	struct desk *d = *dp;

	if (d == NULL)
		return;
	while (!TAILQ_EMPTY(&d->clients))
		drop(d, TAILQ_FIRST(&d->clients));
	json_free(&d->json);
	buf_free(&d->reply);
	free(d);
	*dp = NULL;
}

static struct str
keep(char **memory, struct str s)
{
	struct str kept = { *memory, s.len };

	if (s.len > 0)
		memcpy(*memory, s.data, s.len);
	*memory += s.len;
	return kept;
}

static struct client *
client_new(struct desk *d, const struct address *a, struct str peer)
{
	struct client *c = calloc(1, sizeof(*c) + a->id.len + a->watchdog.len + peer.len);
	char *memory;

	if (c == NULL)
		return NULL;
	memory = c->memory;
	c->desk = d;
	c->address = (struct address){ .id = keep(&memory, a->id),
	    .watchdog = keep(&memory, a->watchdog), .delimiter = a->delimiter };
	c->peer = keep(&memory, peer);
	STAILQ_INIT(&c->waiting);
	return c;
}

/* Let it act for its watchdog. */
static int
open_session(struct desk *d, struct client *c, struct error *e)
{
	struct identity who = { .role = AUTH_WATCHDOG, .expires = INFINITY, .by = AUTH_BY_NOTHING };
	char name[160];

	snprintf(name, sizeof(name), "%.*s", STR_ARGS(c->peer));
	snprintf(who.watchdog, sizeof(who.watchdog), "%.*s", STR_ARGS(c->address.watchdog));
	if ((c->session = session_new(d->serve, c, name, e)) == NULL)
		return -1;
	return session_vouch(c->session, &who, e);
}

static struct client *
add(struct desk *d, const struct address *a, struct str peer)
{
	struct client *c = client_new(d, a, peer);
	struct error e;

	if (c == NULL)
		return NULL;
	if (open_session(d, c, &e) == -1 || tsearch(c, &d->by_address, compare) == NULL) {
		list(c, NULL);   /* it may have been woken */
		session_free(&c->session);
		free(c);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&d->clients, c, next);
	d->count++;
	return c;
}

/* A routing id is no proof of anything: it may be somebody else's by now. */
static struct client *
find(struct desk *d, const struct address *a, struct str peer)
{
	struct client *const *found = tfind(a, &d->by_address, compare);
	struct client *c = found != NULL ? *found : NULL;

	if (c == NULL || str_equal(c->peer, peer))
		return c;
	drop(d, c);
	return NULL;
}

/* ---- requests ----------------------------------------------------------- */

/* What the desk itself looks at. */
struct subject {
	struct str action, watchdog, id;   /* id: as JSON text; data NULL: none */
};

static void
refuse(struct desk *d, const struct subject *s, uint64_t *count, const char *comment,
    struct str *reply)
{
	const struct proto_request r = { .action = PROTO_UNKNOWN, .name = s->action, .id = s->id };

	++*count;
	d->reply.len = 0;
	if (proto_reply(&d->reply, &r, false, comment) == 0)
		*reply = (struct str){ d->reply.data, d->reply.len };
}

/* NULL, or what is wrong with it. */
static const char *
read_subject(struct desk *d, const struct parcel *m, struct subject *s)
{
	static const struct str names[] = { { "action", 6 }, { "watchdog", 8 }, { "id", 2 } };
	struct str values[3], object;
	struct error e;

	*s = (struct subject){ .action = { "", 0 } };
	if (m->extra > 0)
		return "A request has one frame";
	if (json_open_object(&d->json, m->body, names, values, 3, &object, &e) == -1)
		return "The request is no JSON object";
	s->id = values[2];
	if (values[0].data == NULL || !json_string(&d->json, values[0], &s->action))
		return "action: missing, or no string";
	if (values[1].data == NULL || !json_string(&d->json, values[1], &s->watchdog) ||
	    !record_watchdog_valid(s->watchdog))
		return "watchdog: missing, or not a watchdog code";
	return NULL;
}

static bool
is_allowed(const struct desk *d, struct str peer, struct str watchdog, struct str action)
{
	static const struct str curve = { "curve:", 6 };

	if (d->settings.allow == NULL)
		return true;
	if (peer.len <= curve.len || memcmp(peer.data, curve.data, curve.len) != 0)
		return false;
	peer = (struct str){ peer.data + curve.len, peer.len - curve.len };
	return allow_action(d->settings.allow, peer, watchdog, action);
}

/* An action's name for the log: never what somebody made up. */
static const char *
name_of(struct str action)
{
	for (unsigned i = 0; i < PROTO_ACTIONS; i++)
		if (str_equal(action, str_of(proto_action_name(i))))
			return proto_action_name(i);
	return "an unknown action";
}

static bool
is_action(const struct subject *s, enum proto_action action)
{
	return str_equal(s->action, str_of(proto_action_name(action)));
}

/* NULL, or why that cannot be had here. */
static const char *
look(const struct desk *d, const struct parcel *m, const struct subject *s)
{
	if (m->delimiter && is_action(s, PROTO_SUBSCRIBE))
		return "Only a DEALER can subscribe";
	if (!d->settings.uploads &&
	    (is_action(s, PROTO_UPLOAD_LOGS) || is_action(s, PROTO_UPLOAD_NOTIFICATIONS)))
		return "No sink to upload to";
	return NULL;
}

/* Give its session what it can take now. */
static void
feed(struct client *c)
{
	struct request *r;

	while (session_reads(c->session) && (r = take_waiting(c)) != NULL) {
		session_receive(c->session, (struct str){ r->text, r->len }, true, true, false);
		free(r);
	}
}

/* Is there room for one more that may have to wait for the sink, here or in its session? Short ones are
 * let in always: who asks a question is to be answered. One that alone is too long is, too. */
static bool
has_room(const struct desk *d, size_t len)
{
	struct serve_stats s;
	uint64_t held;

	if (len <= SHORT)
		return true;
	serve_stats(d->serve, &s);
	held = s.held_bytes + d->waiting_bytes;
	return held == 0 || held + len <= d->settings.max_waiting_all;
}

/* False: there is no room. */
static bool
hand_over(struct desk *d, struct client *c, struct str body)
{
	struct request *r;

	if (!has_room(d, body.len))
		return false;
	if (STAILQ_EMPTY(&c->waiting) && session_reads(c->session)) {
		session_receive(c->session, body, true, true, false);
		return true;
	}
	if (c->waiting_bytes + body.len > d->settings.max_waiting ||
	    d->waiting_bytes + body.len > d->settings.max_waiting_all ||
	    (r = malloc(sizeof(*r) + body.len)) == NULL)
		return false;
	r->len = body.len;
	memcpy(r->text, body.data, body.len);
	c->waiting_bytes += r->len;
	d->waiting_bytes += r->len;
	STAILQ_INSERT_TAIL(&c->waiting, r, next);
	return true;
}

static void
note_subscription(struct client *c, const struct subject *s)
{
	if (is_action(s, PROTO_SUBSCRIBE))
		c->subscribed = true;
	else if (is_action(s, PROTO_UNSUBSCRIBE))
		c->subscribed = false;
}

/* Is nothing lost with it? */
static bool
is_idle(const struct client *c)
{
	return c->list == NULL && !c->subscribed && STAILQ_EMPTY(&c->waiting) && session_idle(c->session);
}

/* Is there room for one more? Whoever connects anew for each request leaves one behind each time. */
static bool
make_room(struct desk *d)
{
	struct client *c = TAILQ_FIRST(&d->clients);

	if (d->count < d->settings.max_sessions)
		return true;
	while (c != NULL && !is_idle(c))
		c = TAILQ_NEXT(c, next);
	if (c != NULL)
		drop(d, c);
	return c != NULL;
}

static void
take(struct desk *d, const struct parcel *m, const struct subject *s, struct str *reply)
{
	struct address a = { .id = m->peer_id, .watchdog = s->watchdog, .delimiter = m->delimiter };
	struct client *c = find(d, &a, m->peer);

	if (c == NULL && (!make_room(d) || (c = add(d, &a, m->peer)) == NULL)) {
		refuse(d, s, &d->stats.busy, "Too many sessions, try again", reply);
		return;
	}
	TAILQ_REMOVE(&d->clients, c, next);
	TAILQ_INSERT_TAIL(&d->clients, c, next);
	note_subscription(c, s);
	if (hand_over(d, c, m->body))
		desk_wake(c);
	else
		refuse(d, s, &d->stats.busy, "Too many requests at once, try again", reply);
}

void
desk_take(struct desk *d, const struct parcel *m, struct str *reply)
{
	const char *comment;
	struct subject s;

	*reply = (struct str){ NULL, 0 };
	d->stats.requests++;
	if ((comment = read_subject(d, m, &s)) != NULL) {
		log_limited("odd", LOG_WARNING, "%.*s: %s", STR_ARGS(m->peer), comment);
		refuse(d, &s, &d->stats.odd, comment, reply);
	} else if (!is_allowed(d, m->peer, s.watchdog, s.action)) {
		log_limited("denied", LOG_NOTICE, "%.*s: not allowed for %.*s: %s", STR_ARGS(m->peer),
		    STR_ARGS(s.watchdog), name_of(s.action));
		refuse(d, &s, &d->stats.denied, "Not allowed", reply);
	} else if ((comment = look(d, m, &s)) != NULL) {
		refuse(d, &s, &d->stats.odd, comment, reply);
	} else if (d->stopped) {
		refuse(d, &s, &d->stats.busy, "Going away", reply);
	} else {
		take(d, m, &s, reply);
	}
}

/* ---- letters ------------------------------------------------------------ */

/* Its session has come to an end. If there is more to be asked, another one begins. */
static void
ended(struct desk *d, struct client *c)
{
	struct error e;

	c->subscribed = false;
	session_free(&c->session);
	if (STAILQ_EMPTY(&c->waiting) || d->stopped || open_session(d, c, &e) == -1)
		drop(d, c);
}

/* The text that a client is to be sent. False: none, for now or ever, or look again. */
static bool
look_at(struct desk *d, struct client *c, struct session_output *out)
{
	if (session_dropped(c->session)) {
		drop(d, c);
		return false;
	}
	feed(c);
	session_output(c->session, out);
	switch (out->type) {
	case OUTPUT_TEXT:
		return true;
	case OUTPUT_NONE:
		list(c, NULL);
		break;
	case OUTPUT_PING:
		session_sent(c->session);   /* ZeroMQ has its own */
		break;
	case OUTPUT_CLOSE:
		ended(d, c);
		break;
	}
	return false;
}

bool
desk_next(struct desk *d, struct parcel *letter)
{
	struct session_output out;
	struct client *c;

	while ((c = TAILQ_FIRST(&d->ready)) != NULL) {
		if (!look_at(d, c, &out))
			continue;
		*letter = (struct parcel){ .peer_id = c->address.id, .delimiter = c->address.delimiter,
		    .body = { out.data, out.len } };
		return true;
	}
	return false;
}

void
desk_sent(struct desk *d)
{
	session_sent(TAILQ_FIRST(&d->ready)->session);
}

void
desk_blocked(struct desk *d)
{
	list(TAILQ_FIRST(&d->ready), &d->blocked);
}

void
desk_gone(struct desk *d)
{
	drop(d, TAILQ_FIRST(&d->ready));
}

/* ---- */

bool
desk_is_blocked(const struct desk *d)
{
	return !TAILQ_EMPTY(&d->blocked);
}

void
desk_unblock(struct desk *d)
{
	struct client *c;

	while ((c = TAILQ_FIRST(&d->blocked)) != NULL)
		list(c, &d->ready);
}

void
desk_tick(struct desk *d)
{
	static const struct str subscribe = { "subscribe", 9 };
	struct client *c, *next;

	for (c = TAILQ_FIRST(&d->clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, next);
		if (c->subscribed && !is_allowed(d, c->peer, c->address.watchdog, subscribe))
			drop(d, c);
	}
}

void
desk_stop(struct desk *d)
{
	d->stopped = true;
}

void
desk_stats(const struct desk *d, struct desk_stats *out)
{
	*out = d->stats;
}
