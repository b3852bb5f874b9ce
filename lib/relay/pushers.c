#include "relay/pushers.h"

#include <search.h>
#include <stdlib.h>

void
relay_pushers_init(struct relay_pushers *all)
{
	all->by_id = NULL;
	all->greeted = 0;
	TAILQ_INIT(&all->here);
	TAILQ_INIT(&all->ghosts);
	TAILQ_INIT(&all->ready);
	TAILQ_INIT(&all->blocked);
}

static int
compare(const void *a, const void *b)
{
	const struct str *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->len == 0 ? 0 : memcmp(x->data, y->data, x->len);
}

struct relay_pusher *
relay_pushers_find(const struct relay_pushers *all, struct str id)
{
	/* The key is the first member of what is found. */
	struct relay_pusher *const *p = tfind(&id, &all->by_id, compare);

	return p != NULL ? *p : NULL;
}

struct relay_pusher *
relay_pushers_add(struct relay_pushers *all, struct str id, struct str peer)
{
	struct relay_pusher *p = calloc(1, sizeof(*p) + id.len);

	if (p == NULL)
		return NULL;
	if (id.len > 0)
		memcpy(p->id_text, id.data, id.len);
	p->id = (struct str){ p->id_text, id.len };
	TAILQ_INIT(&p->batches);
	if (buf_add_str(&p->peer, peer) == -1 || tsearch(p, &all->by_id, compare) == NULL) {
		buf_free(&p->peer);
		free(p);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&all->here, p, next);
	return p;
}

static void
pusher_free(struct relay_pusher *p)
{
	struct relay_batch *b;

	while ((b = TAILQ_FIRST(&p->batches)) != NULL) {
		TAILQ_REMOVE(&p->batches, b, next);
		relay_batch_free(&b);
	}
	buf_free(&p->peer);
	buf_free(&p->answers);
	free(p);
}

void
relay_pushers_drop(struct relay_pushers *all, struct relay_pusher *p)
{
	struct relay_batch *b, *later;

	relay_pusher_list(p, NULL);
	tdelete(p, &all->by_id, compare);
	TAILQ_REMOVE(&all->here, p, next);
	all->greeted -= p->greeted;
	buf_free(&p->answers);
	p->gone = true;
	for (b = TAILQ_FIRST(&p->batches); b != NULL; b = later) {
		later = TAILQ_NEXT(b, next);
		if (b->unsettled == 0) {
			TAILQ_REMOVE(&p->batches, b, next);
			relay_batch_free(&b);
		}
	}
	if (TAILQ_EMPTY(&p->batches))
		pusher_free(p);
	else
		TAILQ_INSERT_TAIL(&all->ghosts, p, next);
}

void
relay_pushers_free(struct relay_pushers *all)
{
	struct relay_pusher *p;

	while (!TAILQ_EMPTY(&all->here))
		relay_pushers_drop(all, TAILQ_FIRST(&all->here));
	while ((p = TAILQ_FIRST(&all->ghosts)) != NULL) {
		TAILQ_REMOVE(&all->ghosts, p, next);
		pusher_free(p);
	}
}

static bool
same_peer(const struct relay_pusher *a, const struct relay_pusher *b)
{
	return str_equal(relay_pusher_peer(a), relay_pusher_peer(b));
}

void
relay_pushers_drop_earlier(struct relay_pushers *all, const struct relay_pusher *p)
{
	struct relay_pusher *each, *next;

	for (each = TAILQ_FIRST(&all->here); each != NULL; each = next) {
		next = TAILQ_NEXT(each, next);
		if (each != p && each->greeted && same_peer(each, p) &&
		    memcmp(each->run, p->run, RELAY_RUN_SIZE) == 0)
			relay_pushers_drop(all, each);
	}
}

void
relay_pushers_settle_ghost(struct relay_pushers *all, struct relay_pusher *p,
    struct relay_batch *b)
{
	if (b->unsettled > 0)
		return;
	TAILQ_REMOVE(&p->batches, b, next);
	relay_batch_free(&b);
	if (TAILQ_EMPTY(&p->batches)) {
		TAILQ_REMOVE(&all->ghosts, p, next);
		pusher_free(p);
	}
}

bool
relay_pushers_alone(const struct relay_pushers *all, struct relay_pusher *p)
{
	const struct relay_list *const both[] = { &all->here, &all->ghosts };
	const struct relay_batch *oldest;
	const struct relay_pusher *each;

	for (size_t i = 0; i < 2 && !p->alone; i++)
		TAILQ_FOREACH(each, both[i], next)
			if (each != p && same_peer(each, p) &&
			    (oldest = TAILQ_FIRST(&each->batches)) != NULL && oldest->turn <= p->since)
				return false;
	p->alone = true;
	return true;
}

void
relay_pusher_list(struct relay_pusher *p, struct relay_list *to)
{
	if (p->list != NULL)
		TAILQ_REMOVE(p->list, p, of_list);
	if ((p->list = to) != NULL)
		TAILQ_INSERT_TAIL(to, p, of_list);
}

void
relay_pushers_wake(struct relay_pushers *all, struct relay_pusher *p)
{
	if (p->list == NULL)
		relay_pusher_list(p, &all->ready);
}
