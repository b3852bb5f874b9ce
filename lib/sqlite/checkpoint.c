/*
 * Keeping the WAL short. SQLite's own automatic checkpoint runs inside the
 * commit that crosses a threshold, and gives up whenever somebody reads, so
 * that a busy store's WAL grows without end. Here a thread with a connection
 * of its own moves pages while the writer goes on; once the WAL has grown far,
 * the writer waits for a moment so that it can start again at its beginning.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "sqlite/sqlite.h"

enum {
	PAGES_WAKE = 1024,     /* 4 MB: the thread starts to move them, */
	PAGES_STEP = 256,      /* and goes on after so many more; each time it syncs, as the writer does */
	PAGES_WAIT = 6144,     /* 24 MB: the writer waits for the rest */
	PAGES_AGAIN = 1024,    /* and, if a reader was in the way, tries again so much later */
	WAIT_MS = 50,          /* how long at most */
};

struct checkpointer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	char *path;
	struct db *db;
	bool wanted, stop, started;
	/* The writer's alone, no lock needed. */
	int busy_ms;           /* its own timeout */
	int pages;             /* in the WAL, as of the last commit */
	int wake_at, wait_at;  /* when there are so many */
};

static void *
work(void *arg)
{
	struct checkpointer *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		if (!c->wanted) {
			pthread_cond_wait(&c->wake, &c->lock);
			continue;
		}
		c->wanted = false;
		pthread_mutex_unlock(&c->lock);
		/* A failure (a full disk) loses nothing: the pages stay in the WAL, and the
		 * writer's own attempt reports it. */
		db_checkpoint(c->db, DB_PASSIVE, NULL);
		reserve_make(c->path);   /* it grows with the store */
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct checkpointer *
checkpointer_new(const char *path, int busy_ms, struct error *e)
{
	struct checkpointer *c = calloc(1, sizeof(*c));
	sigset_t all, before;
	int rc;

	if (c == NULL) {
		error_memory(e);
		return NULL;
	}
	c->busy_ms = busy_ms;
	c->wake_at = PAGES_WAKE;
	c->wait_at = PAGES_WAIT;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	if ((c->path = strdup(path)) == NULL) {
		error_memory(e);
		checkpointer_free(&c);
		return NULL;
	}
	if ((c->db = db_open(path, DB_WRITE, e)) == NULL) {
		checkpointer_free(&c);
		return NULL;
	}
	db_persist_wal(c->db);
	if (db_exec(c->db, "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 33554432;",
	    e) == -1) {
		checkpointer_free(&c);
		return NULL;
	}
	/* Signals are the business of the caller's threads, whatever these block. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&c->thread, NULL, work, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		error_errno(e, rc, "cannot start a thread");
		checkpointer_free(&c);
		return NULL;
	}
	c->started = true;
	return c;
}

void
checkpointer_free(struct checkpointer **cp)
{
	struct checkpointer *c = *cp;

	if (c == NULL)
		return;
	if (c->started) {
		pthread_mutex_lock(&c->lock);
		c->stop = true;
		pthread_cond_signal(&c->wake);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
	}
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	db_close(&c->db);
	free(c->path);
	free(c);
	*cp = NULL;
}

void
checkpointer_note(struct checkpointer *c, struct db *db)
{
	int pages = db_wal_pages(db);

	if (c == NULL)
		return;
	if (pages < c->pages) {   /* it has begun again */
		c->wake_at = PAGES_WAKE;
		c->wait_at = PAGES_WAIT;
	}
	c->pages = pages;
	if (pages >= c->wait_at) {
		db_busy_timeout(db, WAIT_MS);
		c->wait_at = db_checkpoint(db, DB_RESTART, NULL) == 1 ? PAGES_WAIT :
		    pages + PAGES_AGAIN;
		db_busy_timeout(db, c->busy_ms);
		return;
	}
	if (pages < c->wake_at)
		return;
	c->wake_at = pages + PAGES_STEP;
	pthread_mutex_lock(&c->lock);
	c->wanted = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}
