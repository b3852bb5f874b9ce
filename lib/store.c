#include "store.h"

#include <stdlib.h>

#include "newest.h"
#include "store_backend.h"

struct store {
	const struct store_backend *engine;
	void *impl;
};

/* The engines, the one that takes every plain path last. */
static const struct store_backend *const engines[] = { &store_postgres, &store_sqlite };

static const struct store_backend *
engine_for(const char *url, const char **rest, struct error *e)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (engines[i]->claims(url, rest))
			return engines[i];
	error_set(e, ERROR_USAGE, "%.*s: no such kind of store (a path, sqlite:PATH or "
	    "postgresql://...)", (int)strcspn(url, ":"), url);
	return NULL;
}

int
store_check_url(const char *url, struct error *e)
{
	const char *rest;

	if (*url == '\0')
		return error_set(e, ERROR_USAGE, "its name is empty");
	return engine_for(url, &rest, e) != NULL ? 0 : -1;
}

static struct store *
wrap(const struct store_backend *engine, void *impl, struct error *e)
{
	struct store *s;

	if (impl == NULL)
		return NULL;
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		error_memory(e);
		engine->close(impl);
		return NULL;
	}
	s->engine = engine;
	s->impl = impl;
	return s;
}

struct store *
store_open(const char *url, enum store_mode mode, struct error *e)
{
	return store_open_until(url, mode, -1, e);
}

struct store *
store_open_until(const char *url, enum store_mode mode, int stop_fd, struct error *e)
{
	const char *rest;
	const struct store_backend *engine = engine_for(url, &rest, e);

	return engine == NULL ? NULL : wrap(engine, engine->open(rest, mode, stop_fd, e), e);
}

struct store *
store_open_remote(const struct client_settings *settings, enum store_mode mode, struct error *e)
{
	return wrap(&store_remote, remote_open(settings, mode, e), e);
}

void
store_close(struct store **sp)
{
	if (*sp == NULL)
		return;
	(*sp)->engine->close((*sp)->impl);
	free(*sp);
	*sp = NULL;
}

void
store_trouble(struct store *s, const struct store_trouble *t)
{
	if (s->engine->trouble != NULL)
		s->engine->trouble(s->impl, t);
}

bool
store_distant(const struct store *s)
{
	return s->engine->distant;
}

bool
store_distant_url(const char *url)
{
	const char *rest;
	const struct store_backend *engine = engine_for(url, &rest, NULL);

	return engine != NULL && engine->distant;
}

size_t
store_batch(const struct store *s)
{
	return s->engine->batch;
}

int
store_create_schema(const char *url, double interval, enum store_made *made, struct error *left,
    struct error *e)
{
	const char *rest;
	const struct store_backend *engine = engine_for(url, &rest, e);

	if (engine == NULL)
		return -1;
	if (engine->create_schema == NULL)
		return error_set(e, ERROR_USAGE, "%s: a store there is made by who first writes to it", rest);
	return engine->create_schema(rest, interval, made, left, e);
}

int
store_schema(double interval, bool roles_only, struct buf *text, struct error *e)
{
	return store_postgres.schema(interval, roles_only, text, e);
}

int
store_add(struct store *s, const struct store_offer *offers, size_t n,
    struct store_added *added, struct error *e)
{
	return s->engine->add(s->impl, offers, n, added, e);
}

/* ---- ask ------------------------------------------------------------------ */

struct answer {
	struct store *store;
	struct query q;        /* what the engine was asked, where that is not the caller's */
	struct cursor from;
	void *impl;            /* NULL: all that is left of it is in `newest` */
	struct newest newest;
	struct cursor at;      /* of what was taken from there last */
};

/* The newest few, oldest first: walk back over them, and hand them out from their end. 1; or 0
 * where they are too many to be kept. */
static int
keep_newest(struct answer *a, const struct query *q, struct error *e)
{
	const struct store_backend *engine = a->store->engine;
	struct query back = *q;
	struct cursor at;
	struct record r;
	void *walk;
	int rc, kept = 1;

	back.reverse = true;
	back.work = SIZE_MAX;
	if ((walk = engine->ask(a->store->impl, &back, e)) == NULL)
		return -1;
	engine->position(walk, &a->at);
	while ((rc = engine->next(walk, &r, e)) == 1) {
		engine->position(walk, &at);
		if ((kept = newest_add(&a->newest, &r, &at, e)) != 1)
			break;
	}
	engine->end_ask(walk);
	if (kept == 0)
		newest_free(&a->newest);
	return rc == -1 ? -1 : kept;
}

/*
 * The newest N, oldest first: walk back over N records to find where they
 * begin, then forward from there. Nothing is held in memory, however large N.
 */
static int
find_newest(struct answer *a, const struct query *q, struct error *e)
{
	const struct store_backend *engine = a->store->engine;
	struct query back = *q;
	struct cursor end;
	struct record r;
	bool any = false;
	void *walk;
	int rc;

	if (engine->end(a->store->impl, &end, e) == -1)
		return -1;
	if (end.arrival < back.upto)
		back.upto = end.arrival;
	back.reverse = true;
	back.work = SIZE_MAX;
	if ((walk = engine->ask(a->store->impl, &back, e)) == NULL)
		return -1;
	while ((rc = engine->next(walk, &r, e)) == 1)
		any = true;
	engine->position(walk, &a->from);
	engine->end_ask(walk);
	if (rc == -1)
		return -1;
	if (!any)
		a->q.limit = 0;
	a->from.arrival--;   /* just before the first of them */
	a->q.upto = back.upto;
	a->q.after = &a->from;
	return 0;
}

/* 1: they are kept, 0: the engine is to be asked, -1: failed. */
static int
ask_newest(struct answer *a, const struct query *q, struct error *e)
{
	int rc = q->limit <= NEWEST_RECORDS ? keep_newest(a, q, e) : 0;

	return rc == 0 ? find_newest(a, q, e) : rc;
}

struct answer *
store_ask(struct store *s, const struct query *q, struct error *e)
{
	struct answer *a = calloc(1, sizeof(*a));
	int rc = 0;

	if (a == NULL) {
		error_memory(e);
		return NULL;
	}
	a->store = s;
	a->q = *q;
	if (q->limit != SIZE_MAX && !q->reverse && q->after == NULL)
		rc = ask_newest(a, q, e);
	if (rc == -1 || (rc == 0 && (a->impl = s->engine->ask(s->impl, &a->q, e)) == NULL))
		answer_close(&a);
	return a;
}

int
answer_next(struct answer *a, struct record *r, struct error *e)
{
	if (a->impl == NULL)
		return newest_take(&a->newest, r, &a->at);
	return a->store->engine->next(a->impl, r, e);
}

void
answer_cursor(const struct answer *a, struct cursor *c)
{
	if (a->impl == NULL)
		*c = a->at;
	else
		a->store->engine->position(a->impl, c);
}

void
answer_close(struct answer **ap)
{
	struct answer *a = *ap;

	if (a == NULL)
		return;
	if (a->impl != NULL)
		a->store->engine->end_ask(a->impl);
	newest_free(&a->newest);
	free(a);
	*ap = NULL;
}

/* ---- the rest is the engine's ---------------------------------------------- */

int
store_by_arrival(struct store *s, struct cursor *c, struct error *e)
{
	return s->engine->by_arrival == NULL ? 0 : s->engine->by_arrival(s->impl, c, e);
}

int
store_end(struct store *s, struct cursor *c, struct error *e)
{
	return s->engine->end(s->impl, c, e);
}

int
store_watch(struct store *s, struct error *e)
{
	return s->engine->watch(s->impl, e);
}

void
store_watched(struct store *s)
{
	s->engine->watched(s->impl);
}

int
store_await(const char *url, int stop_fd, struct error *e)
{
	const char *rest;
	const struct store_backend *engine = engine_for(url, &rest, e);

	return engine == NULL ? -1 : engine->await(rest, stop_fd, e);
}

int
store_tally(struct store *s, const struct query *q, enum tally_by by, double interval,
    double offset, int (*row)(void *arg, const struct tally *t), void *arg, struct error *e)
{
	return s->engine->tally(s->impl, q, by, interval, offset, row, arg, e);
}

int
store_span(struct store *s, const struct query *q, double *first, double *last, struct error *e)
{
	return s->engine->span(s->impl, q, first, last, e);
}

int
store_stats(struct store *s, struct store_stats *st, struct error *e)
{
	return s->engine->stats(s->impl, st, e);
}

int
store_backup(struct store *s, const char *path, struct error *e)
{
	return s->engine->backup(s->impl, path, e);
}

int64_t
store_verify(struct store *s, void (*found)(void *arg, const char *text), void *arg,
    struct error *e)
{
	return s->engine->verify(s->impl, found, arg, e);
}

int
store_salvage(struct store *s, const char *path, struct store_salvaged *out, struct error *e)
{
	return s->engine->salvage(s->impl, path, out, e);
}

int
store_purge(struct store *s, const struct purge *p, const volatile int *stop,
    struct purged *out, struct error *e)
{
	return s->engine->purge(s->impl, p, stop, out, e);
}
