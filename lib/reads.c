#include "reads.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "look.h"
#include "reads_watch.h"

#define LITTLE ((size_t)16 << 10)   /* bytes of an answer that the caller's thread writes */

struct reads {
	char *url;
	bool at_once;                /* the beginning of answers, on the caller's thread */
	int stop;                    /* an eventfd: whoever waits for a server is to give up */
	struct pool *pool;
	struct reads_watch *watch;   /* NULL: nobody has asked for it */
	pthread_mutex_t lock;        /* of `error` */
	struct error error;          /* of the last look; ERROR_NONE: it went well */
};

/* What a thread has for itself. */
struct worker {
	struct reads *reads;
	struct store *store;         /* NULL: not open */
};

struct read {
	struct pool_job job;
	struct reads *reads;
	struct look look;
	size_t bytes;
	void (*done)(void *arg, struct read_result *result);
	void *arg;
	bool under_way;
	atomic_bool dropped;         /* nobody wants it any more */
	bool ran;                    /* the job's: since it was submitted */
	enum look_result came;
	struct read_result result;
};

/* ---- on the threads -------------------------------------------------------- */

static void *
worker_new(void *arg)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w != NULL)
		w->reads = arg;
	return w;
}

static void
worker_free(void *arg)
{
	struct worker *w = arg;

	if (w != NULL)
		store_close(&w->store);
	free(w);
}

/* What went wrong with the store, if it was the store. */
static void
note(void *arg, const struct error *e)
{
	struct reads *reads = arg;

	if (e != NULL && (e->kind == ERROR_USAGE || e->kind == ERROR_GONE ||
	    e->kind == ERROR_MEMORY))
		return;
	pthread_mutex_lock(&reads->lock);
	if (e != NULL)
		reads->error = *e;
	else
		reads->error.kind = ERROR_NONE;
	pthread_mutex_unlock(&reads->lock);
}

static enum look_result
look_once(struct worker *w, struct read *r)
{
	struct error *e = &r->result.error;
	enum look_result came;

	if (w->store == NULL && (w->store = store_open_until(w->reads->url, STORE_READ,
	    w->reads->stop, e)) == NULL && e->kind != ERROR_ABSENT)
		return LOOK_FAILED;
	came = look_slice(&r->look, w->store, r->bytes, &r->result, e);
	/* Whatever has happened to the store, it may be well when it is opened again. */
	if (came == LOOK_FAILED && e->kind != ERROR_USAGE && e->kind != ERROR_BUSY &&
	    e->kind != ERROR_MEMORY)
		store_close(&w->store);
	return came;
}

static void
run(struct pool_job *job, void *worker)
{
	struct read *r = (struct read *)job;

	r->ran = true;
	if (atomic_load(&r->dropped))
		return;
	if (worker == NULL) {
		error_memory(&r->result.error);
		r->came = LOOK_FAILED;
		return;
	}
	r->came = look_once(worker, r);
	if (r->came == LOOK_FAILED && r->result.error.kind == ERROR_GONE)
		r->came = look_once(worker, r);
	note(r->reads, r->came == LOOK_FAILED ? &r->result.error : NULL);
}

/* ---- on the caller's ------------------------------------------------------- */

struct reads *
reads_new(const char *url, unsigned threads, struct error *e)
{
	struct reads *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		error_memory(e);
		return NULL;
	}
	pthread_mutex_init(&r->lock, NULL);
	if ((r->stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) == -1)
		error_errno(e, errno, "eventfd");
	else if ((r->url = strdup(url)) == NULL)
		error_memory(e);
	else
		r->pool = pool_new(threads, worker_new, worker_free, r, e);
	if (r->pool == NULL)
		reads_free(&r);
	return r;
}

void
reads_free(struct reads **rp)
{
	struct reads *r = *rp;

	if (r == NULL)
		return;
	reads_watch_free(&r->watch);
	if (r->stop != -1)
		eventfd_write(r->stop, 1);
	pool_free(&r->pool);
	if (r->stop != -1)
		close(r->stop);
	pthread_mutex_destroy(&r->lock);
	free(r->url);
	free(r);
	*rp = NULL;
}

struct pool *
reads_pool(struct reads *r)
{
	return r->pool;
}

void
reads_at_once(struct reads *r)
{
	r->at_once = !store_distant_url(r->url);
}

static void
destroy(struct read *r)
{
	look_free(&r->look);
	buf_free(&r->result.text);
	free(r);
}

static void
submit(struct read *r)
{
	r->ran = false;
	r->look.query.work = LOOK_WORK;
	pool_submit(r->reads->pool, &r->job);
}

/* The beginning of an answer, found at once or not: to look for a text may take longer than the
 * rows tell. */
static bool
look_at_once(struct read *r)
{
	if (!r->reads->at_once || r->look.subscription || r->look.place.planned ||
	    r->look.match != NULL)
		return false;
	r->ran = false;
	r->bytes = r->bytes < LITTLE ? r->bytes : LITTLE;
	r->look.query.work = LOOK_LITTLE;
	return pool_run(r->reads->pool, &r->job);
}

static void
done(struct pool_job *job)
{
	static const enum read_state states[] = {
		[LOOK_FAILED] = READ_FAILED,
		[LOOK_MORE] = READ_MORE,
		[LOOK_END] = READ_END,
		[LOOK_IDLE] = READ_IDLE,
	};
	struct read *r = (struct read *)job;

	if (atomic_load(&r->dropped)) {
		destroy(r);
		return;
	}
	if (!r->ran) {
		error_set(&r->result.error, ERROR_BUSY, "the threads that read have ended");
		r->came = LOOK_FAILED;
	}
	/* Behind the others, so that who looks for what is rare does not hold them up. */
	if (r->came == LOOK_AGAIN) {
		submit(r);
		return;
	}
	if (r->came == LOOK_IDLE)   /* many may be so for long */
		buf_free(&r->result.text);
	r->under_way = false;
	r->result.state = states[r->came];
	r->done(r->arg, &r->result);
}

struct read *
read_new(struct reads *reads, const struct proto_request *request, struct str watchdog,
    bool subscription, size_t limit, size_t headroom, struct error *e)
{
	struct read *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		error_memory(e);
		return NULL;
	}
	if (look_init(&r->look, request, watchdog, subscription, limit, headroom, e) == -1) {
		free(r);
		return NULL;
	}
	r->reads = reads;
	r->job.run = run;
	r->job.done = done;
	r->job.urgent = !subscription;
	atomic_init(&r->dropped, false);
	return r;
}

void
read_free(struct read **rp)
{
	struct read *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	if (r->under_way)
		atomic_store(&r->dropped, true);   /* done() sees to the rest */
	else
		destroy(r);
}

void
read_slice(struct read *r, size_t bytes, void (*done_with)(void *arg, struct read_result *result),
    void *arg)
{
	r->bytes = bytes;
	r->done = done_with;
	r->arg = arg;
	r->under_way = true;
	if (!look_at_once(r))
		submit(r);
}

const char *
read_comment(const struct error *e)
{
	switch (e->kind) {
	case ERROR_ABSENT:
		return "No store to read from";
	case ERROR_USAGE:
		return "This cursor is of another store";
	case ERROR_GONE:
		return "The store was replaced, try again";
	case ERROR_BUSY:
		return "The store is busy, try again";
	case ERROR_MEMORY:
		return "Out of memory, try again";
	default:
		return "The store can't be read";
	}
}

int
reads_watch(struct reads *r, struct error *e)
{
	if (r->watch == NULL && (r->watch = reads_watch_new(r->url, note, r, e)) == NULL)
		return -1;
	return reads_watch_fd(r->watch);
}

void
reads_watched(struct reads *r)
{
	if (r->watch != NULL)
		reads_watch_again(r->watch);
}

bool
reads_ok(struct reads *r, struct error *e)
{
	bool ok;

	pthread_mutex_lock(&r->lock);
	ok = r->error.kind == ERROR_NONE;
	if (!ok && e != NULL)
		*e = r->error;
	pthread_mutex_unlock(&r->lock);
	return ok;
}
