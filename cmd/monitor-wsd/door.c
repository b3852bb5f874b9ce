#include "door.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

#define IN_A_ROW 64      /* from one socket; then the others have their turn */
#define IN_A_ROW_TLS 8   /* of these a handshake each is computed at once, 0.3 ms */
#define REOPEN 1.0       /* seconds until it is tried again */
#define COMPLAIN_EVERY 60   /* of these times it is told */

/* One listening socket. */
struct gate {
	struct door *door;
	int fd;
	enum ws_kind kind;
	struct loop_watch *watch;
};

struct door {
	struct ws *ws;
	struct admit *admit;
	struct gate *gates;
	size_t count;
	struct loop_timer *reopen;
	unsigned reopened;
};

static void
set_open(struct door *d, bool open)
{
	for (size_t i = 0; i < d->count; i++)
		loop_watch_set(d->gates[i].watch, open);
}

static void
on_reopen(void *arg)
{
	set_open(arg, true);
}

/* A connection is there, or -1 with errno. */
static int
take_in(struct gate *g)
{
	union {
		struct sockaddr any;
		struct sockaddr_in6 ip6;
		struct sockaddr_un un;
	} peer = { .any.sa_family = AF_UNIX };
	struct visitor v = { .known = false };
	char name[VISITOR_NAME_SIZE];
	socklen_t len = sizeof(peer);
	int fd = accept4(g->fd, &peer.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1)
		return -1;
	if (admit_enter(g->door->admit, &v, &peer.any)) {
		ws_adopt(g->door->ws, fd, g->kind, g->door->admit, &v);
		return 0;
	}
	close(fd);
	visitor_name(&v, name);
	log_limited("refused", LOG_WARNING, "%s: there are too many connections, or too many of it", name);
	return 0;
}

/* Take in who stands there. Without descriptors or memory the door is closed for a
 * moment: else it would be tried again and again. */
static void
on_visitors(void *arg)
{
	struct gate *g = arg;
	unsigned room = g->kind == WS_TLS ? IN_A_ROW_TLS : IN_A_ROW;

	for (unsigned i = 0; i < room; i++) {
		if (take_in(g) == 0 || errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		admit_refuse(g->door->admit, REFUSED_DESCRIPTORS);
		if (g->door->reopened++ % COMPLAIN_EVERY == 0)
			log_say(LOG_ERR, "cannot take in a connection: %s", strerror(errno));
		set_open(g->door, false);
		loop_timer_set(g->door->reopen, REOPEN, 0);
		return;
	}
}

struct door *
door_new(struct loop *loop, struct ws *ws, struct admit *admit, const struct listener *listeners,
    enum ws_kind kind, struct error *e)
{
	struct door *d = calloc(1, sizeof(*d));
	size_t n = 0;

	for (const struct listener *l = listeners; l != NULL; l = l->next)
		n++;
	if (d == NULL || (d->gates = calloc(n + 1, sizeof(*d->gates))) == NULL) {
		error_memory(e);
		goto fail;
	}
	d->ws = ws;
	d->admit = admit;
	if ((d->reopen = loop_timer_new(loop, on_reopen, d, e)) == NULL)
		goto fail;
	for (const struct listener *l = listeners; l != NULL; l = l->next) {
		struct gate *g = &d->gates[d->count];

		*g = (struct gate){ .door = d, .fd = l->fd,
		    .kind = l->is_unix && kind == WS_TLS ? WS_PLAIN : kind };
		if ((g->watch = loop_watch_new(loop, l->fd, LOOP_READ, on_visitors, g, e)) == NULL)
			goto fail;
		d->count++;
	}
	set_open(d, true);
	return d;
fail:
	door_free(&d);
	return NULL;
}

void
door_free(struct door **dp)
{
	struct door *d = *dp;

	if (d == NULL)
		return;
	for (size_t i = 0; i < d->count; i++)
		loop_watch_free(&d->gates[i].watch);
	loop_timer_free(&d->reopen);
	free(d->gates);
	free(d);
	*dp = NULL;
}
