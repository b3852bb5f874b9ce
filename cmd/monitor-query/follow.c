#include "follow.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>

#include "again.h"
#include "cli.h"
#include "cursor_file.h"
#include "ending.h"
#include "show.h"
#include "when.h"

enum {
	TAIL = 10,            /* records that --follow begins with */
	SAVE_MS = 1000,       /* the file is written no more often than this */
};

/* Seconds before a store out of reach is tried again: at first, and at most. */
#define RETRY 0.1
#define RETRY_MOST 10.0

struct follower {
	struct show show;
	struct store *store;
	const struct request *request;
	const volatile int *over;
	struct query query;
	struct cursor at;     /* all up to here is out */
	bool placed;          /* `at` counts */
	struct cursor saved;  /* what the file holds */
	double saved_at;      /* when_ticks() when it was written */
	unsigned failures;    /* in a row, to reach a distant store */
};

/* How long the position in the file may stay as it is: milliseconds, -1 for
 * ever. */
static int64_t
save_due(const struct follower *f)
{
	int64_t age;

	if (f->request->cursor_file == NULL || !f->placed || f->saved.arrival == f->at.arrival)
		return -1;
	age = (int64_t)((when_ticks() - f->saved_at) * 1000);
	return age < SAVE_MS ? SAVE_MS - age : 0;
}

static int
save(struct follower *f, struct error *e)
{
	if (cursor_file_write(f->request->cursor_file, &f->at, e) == -1)
		return -1;
	f->saved = f->at;
	f->saved_at = when_ticks();
	return 0;
}

/* Show what an answer holds. 1: all of it, 0: it was cut short by a signal, or
 * -1. `*last` is the position of the last record that was shown, if any. */
static int
drain(struct follower *f, struct answer *a, struct cursor *last, struct error *e)
{
	struct record record;
	int rc;

	while (!*f->over && (rc = answer_next(a, &record, e)) != 0) {
		if (rc == -1 || show_record(&f->show, &record, e) == -1)
			return -1;
		answer_cursor(a, last);
		if (!out_empty())
			continue;
		f->at = *last;
		f->placed = true;
		if (save_due(f) == 0 && save(f, e) == -1)
			return -1;
	}
	return !*f->over;
}

/* Is there nothing behind our position? A daemon shows one watchdog's records: when the last of
 * them are purged, their end goes back, and may be nowhere (store 0). */
static bool
nothing_new(const struct follower *f, const struct cursor *end)
{
	bool daemon = f->request->remote.url != NULL;

	if (!f->placed)
		return false;
	if (daemon && end->store == 0)
		return true;
	return f->at.store == end->store && (daemon ? f->at.arrival >= end->arrival :
	    f->at.arrival == end->arrival);
}

/* All that has arrived until now. */
static int
catch_up(struct follower *f, struct error *e)
{
	uint64_t before = f->show.shown;
	struct cursor from = f->at, last = from, end;
	struct query q = f->query;
	struct answer *a;
	int rc = 1;

	if (store_end(f->store, &end, e) == -1)
		return -1;
	if (nothing_new(f, &end))
		return 0;
	if (f->placed && from.store == end.store && from.arrival > end.arrival)
		return error_set(e, ERROR_INVALID, "%s: the store has not come to this position yet; "
		    "was it restored from a backup?", f->request->shown);
	q.upto = end.arrival;
	q.after = f->placed ? &from : NULL;
	if (q.limit > 0) {
		if ((a = store_ask(f->store, &q, e)) == NULL)
			return -1;
		rc = drain(f, a, &last, e);
		answer_close(&a);
	}
	/* Even if the rest of the answer cannot be had: what is shown is not to be shown again. */
	if ((rc == -1 && e->kind != ERROR_BUSY && e->kind != ERROR_NONE) ||
	    show_status(out_flush(), e) == -1)
		return -1;
	if (!out_empty())
		return rc == -1 ? -1 : 0;   /* a signal, and a reader who takes no more */
	if (f->show.shown > before) {
		f->at = last;
		f->placed = true;
		f->query.limit = SIZE_MAX;
	}
	if (rc == -1)
		return -1;
	/* Behind a position, a limit ends the walk before its end. The time is kept,
	 * for somebody who goes on from here in the order of time. */
	if (rc == 1 && (q.after == NULL || f->show.shown - before < q.limit)) {
		f->at.arrival = end.arrival;
		f->at.store = end.store;
		f->placed = true;
	}
	return 0;
}

/* Wait for news: 1, or 0 when it is over, or -1. */
static int
wait_for_news(struct follower *f, int watch_fd, int ending_fd, struct error *e)
{
	struct pollfd fds[] = { { .fd = watch_fd, .events = POLLIN },
	    { .fd = ending_fd, .events = POLLIN } };
	int64_t ms;

	for (;;) {
		if ((ms = save_due(f)) == 0) {
			if (save(f, e) == -1)
				return -1;
			ms = -1;
		}
		if (*f->over)
			return 0;
		if (poll(fds, 2, (int)ms) == -1 && errno != EINTR)
			return error_errno(e, errno, "poll");
		if (*f->over)
			return 0;
		if (fds[1].revents != 0)
			return error_set(e, ERROR_NONE, "nobody reads the output");
		if (fds[0].revents != 0)
			return 1;
	}
}

/* The store is out of reach, for this reason: wait before it is tried again. As wait_for_news(). */
static int
wait_for_store(struct follower *f, int ending_fd, struct error *e)
{
	int rc;

	if (f->failures++ == 0 && !f->request->quiet)
		cli_warn("%s; trying again", e->text);
	if (save_due(f) != -1 && save(f, e) == -1)
		return -1;
	if ((rc = again_wait(f->failures, RETRY, RETRY_MOST, ending_fd, e)) == 1 && !*f->over)
		return error_set(e, ERROR_NONE, "nobody reads the output");
	return rc == -1 ? -1 : !*f->over;
}

/* Look what there is, and wait for what calls for the next look: 1, or 0 when it is over, or
 * -1. */
static int
look(struct follower *f, int watch_fd, int ending_fd, struct error *e)
{
	if (!f->request->follow)
		return catch_up(f, e);
	/* First this, then the look: what comes between the two wakes us again. */
	store_watched(f->store);
	if (catch_up(f, e) == 0) {
		f->query.limit = SIZE_MAX;
		f->failures = 0;
		return wait_for_news(f, watch_fd, ending_fd, e);
	}
	if (*f->over)
		return 0;
	if (!store_distant(f->store) || e->kind != ERROR_BUSY)
		return -1;
	return wait_for_store(f, ending_fd, e);
}

/* Where to begin, and with how many. */
static int
begin(struct follower *f, bool fresh, struct error *e)
{
	const struct request *r = f->request;
	int found;

	f->query = r->query;
	f->query.order = QUERY_BY_ARRIVAL;
	if (r->query.after != NULL) {
		f->at = *r->query.after;
		f->placed = true;
	} else if (r->cursor_file != NULL) {
		if ((found = cursor_file_read(r->cursor_file, &f->at, e)) == -1 ||
		    cursor_file_check(r->cursor_file, e) == -1)
			return -1;
		f->placed = found == 1;
		f->saved = f->at;
	}
	if (f->placed && store_by_arrival(f->store, &f->at, e) == -1)
		return -1;
	if (!r->follow)
		return 0;
	if (f->placed || fresh)
		f->query.limit = SIZE_MAX;
	else if (!r->limited && r->cursor_file == NULL)
		f->query.limit = TAIL;
	return 0;
}

int
follow(struct store *store, const struct request *r, int ending_fd, bool fresh, struct error *e)
{
	struct follower f = { .show = { .request = r }, .store = store, .request = r,
	    .over = ending_signalled() };
	int watch_fd = -1, rc;

	if (begin(&f, fresh, e) == -1)
		return -1;
	if (r->follow && (watch_fd = store_watch(store, e)) == -1)
		return -1;
	do
		rc = look(&f, watch_fd, ending_fd, e);
	while (rc == 1);
	/* What is out is out, however it ended. */
	if (save_due(&f) != -1 && save(&f, rc == -1 ? NULL : e) == -1)
		rc = -1;
	if (rc == -1 || show_end(&f.show, f.placed ? &f.at : NULL, e) == -1)
		return -1;
	return r->follow || f.show.shown > 0 ? EXIT_SUCCESS : EXIT_NOTHING;
}
