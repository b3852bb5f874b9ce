/* pool.h: jobs off the caller's thread, and back on it. */
#include "pool.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tap.h"

struct job {
	struct pool_job job;      /* first */
	char name;
	sem_t *begun, *gate;      /* NULL: it does not wait */
	bool ran;
	void *worker;
	pthread_t ran_on, done_on;
	int again;                /* so many times more */
	struct pool *pool;
};

static char order[64];        /* in which jobs ran, and in which they were done */
static char done_order[64];

static void
run(struct pool_job *j, void *worker)
{
	struct job *job = (struct job *)j;
	size_t n = strlen(order);

	if (job->begun != NULL)
		sem_post(job->begun);
	if (job->gate != NULL)
		sem_wait(job->gate);
	job->ran = true;
	job->worker = worker;
	job->ran_on = pthread_self();
	if (job->name != '\0' && n + 1 < sizeof(order))
		order[n] = job->name;
}

static void
done(struct pool_job *j)
{
	struct job *job = (struct job *)j;
	size_t n = strlen(done_order);

	job->done_on = pthread_self();
	if (job->again-- > 0) {
		pool_submit(job->pool, j);
		return;
	}
	if (job->name != '\0' && n + 1 < sizeof(done_order))
		done_order[n] = job->name;
}

static struct job
job_named(char name, bool urgent)
{
	return (struct job){ .job = { .run = run, .done = done, .urgent = urgent }, .name = name };
}

static bool
readable(struct pool *p, int ms)
{
	struct pollfd fd = { .fd = pool_fd(p), .events = POLLIN };

	return poll(&fd, 1, ms) == 1;
}

/* Reap until this many are done. */
static void
reap(struct pool *p, size_t n)
{
	while (strlen(done_order) < n && readable(p, -1))
		pool_reap(p);
}

static void
clear(void)
{
	memset(order, 0, sizeof(order));
	memset(done_order, 0, sizeof(done_order));
}

static void
one_job(void)
{
	struct pool *p = pool_new(2, NULL, NULL, NULL, NULL);
	struct job job = job_named('a', false);

	clear();
	tap_ok(p != NULL && !readable(p, 0), "a new pool has nothing to reap");
	pool_reap(p);
	pool_submit(p, &job.job);
	tap_ok(readable(p, -1) && done_order[0] == '\0', "a job that has run waits to be reaped");
	pool_reap(p);
	tap_is(done_order, "a", "and is done then");
	tap_ok(!pthread_equal(job.ran_on, pthread_self()) &&
	    pthread_equal(job.done_on, pthread_self()), "it ran elsewhere, and was done here");
	tap_ok(!readable(p, 0), "nothing is left to reap");
	pool_free(&p);
	tap_ok(p == NULL, "freed");
}

/* While the one thread is held up, others queue. */
static void
turns(void)
{
	struct pool *p = pool_new(1, NULL, NULL, NULL, NULL);
	struct job held = job_named('-', false), jobs[6];
	sem_t begun, gate;

	clear();
	sem_init(&begun, 0, 0);
	sem_init(&gate, 0, 0);
	held.begun = &begun;
	held.gate = &gate;
	pool_submit(p, &held.job);
	sem_wait(&begun);
	for (int i = 0; i < 6; i++) {
		jobs[i] = job_named((char)('a' + i), i == 2 || i == 4);
		pool_submit(p, &jobs[i].job);
	}
	sem_post(&gate);
	reap(p, 7);
	tap_is(order, "-ceabdf", "urgent jobs first, else first come, first served");
	tap_is(done_order, order, "and done in that order");
	pool_free(&p);
	sem_destroy(&begun);
	sem_destroy(&gate);
}

/* Of two threads that are free it is always the same one that is given work. */
static void
favourite(void)
{
	struct pool *p = pool_new(2, NULL, NULL, NULL, NULL);
	struct job both[2] = { job_named('\0', false), job_named('\0', false) };
	pthread_t first = pthread_self();
	bool same = true;
	sem_t begun, gate;

	clear();
	sem_init(&begun, 0, 0);
	sem_init(&gate, 0, 0);
	for (int i = 0; i < 2; i++) {
		both[i].begun = &begun;
		both[i].gate = &gate;
		pool_submit(p, &both[i].job);
	}
	sem_wait(&begun);
	sem_wait(&begun);
	sem_post(&gate);
	sem_post(&gate);
	while ((both[0].again == 0 || both[1].again == 0) && readable(p, -1))
		pool_reap(p);
	for (size_t i = 0; i < 10; i++) {
		struct job job = job_named('-', false);

		pool_submit(p, &job.job);
		reap(p, i + 1);
		same = same && (i == 0 || pthread_equal(job.ran_on, first));
		first = job.ran_on;
	}
	tap_ok(same, "who was busy last gets the next job");
	pool_free(&p);
	sem_destroy(&begun);
	sem_destroy(&gate);
}

static void
here(void)
{
	struct pool *p = pool_new(1, NULL, NULL, NULL, NULL);
	struct job jobs[3] = { job_named('a', true), job_named('b', true), job_named('c', true) };

	clear();
	tap_ok(pool_run(p, &jobs[0].job) && pthread_equal(jobs[0].ran_on, pthread_self()),
	    "a job may be run on the caller's thread");
	tap_is(done_order, "", "and is not done with that");
	tap_ok(!pool_run(p, &jobs[1].job) && !jobs[1].ran, "but no second one, while it is not reaped");
	tap_ok(readable(p, 0), "it waits to be reaped, as ever");
	pool_reap(p);
	tap_is(done_order, "a", "and is done then");
	pool_submit(p, &jobs[1].job);
	tap_ok(!pool_run(p, &jobs[2].job), "nor one beside a job that was submitted");
	reap(p, 2);
	tap_ok(pool_run(p, &jobs[2].job) && jobs[2].ran, "but after that");
	pool_free(&p);
	tap_is(done_order, "abc", "what was not reaped is done at the end");
}

static void
again(void)
{
	struct pool *p = pool_new(2, NULL, NULL, NULL, NULL);
	struct job job = job_named('a', true);

	clear();
	job.again = 3;
	job.pool = p;
	pool_submit(p, &job.job);
	reap(p, 1);
	tap_is(order, "aaaa", "a job may be submitted again when it is done");
	pool_free(&p);
}

/* A thread's own. */
struct counts {
	atomic_int made, freed;
};

static void *
worker_new(void *arg)
{
	struct counts *c = arg;

	atomic_fetch_add(&c->made, 1);
	return c;
}

static void
worker_free(void *worker)
{
	struct counts *c = worker;

	atomic_fetch_add(&c->freed, 1);
}

static void
own_worker(void)
{
	struct counts counts = { 0 };
	struct pool *p = pool_new(0, worker_new, worker_free, &counts, NULL);
	struct job job = job_named('\0', false);

	tap_ok(counts.made == 0 && pool_run(p, &job.job) && counts.made == 1 && job.worker == &counts,
	    "the caller's thread has something for itself, too, when it needs it");
	pool_reap(p);
	pool_run(p, &job.job);
	pool_free(&p);
	tap_ok(counts.made == 1 && counts.freed == 1, "once");
}

static void
end(void)
{
	struct counts counts = { 0 };
	struct pool *p = pool_new(2, worker_new, worker_free, &counts, NULL);
	struct job jobs[2] = { job_named('\0', false), job_named('\0', false) };
	sem_t begun, gate;

	clear();
	sem_init(&begun, 0, 0);
	sem_init(&gate, 0, 0);
	for (int i = 0; i < 2; i++) {
		jobs[i].begun = &begun;
		jobs[i].gate = &gate;
		pool_submit(p, &jobs[i].job);
	}
	sem_wait(&begun);
	sem_wait(&begun);
	tap_ok(!readable(p, 0), "nothing is done while what runs is held up");
	sem_post(&gate);
	sem_post(&gate);
	pool_free(&p);
	tap_ok(jobs[0].ran && jobs[1].ran && jobs[0].again == -1 && jobs[1].again == -1,
	    "at the end, what runs is run and done");
	tap_ok(jobs[0].worker == &counts && jobs[1].worker == &counts &&
	    counts.made == 2 && counts.freed == 2, "with what each thread made and freed for itself");
	sem_destroy(&begun);
	sem_destroy(&gate);
}

/* A pool without threads, so that its jobs wait for ever. */
static void
never_ran(void)
{
	struct pool *p = pool_new(0, NULL, NULL, NULL, NULL);
	struct job jobs[3] = { job_named('a', false), job_named('b', true), job_named('c', false) };

	clear();
	jobs[1].again = 2;
	for (int i = 0; i < 3; i++) {
		jobs[i].pool = p;
		pool_submit(p, &jobs[i].job);
	}
	pool_reap(p);
	tap_is(done_order, "", "what waits is not done");
	pool_free(&p);
	tap_is(done_order, "bac", "but at the end it is, one that is submitted again at last");
	tap_is(order, "", "without having run");
}

struct mask_job {
	struct pool_job job;
	sigset_t mask;
};

static void
look_at_mask(struct pool_job *job, void *worker)
{
	(void)worker;
	pthread_sigmask(SIG_SETMASK, NULL, &((struct mask_job *)job)->mask);
}

static void
nothing(struct pool_job *job)
{
	(void)job;
}

static void
signals(void)
{
	struct pool *p = pool_new(1, NULL, NULL, NULL, NULL);
	struct mask_job job = { .job = { .run = look_at_mask, .done = nothing } };
	sigset_t mine;

	pool_submit(p, &job.job);
	readable(p, -1);
	pool_reap(p);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	tap_ok(sigismember(&job.mask, SIGTERM) && sigismember(&job.mask, SIGINT) &&
	    sigismember(&job.mask, SIGHUP) && sigismember(&job.mask, SIGCHLD),
	    "signals do not go to the threads");
	tap_ok(!sigismember(&mine, SIGTERM), "but still to us");
	pool_free(&p);
}

static void
many(void)
{
	enum { JOBS = 20000 };
	struct pool *p = pool_new(4, NULL, NULL, NULL, NULL);
	struct job *jobs = calloc(JOBS, sizeof(*jobs));
	size_t done_count = 0;

	for (size_t i = 0; i < JOBS; i++) {
		jobs[i] = job_named('\0', i % 3 == 0);
		pool_submit(p, &jobs[i].job);
		if (i % 100 == 0)
			pool_reap(p);
	}
	while (done_count < JOBS) {
		readable(p, -1);
		pool_reap(p);
		for (done_count = 0; done_count < JOBS && jobs[done_count].again == -1; )
			done_count++;
	}
	for (size_t i = 0; i < JOBS; i++)
		done_count -= jobs[i].ran;
	tap_ok(done_count == 0, "twenty thousand jobs, each run and done once");
	pool_free(&p);
	free(jobs);
}

int
main(void)
{
	one_job();
	turns();
	favourite();
	here();
	again();
	own_worker();
	end();
	never_ran();
	signals();
	many();
	return tap_done();
}
