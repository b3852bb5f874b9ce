#include "loop.h"

#include <ev.h>
#include <stdlib.h>

#define SIGNALS 4

struct loop_watch {
	struct ev_loop *ev;
	ev_io io;
	void (*call)(void *arg);
	void *arg;
};

struct loop_timer {
	struct ev_loop *ev;
	ev_timer timer;
	void (*call)(void *arg);
	void *arg;
};

struct signal_watch {
	ev_signal signal;
	void (*call)(void *arg, int signal);
	void *arg;
};

struct loop {
	struct ev_loop *ev;
	ev_prepare prepare;
	void (*call)(void *arg);
	void *arg;
	struct signal_watch signals[SIGNALS];
	size_t signal_count;
};

struct loop *
loop_new(struct error *e)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		error_memory(e);
		return NULL;
	}
	if ((l->ev = ev_loop_new(EVFLAG_NOENV)) == NULL) {
		error_set(e, ERROR_SYSTEM, "the event loop cannot be made");
		loop_free(&l);
	}
	return l;
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (l == NULL)
		return;
	if (l->ev != NULL) {
		for (size_t i = 0; i < l->signal_count; i++)
			ev_signal_stop(l->ev, &l->signals[i].signal);
		ev_loop_destroy(l->ev);
	}
	free(l);
	*lp = NULL;
}

void
loop_run(struct loop *l)
{
	ev_run(l->ev, 0);
}

void
loop_stop(struct loop *l)
{
	ev_break(l->ev, EVBREAK_ALL);
}

void *
loop_foreign(struct loop *l)
{
	return l->ev;
}

static void
on_prepare(struct ev_loop *ev, ev_prepare *prepare, int events)
{
	struct loop *l = prepare->data;

	(void)ev;
	(void)events;
	l->call(l->arg);
}

void
loop_each_round(struct loop *l, void (*call)(void *arg), void *arg)
{
	l->call = call;
	l->arg = arg;
	ev_prepare_init(&l->prepare, on_prepare);
	l->prepare.data = l;
	ev_prepare_start(l->ev, &l->prepare);
}

static void
on_signal(struct ev_loop *ev, ev_signal *signal, int events)
{
	struct signal_watch *w = signal->data;

	(void)ev;
	(void)events;
	w->call(w->arg, signal->signum);
}

int
loop_signal(struct loop *l, int signal, void (*call)(void *arg, int signal), void *arg,
    struct error *e)
{
	struct signal_watch *w;

	if (l->signal_count == SIGNALS)
		return error_set(e, ERROR_USAGE, "signal %d: too many", signal);
	w = &l->signals[l->signal_count++];
	w->call = call;
	w->arg = arg;
	ev_signal_init(&w->signal, on_signal, signal);
	w->signal.data = w;
	ev_signal_start(l->ev, &w->signal);
	return 0;
}

/* ---- descriptors ---- */

static void
on_io(struct ev_loop *ev, ev_io *io, int events)
{
	struct loop_watch *w = io->data;

	(void)ev;
	(void)events;
	w->call(w->arg);
}

struct loop_watch *
loop_watch_new(struct loop *l, int fd, enum loop_event event, void (*call)(void *arg), void *arg,
    struct error *e)
{
	struct loop_watch *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		error_memory(e);
		return NULL;
	}
	w->ev = l->ev;
	w->call = call;
	w->arg = arg;
	ev_io_init(&w->io, on_io, fd, event == LOOP_WRITE ? EV_WRITE : EV_READ);
	w->io.data = w;
	return w;
}

void
loop_watch_set(struct loop_watch *w, bool on)
{
	if (on)
		ev_io_start(w->ev, &w->io);
	else
		ev_io_stop(w->ev, &w->io);
}

void
loop_watch_free(struct loop_watch **wp)
{
	if (*wp == NULL)
		return;
	ev_io_stop((*wp)->ev, &(*wp)->io);
	free(*wp);
	*wp = NULL;
}

/* ---- time ---- */

static void
on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct loop_timer *t = timer->data;

	(void)ev;
	(void)events;
	t->call(t->arg);
}

struct loop_timer *
loop_timer_new(struct loop *l, void (*call)(void *arg), void *arg, struct error *e)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		error_memory(e);
		return NULL;
	}
	t->ev = l->ev;
	t->call = call;
	t->arg = arg;
	ev_init(&t->timer, on_timer);
	t->timer.data = t;
	return t;
}

void
loop_timer_set(struct loop_timer *t, double after, double every)
{
	ev_now_update(t->ev);
	ev_timer_stop(t->ev, &t->timer);
	ev_timer_set(&t->timer, after, every);
	ev_timer_start(t->ev, &t->timer);
}

void
loop_timer_free(struct loop_timer **tp)
{
	if (*tp == NULL)
		return;
	ev_timer_stop((*tp)->ev, &(*tp)->timer);
	free(*tp);
	*tp = NULL;
}
