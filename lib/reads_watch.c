#include "reads_watch.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pool.h"
#include "store.h"

#define RETRY_MS 1000          /* between attempts to open a store that cannot be */

struct reads_watch {
	struct pool_job job;       /* one that lasts, */
	struct pool *thread;       /* on a thread of its own */
	char *url;
	void (*note)(void *arg, const struct error *e);
	void *arg;
	int news, again, stop;     /* eventfds: there are news; go on; it is over */
	/* the thread's: */
	struct store *store;
	struct cursor seen;        /* the end of the store when we last told */
};

/* ---- on the thread --------------------------------------------------------- */

/* Wait until `fd` (-1: none) polls readable, or for so long (-1: for ever). False: it is over. */
static bool
wait_for(struct reads_watch *w, int fd, int ms)
{
	struct pollfd fds[2] = { { .fd = w->stop, .events = POLLIN },
	    { .fd = fd, .events = POLLIN } };

	/* Signals do not come here, and nothing else can go wrong. */
	poll(fds, 2, ms);
	return fds[0].revents == 0;
}

/* Wait until the news have been taken. */
static bool
tell(struct reads_watch *w)
{
	eventfd_t count;

	eventfd_write(w->news, 1);
	if (!wait_for(w, w->again, -1))
		return false;
	eventfd_read(w->again, &count);
	return true;
}

/* Until there is a store that can be opened. False: it is over. */
static bool
open_store(struct reads_watch *w)
{
	struct error e;
	int rc;

	while ((w->store = store_open_until(w->url, STORE_READ, w->stop, &e)) == NULL) {
		w->note(w->arg, e.kind == ERROR_ABSENT ? NULL : &e);
		if (e.kind == ERROR_ABSENT && (rc = store_await(w->url, w->stop, &e)) != -1) {
			if (rc == 0)
				return false;
		} else if (!wait_for(w, -1, RETRY_MS)) {
			return false;
		}
	}
	w->note(w->arg, NULL);
	return true;
}

/* Until this store is gone, or cannot be read. False: it is over. */
static bool
watch_store(struct reads_watch *w)
{
	struct cursor end;
	struct error e;
	int fd = store_watch(w->store, &e);

	while (fd != -1) {
		/* First this, then the look: what comes between the two wakes us again. */
		store_watched(w->store);
		if (store_end(w->store, &end, &e) == -1)
			break;
		if (end.store == w->seen.store && end.arrival == w->seen.arrival) {
			if (!wait_for(w, fd, -1))
				return false;
			continue;
		}
		w->seen = end;
		if (!tell(w))
			return false;
	}
	w->note(w->arg, &e);
	return e.kind == ERROR_GONE || wait_for(w, -1, RETRY_MS);
}

static void
watch(struct pool_job *job, void *worker)
{
	struct reads_watch *w = (struct reads_watch *)job;
	bool on = true;

	(void)worker;
	while (on && open_store(w)) {
		on = watch_store(w);
		store_close(&w->store);
	}
}

static void
ended(struct pool_job *job)
{
	(void)job;
}

/* ---- on the caller's ------------------------------------------------------- */

struct reads_watch *
reads_watch_new(const char *url, void (*note)(void *arg, const struct error *e), void *arg,
    struct error *e)
{
	struct reads_watch *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		error_memory(e);
		return NULL;
	}
	w->job.run = watch;
	w->job.done = ended;
	w->note = note;
	w->arg = arg;
	w->news = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->again = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->news == -1 || w->again == -1 || w->stop == -1)
		error_errno(e, errno, "eventfd");
	else if ((w->url = strdup(url)) == NULL)
		error_memory(e);
	else
		w->thread = pool_new(1, NULL, NULL, NULL, e);
	if (w->thread != NULL)
		pool_submit(w->thread, &w->job);
	else
		reads_watch_free(&w);
	return w;
}

static void
close_fd(int fd)
{
	if (fd != -1)
		close(fd);
}

void
reads_watch_free(struct reads_watch **wp)
{
	struct reads_watch *w = *wp;

	if (w == NULL)
		return;
	if (w->thread != NULL)
		eventfd_write(w->stop, 1);
	pool_free(&w->thread);
	close_fd(w->news);
	close_fd(w->again);
	close_fd(w->stop);
	free(w->url);
	free(w);
	*wp = NULL;
}

int
reads_watch_fd(const struct reads_watch *w)
{
	return w->news;
}

void
reads_watch_again(struct reads_watch *w)
{
	eventfd_t count;

	if (eventfd_read(w->news, &count) == 0)
		eventfd_write(w->again, 1);
}
