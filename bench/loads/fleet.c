#include "fleet.h"

#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "peer.h"
#include "percentile.h"

#define AT_ONCE 256            /* connections being made: a queue of 4096 is not overrun */
#define PIECE 65536            /* bytes read at a time */
#define EVENTS 512
#define ALIVE 10.0             /* seconds of silence until a keepalive */
#define PATIENCE 120.0         /* seconds for all to be connected */

struct member {
	struct peer *peer;
	short events;              /* that epoll waits for */
	bool ready;                /* authenticated */
	unsigned keepalives;       /* not yet answered */
	double sent;               /* when the last message was */
	size_t len, head_len;      /* of the message that is coming */
	char head[FLEET_HEAD];
};

struct fleet {
	const struct load *load;
	size_t count;
	void (*message)(void *arg, size_t i, struct str head, size_t len);
	void *arg;
	int epoll;
	struct member *members;
	size_t opened, ready;
	double sweep;              /* when to look for those who are silent */
};

struct fleet *
fleet_new(const struct load *l, size_t connections,
    void (*message)(void *arg, size_t i, struct str head, size_t len), void *arg)
{
	struct fleet *f = calloc(1, sizeof(*f));

	if (f == NULL || (f->members = calloc(connections, sizeof(*f->members))) == NULL)
		err(1, NULL);
	f->load = l;
	f->count = connections;
	f->message = message;
	f->arg = arg;
	if ((f->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll");
	return f;
}

void
fleet_free(struct fleet **f)
{
	for (size_t i = 0; i < (*f)->count; i++)
		peer_free(&(*f)->members[i].peer);
	close((*f)->epoll);
	free((*f)->members);
	free(*f);
	*f = NULL;
}

/* ---- one connection ------------------------------------------------------- */

static void
send_text(struct member *m, struct str text)
{
	if (peer_send(m->peer, true, FRAME_TEXT, text) == -1)
		errx(1, "out of memory");
	m->sent = monotonic();
}

/* Write what there is to write, and wait for what is to be waited for. */
static void
flush(struct fleet *f, size_t i)
{
	struct member *m = &f->members[i];
	struct epoll_event event = { .data.u64 = i };
	short events;

	peer_flush(m->peer, SIZE_MAX);
	events = peer_events(m->peer, true);
	event.events = (uint32_t)events;
	if (events != m->events &&
	    epoll_ctl(f->epoll, m->events != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, peer_fd(m->peer), &event) == -1)
		err(1, "epoll");
	m->events = events;
}

static void
open_next(struct fleet *f)
{
	size_t i = f->opened++;
	struct member *m = &f->members[i];
	struct peer_settings how = { 0 };
	char from[32];
	struct error e;

	if (f->load->addresses > 0) {
		snprintf(from, sizeof(from), "127.1.0.%u", 1 + (unsigned)i % f->load->addresses);
		how.from = from;
	}
	if ((m->peer = peer_new(f->load->target, &how, &e)) == NULL)
		errx(1, "connection %zu: %s", i, e.text);
	flush(f, i);
}

static void
become_ready(struct fleet *f, struct member *m)
{
	m->ready = true;
	f->ready++;
}

static void
authenticate(struct fleet *f, size_t i)
{
	char text[128];

	if (f->load->echo) {
		become_ready(f, &f->members[i]);
		return;
	}
	if (f->load->watchdog != NULL)
		snprintf(text, sizeof(text), "{\"action\":\"auth\",\"token\":\"%.64s\"}", f->load->watchdog);
	else
		snprintf(text, sizeof(text), "{\"action\":\"auth\",\"token\":\"w%06zu\"}", i + 1);
	send_text(&f->members[i], str_of(text));
}

static bool
contains(struct str text, const char *what)
{
	return memmem(text.data, text.len, what, strlen(what)) != NULL;
}

static void
take_message(struct fleet *f, size_t i)
{
	struct member *m = &f->members[i];
	struct str head = { m->head, m->head_len };
	size_t len = m->len;

	m->len = m->head_len = 0;
	if (!m->ready) {
		if (!contains(head, "\"success\":true"))
			errx(1, "connection %zu: not authenticated: %.*s", i, STR_ARGS(head));
		become_ready(f, m);
	} else if (m->keepalives > 0 && contains(head, "\"action\":\"keepalive\"")) {
		m->keepalives--;
	} else {
		f->message(f->arg, i, head, len);
	}
}

static void
take_piece(struct fleet *f, size_t i, const struct peer_event *event)
{
	struct member *m = &f->members[i];
	size_t room = sizeof(m->head) - m->head_len;
	size_t n = event->data.len < room ? event->data.len : room;

	memcpy(m->head + m->head_len, event->data.data, n);
	m->head_len += n;
	m->len += event->data.len;
	if (event->last)
		take_message(f, i);
}

static void
take(struct fleet *f, size_t i)
{
	struct peer_event event;
	struct error e;

	peer_receive(f->members[i].peer, PIECE);
	for (;;) {
		switch (peer_next(f->members[i].peer, &event, &e)) {
		case PEER_NOTHING:
			flush(f, i);
			return;
		case PEER_OPEN:
			authenticate(f, i);
			break;
		case PEER_TEXT:
			take_piece(f, i, &event);
			break;
		case PEER_PING:
		case PEER_PONG:
			break;
		case PEER_CLOSE:
			errx(1, "connection %zu: closed: %d %.*s", i, event.code, STR_ARGS(event.data));
		case PEER_END:
			errx(1, "connection %zu: %.*s", i, STR_ARGS(event.data.len > 0 ? event.data :
			    str_of("ended")));
		default:
			errx(1, "connection %zu: %s", i, e.text);
		}
	}
}

/* ---- all of them ---------------------------------------------------------- */

static void
keep_alive(struct fleet *f, double now)
{
	if (now < f->sweep || f->load->echo)
		return;
	for (size_t i = 0; i < f->opened; i++) {
		if (!f->members[i].ready || now - f->members[i].sent < ALIVE)
			continue;
		f->members[i].keepalives++;
		send_text(&f->members[i], str_of("{\"action\":\"keepalive\"}"));
		flush(f, i);
	}
	f->sweep = now + 1;
}

void
fleet_turn(struct fleet *f, double until)
{
	struct epoll_event events[EVENTS];
	double now = monotonic(), wait;
	int n;

	keep_alive(f, now);
	if (f->sweep > now && f->sweep < until)
		until = f->sweep;
	wait = until > now ? until - now : 0;
	n = epoll_wait(f->epoll, events, EVENTS, (int)(wait * 1000 + 0.999));
	if (n == -1 && errno != EINTR)
		err(1, "epoll");
	for (int i = 0; i < n; i++)
		take(f, (size_t)events[i].data.u64);
}

double
fleet_connect(struct fleet *f)
{
	double start = monotonic();

	while (f->ready < f->count) {
		while (f->opened < f->count && f->opened - f->ready < AT_ONCE)
			open_next(f);
		fleet_turn(f, start + PATIENCE);
		if (monotonic() > start + PATIENCE)
			errx(1, "%zu of %zu connected after %.0f s", f->ready, f->count, PATIENCE);
	}
	return monotonic() - start;
}

void
fleet_send(struct fleet *f, size_t i, struct str text)
{
	send_text(&f->members[i], text);
	flush(f, i);
}
