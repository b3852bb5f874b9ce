#include "pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* One being written, one waiting, one being filled. */
#define BATCHES 3

/* No more records than this are written by the reader itself, if the writer has
 * nothing to do: to wake it, and be woken, would take longer than the disk. What
 * comes in meanwhile is the next batch, as ever. */
#define BATCH_SMALL 128

struct queue {
	struct batch *head, *tail;
};

struct pipeline {
	struct store *store;
	const struct refuse *refuse;
	size_t records;             /* make a full batch */
	int event_fd;
	pthread_t writer;
	pthread_mutex_t lock;       /* all below */
	pthread_cond_t given;
	struct queue idle, ready, settled;
	size_t busy;                /* batches given and not recycled */
	bool writing;
	bool woken;                 /* event_fd is readable */
	bool ending;                /* the writer is to end when nothing is ready */
	bool failed;
	struct error error;         /* why */
};

static void
queue_push(struct queue *q, struct batch *b)
{
	b->next = NULL;
	if (q->tail != NULL)
		q->tail->next = b;
	else
		q->head = b;
	q->tail = b;
}

static struct batch *
queue_pop(struct queue *q)
{
	struct batch *b = q->head;

	if (b == NULL)
		return NULL;
	if ((q->head = b->next) == NULL)
		q->tail = NULL;
	return b;
}

static struct batch *
queue_pop_tail(struct queue *q)
{
	struct batch *b = q->tail, *before = q->head;

	if (b == q->head)
		return queue_pop(q);
	while (before->next != b)
		before = before->next;
	before->next = NULL;
	q->tail = before;
	return b;
}

static void
queue_free(struct queue *q)
{
	struct batch *b;

	while ((b = queue_pop(q)) != NULL)
		batch_free(&b);
}

/* ---- the writer ---- */

static int
write_batch(struct pipeline *p, struct batch *b, struct error *e)
{
	if (b->refusals && refuse_sync(p->refuse, e) == -1)
		return -1;
	return store_add(p->store, b->offers, b->count, &b->added, e);
}

static void
wake_reader(struct pipeline *p)
{
	if (!p->woken)
		eventfd_write(p->event_fd, 1);
	p->woken = true;
}

/* With the lock held, which is let go meanwhile: by whoever's turn it is. */
static void
write_and_settle(struct pipeline *p, struct batch *b)
{
	struct error e;
	int r;

	p->writing = true;
	pthread_mutex_unlock(&p->lock);
	r = write_batch(p, b, &e);
	pthread_mutex_lock(&p->lock);
	p->writing = false;
	queue_push(r == 0 ? &p->settled : &p->idle, b);
	if (r == -1) {
		p->failed = true;
		p->error = e;
	}
}

static void *
writer(void *arg)
{
	struct pipeline *p = arg;
	struct batch *b;

	pthread_mutex_lock(&p->lock);
	while (!p->failed) {
		if ((b = queue_pop(&p->ready)) == NULL) {
			if (p->ending)
				break;
			pthread_cond_wait(&p->given, &p->lock);
			continue;
		}
		write_and_settle(p, b);
		wake_reader(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- the reader's side ---- */

struct pipeline *
pipeline_new(struct store *store, const struct refuse *refuse, struct error *e)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	struct batch *b;
	int r;

	if (p == NULL) {
		error_memory(e);
		return NULL;
	}
	p->store = store;
	p->refuse = refuse;
	p->records = store_batch(store);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->given, NULL);
	if ((p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1) {
		error_errno(e, errno, "eventfd");
		goto fail;
	}
	for (int i = 0; i < BATCHES; i++) {
		if ((b = batch_new(e)) == NULL)
			goto fail;
		queue_push(&p->idle, b);
	}
	if ((r = pthread_create(&p->writer, NULL, writer, p)) != 0) {
		error_errno(e, r, "cannot start a thread");
		goto fail;
	}
	return p;
fail:
	queue_free(&p->idle);
	if (p->event_fd != -1)
		close(p->event_fd);
	pthread_cond_destroy(&p->given);
	pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}

void
pipeline_free(struct pipeline **pp)
{
	struct pipeline *p = *pp;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_signal(&p->given);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->writer, NULL);
	queue_free(&p->idle);
	queue_free(&p->ready);
	queue_free(&p->settled);
	close(p->event_fd);
	pthread_cond_destroy(&p->given);
	pthread_mutex_destroy(&p->lock);
	free(p);
	*pp = NULL;
}

/* May the last batch given be taken back to add to it? Not where the writer
 * should find one: it is free, or there is only this one and it has some size,
 * so that in a flood the writer never waits for the reader. */
static bool
may_extend(const struct pipeline *p)
{
	const struct batch *b = p->ready.tail;

	if (b == NULL || !p->writing)
		return false;
	return !batch_full(b, b == p->ready.head ? p->records / 2 : p->records);
}

struct batch *
pipeline_take(struct pipeline *p)
{
	struct batch *b = NULL;

	pthread_mutex_lock(&p->lock);
	if (!p->failed && may_extend(p)) {
		b = queue_pop_tail(&p->ready);
		p->busy--;
	} else if (!p->failed) {
		b = queue_pop(&p->idle);
	}
	pthread_mutex_unlock(&p->lock);
	return b;
}

void
pipeline_give(struct pipeline *p, struct batch *b)
{
	pthread_mutex_lock(&p->lock);
	if (b->count == 0) {
		queue_push(&p->idle, b);
	} else if (b->count <= BATCH_SMALL && !store_distant(p->store) && !p->writing && !p->failed &&
	    p->ready.head == NULL) {
		p->busy++;
		write_and_settle(p, b);
	} else {
		queue_push(&p->ready, b);
		p->busy++;
		if (!p->writing)
			pthread_cond_signal(&p->given);
	}
	pthread_mutex_unlock(&p->lock);
}

int
pipeline_fd(const struct pipeline *p)
{
	return p->event_fd;
}

int
pipeline_settled(struct pipeline *p, struct batch **b, struct error *e)
{
	eventfd_t wakes;
	int r;

	pthread_mutex_lock(&p->lock);
	if (p->woken)
		eventfd_read(p->event_fd, &wakes);
	p->woken = false;
	*b = queue_pop(&p->settled);
	r = *b != NULL ? 1 : 0;
	if (r == 0 && p->failed) {
		if (e != NULL)
			*e = p->error;
		r = -1;
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

void
pipeline_recycle(struct pipeline *p, struct batch *b)
{
	batch_clear(b);
	pthread_mutex_lock(&p->lock);
	queue_push(&p->idle, b);
	p->busy--;
	pthread_mutex_unlock(&p->lock);
}

bool
pipeline_busy(struct pipeline *p)
{
	bool busy;

	pthread_mutex_lock(&p->lock);
	busy = p->busy > 0;
	pthread_mutex_unlock(&p->lock);
	return busy;
}
