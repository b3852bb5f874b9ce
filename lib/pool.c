#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK_SIZE (512 * 1024)   /* the fetch of a key, with TLS, goes deepest */

struct queue {
	struct pool_job *first, **end;
};

/* A thread that waits for work. */
struct idler {
	pthread_cond_t work;
	bool woken;
	struct idler *next;
};

struct pool {
	pthread_mutex_t lock;           /* of the queues, the idle and `stop` */
	struct idler *idle;             /* who began to wait last comes first */
	struct queue urgent, other;     /* waiting */
	struct queue finished;          /* to be reaped */
	bool stop;
	int fd;                         /* eventfd: `finished` has something */
	void *(*worker_new)(void *arg);
	void (*worker_free)(void *worker);
	void *arg;
	size_t under_way;               /* jobs submitted and not reaped; the caller's, as */
	void *own_worker;               /* is this */
	unsigned started;
	pthread_t threads[];
};

static void
queue_init(struct queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void
queue_add(struct queue *q, struct pool_job *job)
{
	job->next = NULL;
	*q->end = job;
	q->end = &job->next;
}

static struct pool_job *
queue_take(struct queue *q)
{
	struct pool_job *job = q->first;

	if (job != NULL && (q->first = job->next) == NULL)
		q->end = &q->first;
	return job;
}

/* ---- on the threads -------------------------------------------------------- */

/* With the lock held: until there is work, or it is over. */
static void
idle(struct pool *p)
{
	struct idler me = { .work = PTHREAD_COND_INITIALIZER, .next = p->idle };

	p->idle = &me;
	while (!me.woken)
		pthread_cond_wait(&me.work, &p->lock);
	pthread_cond_destroy(&me.work);
}

/* With the lock held: somebody, if anybody waits, looks for work. Whoever had some last: what its
 * worker has kept is the freshest. */
static void
wake(struct pool *p)
{
	struct idler *i = p->idle;

	if (i == NULL)
		return;
	p->idle = i->next;
	i->woken = true;
	pthread_cond_signal(&i->work);
}

/* With the lock held: the next job, once there is one; NULL: it is over. */
static struct pool_job *
next_job(struct pool *p)
{
	struct pool_job *job = NULL;

	while (!p->stop && (job = queue_take(&p->urgent)) == NULL &&
	    (job = queue_take(&p->other)) == NULL)
		idle(p);
	return job;
}

static void
finish(struct pool *p, struct pool_job *job)
{
	if (p->finished.first == NULL)
		eventfd_write(p->fd, 1);   /* fails only where the count would be 2^64 */
	queue_add(&p->finished, job);
}

static void *
work(void *arg)
{
	struct pool *p = arg;
	void *worker = p->worker_new != NULL ? p->worker_new(p->arg) : NULL;
	struct pool_job *job;

	pthread_mutex_lock(&p->lock);
	while ((job = next_job(p)) != NULL) {
		pthread_mutex_unlock(&p->lock);
		job->run(job, worker);
		pthread_mutex_lock(&p->lock);
		finish(p, job);
	}
	pthread_mutex_unlock(&p->lock);
	if (p->worker_free != NULL)
		p->worker_free(worker);
	return NULL;
}

/* ---- on the caller's ------------------------------------------------------- */

static int
start_threads(struct pool *p, unsigned threads, struct error *e)
{
	sigset_t others, before;
	pthread_attr_t attr;
	int rc;

	if ((rc = pthread_attr_init(&attr)) != 0)
		return error_errno(e, rc, "cannot start a thread");
	/* Signals are the program's, but for what a thread's own reading causes. */
	sigfillset(&others);
	sigdelset(&others, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &others, &before);
	rc = pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (; rc == 0 && p->started < threads; p->started += rc == 0)
		rc = pthread_create(&p->threads[p->started], &attr, work, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc != 0 ? error_errno(e, rc, "cannot start a thread") : 0;
}

struct pool *
pool_new(unsigned threads, void *(*worker_new)(void *arg), void (*worker_free)(void *worker),
    void *arg, struct error *e)
{
	struct pool *p = calloc(1, sizeof(*p) + threads * sizeof(p->threads[0]));

	if (p == NULL) {
		error_memory(e);
		return NULL;
	}
	p->worker_new = worker_new;
	p->worker_free = worker_free;
	p->arg = arg;
	queue_init(&p->urgent);
	queue_init(&p->other);
	queue_init(&p->finished);
	pthread_mutex_init(&p->lock, NULL);
	if ((p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) == -1)
		error_errno(e, errno, "eventfd");
	if (p->fd == -1 || start_threads(p, threads, e) == -1)
		pool_free(&p);
	return p;
}

/* What comes of a job that is over may be another one. */
static void
dispose(struct queue *q)
{
	struct pool_job *job;

	while ((job = queue_take(q)) != NULL)
		job->done(job);
}

void
pool_free(struct pool **pp)
{
	struct pool *p = *pp;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	while (p->idle != NULL)
		wake(p);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->threads[i], NULL);
	dispose(&p->finished);
	while (p->urgent.first != NULL || p->other.first != NULL) {
		dispose(&p->urgent);
		dispose(&p->other);
	}
	if (p->own_worker != NULL && p->worker_free != NULL)
		p->worker_free(p->own_worker);
	if (p->fd != -1)
		close(p->fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
	*pp = NULL;
}

void
pool_submit(struct pool *p, struct pool_job *job)
{
	p->under_way++;
	pthread_mutex_lock(&p->lock);
	queue_add(job->urgent ? &p->urgent : &p->other, job);
	wake(p);
	pthread_mutex_unlock(&p->lock);
}

bool
pool_run(struct pool *p, struct pool_job *job)
{
	if (p->under_way > 0)
		return false;
	p->under_way++;
	if (p->own_worker == NULL && p->worker_new != NULL)
		p->own_worker = p->worker_new(p->arg);
	job->run(job, p->own_worker);
	pthread_mutex_lock(&p->lock);
	finish(p, job);
	pthread_mutex_unlock(&p->lock);
	return true;
}

int
pool_fd(const struct pool *p)
{
	return p->fd;
}

void
pool_reap(struct pool *p)
{
	struct pool_job *job, *next;
	eventfd_t count;

	pthread_mutex_lock(&p->lock);
	if ((job = p->finished.first) != NULL)
		eventfd_read(p->fd, &count);
	queue_init(&p->finished);
	pthread_mutex_unlock(&p->lock);
	for (; job != NULL; job = next) {
		next = job->next;
		p->under_way--;
		job->done(job);
	}
}
