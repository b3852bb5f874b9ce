/*
 * An answer: slices of a walk, each ended before the first of its records is handed
 * out. One that turns out to be long reads its next slice on a thread of its own
 * while the caller is busy with this one.
 */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "sqlite/walk.h"

#define SLICES_ALONE 6         /* an answer of more slices than this reads ahead */

struct asked {
	struct walk walk;
	struct slice slices[2];
	struct slice *next;        /* the one to be filled */
	struct slice *shown;       /* the one being handed out, */
	size_t shown_at;           /* and how far */
	bool ended;                /* it is the last */
	struct cursor at;          /* of the record that was handed out last */
	struct ahead *ahead;       /* NULL: not reading ahead */
};

/* The thread that reads ahead. Whoever's turn it is has the walk to itself, but
 * for `shown`, which is always the caller's. */
struct ahead {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t turned;
	enum { THREAD, CALLER, STOP } turn;
	int rc;                    /* of the slice that was read */
	struct error error;
};

/* ---- reading ahead ----------------------------------------------------------- */

static void *
read_ahead(void *arg)
{
	struct asked *k = arg;
	struct ahead *a = k->ahead;

	pthread_mutex_lock(&a->lock);
	while (a->turn != STOP) {
		if (a->turn == THREAD) {
			pthread_mutex_unlock(&a->lock);
			a->rc = walk_read(&k->walk, k->next, &a->error);
			pthread_mutex_lock(&a->lock);
			if (a->turn == THREAD)
				a->turn = CALLER;
			pthread_cond_broadcast(&a->turned);
		} else {
			pthread_cond_wait(&a->turned, &a->lock);
		}
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* It is only faster: where no thread is to be had, the walk goes on alone. */
static void
start_ahead(struct asked *k)
{
	struct ahead *a = calloc(1, sizeof(*a));
	sigset_t others, before;
	int rc;

	if (a == NULL)
		return;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->turned, NULL);
	a->turn = CALLER;
	k->ahead = a;
	/* Signals are the program's, but for what its own reading causes. */
	sigfillset(&others);
	sigdelset(&others, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &others, &before);
	rc = pthread_create(&a->thread, NULL, read_ahead, k);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		k->ahead = NULL;
		pthread_cond_destroy(&a->turned);
		pthread_mutex_destroy(&a->lock);
		free(a);
	}
}

static void
stop_ahead(struct asked *k)
{
	struct ahead *a = k->ahead;

	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	a->turn = STOP;
	pthread_cond_broadcast(&a->turned);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->turned);
	pthread_mutex_destroy(&a->lock);
	free(a);
	k->ahead = NULL;
}

/* Give the walk to the thread; or take it back, with what it has read. */
static void
turn_to_thread(struct ahead *a)
{
	pthread_mutex_lock(&a->lock);
	a->turn = THREAD;
	pthread_cond_broadcast(&a->turned);
	pthread_mutex_unlock(&a->lock);
}

static int
turn_to_caller(struct ahead *a, struct error *e)
{
	pthread_mutex_lock(&a->lock);
	while (a->turn == THREAD)
		pthread_cond_wait(&a->turned, &a->lock);
	pthread_mutex_unlock(&a->lock);
	if (a->rc == -1)
		*e = a->error;
	return a->rc;
}

/* ---- an answer ---------------------------------------------------------------- */

void *
sqlite_ask(void *impl, const struct query *q, struct error *e)
{
	struct sqlite *s = impl;
	struct asked *k;

	if (q->after != NULL && q->after->store != 0 && q->after->store != (uint64_t)s->id) {
		error_set(e, ERROR_INVALID, "%s: the cursor is of another store", s->path);
		return NULL;
	}
	if ((k = calloc(1, sizeof(*k))) == NULL) {
		error_memory(e);
		return NULL;
	}
	walk_begin(&k->walk, s, q);
	k->next = &k->slices[0];
	k->ended = q->limit == 0;
	k->at = q->after != NULL && q->after->store != 0 ? *q->after :
	    (struct cursor){ -INFINITY, 0, (uint64_t)s->id };
	return k;
}

/* The next slice is the one that is shown. */
static int
show_next(struct asked *k, struct error *e)
{
	if (k->ahead == NULL) {
		if (walk_read(&k->walk, k->next, e) == -1)
			return -1;
		if (k->walk.slices > SLICES_ALONE && !k->walk.finished &&
		    k->walk.q->work == SIZE_MAX)
			start_ahead(k);
	} else if (turn_to_caller(k->ahead, e) == -1) {
		return -1;
	}
	k->shown = k->next;
	k->shown_at = 0;
	k->ended = k->walk.finished;
	if (k->ahead != NULL && !k->ended) {
		k->next = k->shown == &k->slices[0] ? &k->slices[1] : &k->slices[0];
		turn_to_thread(k->ahead);
	}
	return 0;
}

/* Is it enough for now? (Who pauses does not read ahead, so that we may look.) */
static bool
enough(const struct asked *k)
{
	const struct walk *w = &k->walk;

	return w->q->work != SIZE_MAX && w->work >= w->q->work && w->moved;
}

int
sqlite_next(void *answer, struct record *r, struct error *e)
{
	struct asked *k = answer;

	while (k->shown == NULL || k->shown_at == k->shown->count) {
		if (k->ended)
			return 0;
		if (enough(k)) {
			walk_position(&k->walk, &k->at);
			return 2;
		}
		if (show_next(k, e) == -1)
			return -1;
	}
	*r = k->shown->rows[k->shown_at].record;
	k->at = k->shown->rows[k->shown_at].at;
	k->shown_at++;
	return 1;
}

void
sqlite_position(const void *answer, struct cursor *c)
{
	*c = ((const struct asked *)answer)->at;
}

void
sqlite_end_ask(void *answer)
{
	struct asked *k = answer;

	stop_ahead(k);
	walk_free(&k->walk);
	slice_free(&k->slices[0]);
	slice_free(&k->slices[1]);
	free(k);
}
