/*
 * Waiting for news: on a connection of its own, which listens. Where that cannot be (a standby
 * does not notify; a pooler may give the next statement another session), or where the
 * connection is lost, a timer takes its place.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "postgres/postgres.h"

enum {
	PERIOD_MS = 1000,
	LISTEN_TICKS = 10,   /* of the timer's, before it is tried again to listen */
};

struct news {
	int epoll;           /* polls readable when one of the others does */
	int timer;
	struct pq *pq;       /* listens; NULL: the timer runs */
	int ticks;           /* how often the timer ran before it is tried again */
};

void
postgres_news_free(struct news **np)
{
	struct news *n = *np;

	if (n == NULL)
		return;
	pq_close(&n->pq);
	if (n->epoll != -1)
		close(n->epoll);
	if (n->timer != -1)
		close(n->timer);
	free(n);
	*np = NULL;
}

static int
add_to_epoll(struct news *n, int fd, struct error *e)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(n->epoll, EPOLL_CTL_ADD, fd, &ev) == -1 ?
	    error_errno(e, errno, "epoll_ctl") : 0;
}

static void
set_timer(struct news *n, bool on)
{
	struct timespec t = { on ? PERIOD_MS / 1000 : 0, 0 };
	struct itimerspec when = { .it_value = t, .it_interval = t };

	timerfd_settime(n->timer, 0, &when, NULL);   /* fails for a wrong argument only */
}

/* Listen, if it can be had. */
static void
listen_to(struct news *n, struct postgres *s)
{
	n->pq = pq_open(s->conninfo, "monitor follower", false, s->trouble.stop_fd, NULL);
	if (n->pq != NULL && (pq_pooled(n->pq, NULL) != 0 || pq_run(n->pq, "LISTEN monitor", NULL) == -1 ||
	    add_to_epoll(n, pq_fd(n->pq), NULL) == -1))
		pq_close(&n->pq);
	n->ticks = LISTEN_TICKS;
	set_timer(n, n->pq == NULL);
}

static struct news *
news_new(struct postgres *s, struct error *e)
{
	struct news *n = calloc(1, sizeof(*n));

	if (n == NULL) {
		error_memory(e);
		return NULL;
	}
	n->timer = -1;
	if ((n->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    (n->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) == -1) {
		error_errno(e, errno, "%s: cannot be watched", s->where);
		postgres_news_free(&n);
	} else if (add_to_epoll(n, n->timer, e) == -1) {
		postgres_news_free(&n);
	} else {
		listen_to(n, s);
	}
	return n;
}

int
postgres_watch(void *impl, struct error *e)
{
	struct postgres *s = impl;

	if (s->news == NULL && (s->news = news_new(s, e)) == NULL)
		return -1;
	return s->news->epoll;
}

/* Who looks after this sees what was committed before; so it does not matter what a connection
 * that is lost has missed. */
void
postgres_watched(void *impl)
{
	struct postgres *s = impl;
	struct news *n = s->news;
	uint64_t ticks;

	if (n == NULL)
		return;
	if (n->pq != NULL && pq_notified(n->pq, NULL) != -1)
		return;
	if (n->pq != NULL) {   /* closed, it leaves the epoll */
		pq_close(&n->pq);
		listen_to(n, s);
	} else if (read(n->timer, &ticks, sizeof(ticks)) == sizeof(ticks) && --n->ticks <= 0) {
		listen_to(n, s);
	}
}

int
postgres_await(const char *conninfo, int stop_fd, struct error *e)
{
	struct pollfd fd = { .fd = stop_fd, .events = POLLIN };
	struct postgres s = { .conninfo = (char *)(uintptr_t)conninfo, .mode = STORE_READ };
	struct error why;
	int rc;

	s.trouble.stop_fd = stop_fd;
	pq_describe(conninfo, s.where, sizeof(s.where));
	while ((rc = postgres_connect(&s, &why)) == -1 &&
	    (why.kind == ERROR_ABSENT || why.kind == ERROR_BUSY)) {
		if ((rc = poll(&fd, 1, PERIOD_MS)) == 1 || (rc == -1 && errno != EINTR))
			break;
	}
	postgres_disconnect(&s);
	if (rc == 0)
		return 1;
	if (rc == 1 || why.kind == ERROR_NONE)
		return 0;
	if (e != NULL)
		*e = why;
	return -1;
}
