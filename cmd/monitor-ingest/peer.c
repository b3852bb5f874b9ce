#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

int
watch_set(int epoll, struct watch *w, bool on, bool *always, struct error *e)
{
	struct epoll_event ev = { .events = w->kind == WATCH_ANSWERS ? EPOLLOUT : EPOLLIN,
	    .data.ptr = w };

	if (w->on == on)
		return 0;
	if (epoll_ctl(epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, w->fd, &ev) == -1) {
		if (errno != EPERM || always == NULL)
			return error_errno(e, errno, "epoll_ctl");
		*always = true;
		return 0;
	}
	w->on = on;
	return 0;
}

static void
close_own(struct watch *w)
{
	if (w->fd > STDERR_FILENO)
		close(w->fd);
	w->fd = -1;
}

void
peer_free(struct peers *all, struct peer *p)
{
	struct error e;

	watch_set(all->epoll, &p->in, false, NULL, &e);
	watch_set(all->epoll, &p->out, false, NULL, &e);
	close_own(&p->in);
	close_own(&p->out);
	producer_free(&p->producer);
	free(p);
}

struct peer *
peer_new(struct peers *all, const char *name, int in, int out, struct error *e)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		close_own(&(struct watch){ .fd = in });
		close_own(&(struct watch){ .fd = out });
		error_memory(e);
		return NULL;
	}
	p->in = (struct watch){ .kind = WATCH_INPUT, .fd = in, .who = p };
	p->out = (struct watch){ .kind = WATCH_ANSWERS, .fd = out, .who = p };
	if ((p->producer = producer_new(name, in, out, e)) == NULL) {
		peer_free(all, p);
		return NULL;
	}
	p->producer->owner = p;
	if ((p->next = all->first) != NULL)
		p->next->prev = p;
	all->first = p;
	return p;
}

bool
peer_readable(const struct peer *p)
{
	const struct producer *pr = p->producer;

	return pr->in != -1 && !pr->waiting && pr->answers.len <= PRODUCER_ANSWERS;
}

int
peer_update(struct peers *all, struct peer *p, struct error *e)
{
	struct producer *pr = p->producer;

	if (p->ended)
		return 0;
	if (pr->waiting)
		all->waiters = true;
	if (!p->always && watch_set(all->epoll, &p->in, peer_readable(p), &p->always, e) == -1)
		return -1;
	if (pr->in == -1)
		close_own(&p->in);
	if (watch_set(all->epoll, &p->out, pr->answers.len > 0, NULL, e) == -1)
		return -1;
	if (pr->in != -1 || pr->marks > 0 || pr->answers.len > 0 || p == all->reader)
		return 0;
	p->ended = true;
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		all->first = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	p->next = all->ended;
	all->ended = p;
	return 0;
}
