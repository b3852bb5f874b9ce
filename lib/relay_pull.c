#include "relay_pull.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#define ANSWERS_PIECE ((size_t)256 << 10)   /* bytes of answers in one message */
#define ANSWERS_MAX ((size_t)8 << 20)       /* bytes that wait; who does not take them has to begin anew */

TAILQ_HEAD(batches, relay_batch);
TAILQ_HEAD(pushers, pusher);

struct pusher {
	struct str id;             /* the key in relay_pull.by_id */
	struct buf peer;
	TAILQ_ENTRY(pusher) next, of_list;
	struct pushers *list;      /* of those that are to be told something: ready, blocked; or NULL */
	bool greeted, gone;
	uint64_t since;            /* the turn at which it greeted */
	bool alone;                /* nothing is under way from before that */
	unsigned char run[RELAY_RUN_SIZE];
	uint64_t greeting;
	uint64_t expected;         /* the number of the next batch */
	uint64_t settled;          /* that of the first which is not, */
	uint64_t told;             /* and as it knows */
	uint64_t credit, received, done;   /* bytes: granted, of batches taken, of those settled */
	struct batches batches;    /* not settled yet */
	struct buf answers;
	uint64_t nth;              /* messages with answers that it was sent */
	size_t telling;            /* of them, in the message that is being sent */
	double spoke;              /* when we did */
	bool welcome, again;       /* what it is to be told before anything else */
	char id_text[];
};

struct relay_pull {
	struct relay_pull_settings settings;
	struct relay_intake *intake;
	void *by_id;               /* tsearch(3) */
	struct pushers pushers;    /* by next */
	struct pushers ghosts;     /* likewise: gone, but what they have sent is on its way */
	struct pushers ready, blocked;
	struct buf word;           /* the message that is being sent */
	uint64_t turn;             /* counts batches */
	bool stopped;
	struct relay_pull_stats stats;
};

struct relay_pull *
relay_pull_new(const struct relay_pull_settings *settings, struct error *e)
{
	struct relay_pull *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		error_memory(e);
		return NULL;
	}
	r->settings = *settings;
	TAILQ_INIT(&r->pushers);
	TAILQ_INIT(&r->ready);
	TAILQ_INIT(&r->blocked);
	TAILQ_INIT(&r->ghosts);
	r->intake = relay_intake_new(settings->sink, &settings->defaults, e);
	if (r->intake == NULL)
		relay_pull_free(&r);
	return r;
}

__attribute__((format(printf, 3, 4)))
static void
say(struct relay_pull *r, int priority, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->settings.say(r->settings.arg, priority, text);
}

/* ---- pushers ------------------------------------------------------------ */

static int
compare(const void *a, const void *b)
{
	const struct str *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->len == 0 ? 0 : memcmp(x->data, y->data, x->len);
}

static struct pusher *
find(const struct relay_pull *r, struct str id)
{
	/* The key is the first member of what is found. */
	struct pusher *const *p = tfind(&id, &r->by_id, compare);

	return p != NULL ? *p : NULL;
}

static void
list(struct pusher *p, struct pushers *to)
{
	if (p->list != NULL)
		TAILQ_REMOVE(p->list, p, of_list);
	if ((p->list = to) != NULL)
		TAILQ_INSERT_TAIL(to, p, of_list);
}

/* It has something to say. */
static void
wake(struct relay_pull *r, struct pusher *p)
{
	if (p->list == NULL)
		list(p, &r->ready);
}

static struct pusher *
add(struct relay_pull *r, struct str id, struct str peer)
{
	struct pusher *p = calloc(1, sizeof(*p) + id.len);

	if (p == NULL)
		return NULL;
	if (id.len > 0)
		memcpy(p->id_text, id.data, id.len);
	p->id = (struct str){ p->id_text, id.len };
	TAILQ_INIT(&p->batches);
	if (buf_add_str(&p->peer, peer) == -1 || tsearch(p, &r->by_id, compare) == NULL) {
		buf_free(&p->peer);
		free(p);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&r->pushers, p, next);
	return p;
}

static void
pusher_free(struct pusher *p)
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

/* What it has sent goes its way without it. */
static void
drop(struct relay_pull *r, struct pusher *p)
{
	struct relay_batch *b, *later;

	list(p, NULL);
	tdelete(p, &r->by_id, compare);
	TAILQ_REMOVE(&r->pushers, p, next);
	r->stats.pushers -= p->greeted;
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
		TAILQ_INSERT_TAIL(&r->ghosts, p, next);
}

void
relay_pull_free(struct relay_pull **rp)
{
	struct relay_pull *r = *rp;
	struct pusher *p;

	if (r == NULL)
		return;
	while (!TAILQ_EMPTY(&r->pushers))
		drop(r, TAILQ_FIRST(&r->pushers));
	while ((p = TAILQ_FIRST(&r->ghosts)) != NULL) {
		TAILQ_REMOVE(&r->ghosts, p, next);
		pusher_free(p);
	}
	relay_intake_free(&r->intake);
	buf_free(&r->word);
	free(r);
	*rp = NULL;
}

/* ---- credit ------------------------------------------------------------- */

static bool
same_peer(const struct pusher *a, const struct pusher *b)
{
	return a->peer.len == b->peer.len && memcmp(a->peer.data, b->peer.data, a->peer.len) == 0;
}

/* Is nothing of the same peer under way that was there before this one greeted? It may be
 * the very lines that it has to send (again), and an answer to those would be taken for an
 * answer to these. */
static bool
is_alone(struct relay_pull *r, struct pusher *p)
{
	struct pushers *const all[] = { &r->pushers, &r->ghosts };
	const struct relay_batch *oldest;
	const struct pusher *each;

	for (size_t i = 0; i < 2 && !p->alone; i++)
		TAILQ_FOREACH(each, all[i], next)
			if (each != p && same_peer(each, p) &&
			    (oldest = TAILQ_FIRST(&each->batches)) != NULL && oldest->turn <= p->since)
				return false;
	p->alone = true;
	return true;
}

/* May it be given credit now? */
static bool
is_free(struct relay_pull *r, struct pusher *p)
{
	return !r->stopped && !sink_full(r->settings.sink) && is_alone(r, p);
}

static void
grant(struct relay_pull *r, struct pusher *p)
{
	uint64_t share = r->settings.room / (r->stats.pushers > 0 ? r->stats.pushers : 1);

	if (share < RELAY_BATCH)
		share = RELAY_BATCH;
	if (p->done + share > p->credit && is_free(r, p))
		p->credit = p->done + share;
}

/* Those that have nothing under way, and no credit, hear of it when there is room again. */
static void
grant_waiting(struct relay_pull *r)
{
	struct pusher *p;

	if (sink_full(r->settings.sink))
		return;
	TAILQ_FOREACH(p, &r->pushers, next)
		if (p->greeted && p->received >= p->credit && TAILQ_EMPTY(&p->batches) && is_free(r, p))
			wake(r, p);
}

/* ---- messages in -------------------------------------------------------- */

/* Whoever it was may have come back as another, and will not hear us as the first. */
static void
drop_earlier(struct relay_pull *r, const struct pusher *p)
{
	struct pusher *each, *next;

	for (each = TAILQ_FIRST(&r->pushers); each != NULL; each = next) {
		next = TAILQ_NEXT(each, next);
		if (each != p && each->greeted && same_peer(each, p) &&
		    memcmp(each->run, p->run, RELAY_RUN_SIZE) == 0)
			drop(r, each);
	}
}

static int
greeted(struct relay_pull *r, struct str id, struct str peer, const struct relay_frame *f,
    double now, struct error *e)
{
	struct pusher *p = find(r, id);

	if (r->stopped)
		return 0;
	if (p != NULL)
		drop(r, p);
	if ((p = add(r, id, peer)) == NULL)
		return error_memory(e);
	p->greeted = p->welcome = true;
	p->greeting = f->greeting;
	p->expected = p->settled = p->told = f->number;
	p->spoke = now;
	p->since = r->turn;
	memcpy(p->run, f->run, RELAY_RUN_SIZE);
	drop_earlier(r, p);
	r->stats.pushers++;
	r->stats.greetings++;
	say(r, LOG_INFO, "%.*s: a pusher, run %02x%02x%02x%02x", STR_ARGS(peer), p->run[0], p->run[1],
	    p->run[2], p->run[3]);
	wake(r, p);
	return 0;
}

/* It is not known, or not any more: it has to begin anew. */
static int
ask_again(struct relay_pull *r, struct str id, struct str peer, uint64_t greeting, struct error *e)
{
	struct pusher *p = find(r, id);

	r->stats.ungreeted++;
	if (r->stopped)
		return 0;
	if (p != NULL)
		drop(r, p);
	if ((p = add(r, id, peer)) == NULL)
		return error_memory(e);
	p->again = true;
	p->greeting = greeting;
	wake(r, p);
	return 0;
}

static void settle(struct relay_pull *r, struct pusher *p);

static int
take_lines(struct relay_pull *r, struct pusher *p, const struct relay_frame *f, struct error *e)
{
	struct str peer = { p->peer.data, p->peer.len };
	struct relay_batch *b = relay_intake_take(r->intake, p, peer, f->text, &p->answers, e);

	if (b == NULL)
		return -1;
	b->turn = ++r->turn;
	TAILQ_INSERT_TAIL(&p->batches, b, next);
	p->expected++;
	p->received += f->text.len;
	r->stats.batches++;
	settle(r, p);   /* it may all have been refused */
	return 0;
}

/* A batch counts if it is the next one, and within the credit. */
static int
batch_came(struct relay_pull *r, struct str id, struct str peer, const struct relay_frame *f,
    struct error *e)
{
	struct pusher *p = find(r, id);
	struct error why;

	if (r->stopped || (p != NULL && p->again && p->greeting == f->greeting))
		return 0;
	if (p == NULL || !p->greeted || p->greeting != f->greeting || p->expected != f->number ||
	    p->received >= p->credit || p->answers.len > ANSWERS_MAX)
		return ask_again(r, id, peer, f->greeting, e);
	if (take_lines(r, p, f, &why) == 0)
		return 0;
	if (ask_again(r, id, peer, f->greeting, e) == -1 || why.kind == ERROR_BUSY)
		return why.kind == ERROR_BUSY ? 0 : -1;
	*e = why;
	return -1;
}

/* A routing id is no proof of anything: it may be somebody else's by now. */
static void
forget_stranger(struct relay_pull *r, struct str id, struct str peer)
{
	struct pusher *p = find(r, id);

	if (p != NULL && !str_equal((struct str){ p->peer.data, p->peer.len }, peer))
		drop(r, p);
}

int
relay_pull_take(struct relay_pull *r, struct str id, struct str peer, struct str message,
    double now, struct error *e)
{
	struct relay_frame f;
	struct pusher *p;

	if (relay_read(message, &f, e) == -1) {
		r->stats.odd++;
		return -1;
	}
	forget_stranger(r, id, peer);
	switch (f.type) {
	case RELAY_GREETING:
		return greeted(r, id, peer, &f, now, e);
	case RELAY_LINES:
		return batch_came(r, id, peer, &f, e);
	case RELAY_BYE:
		if ((p = find(r, id)) != NULL && p->greeting == f.greeting)
			drop(r, p);
		return 0;
	default:
		r->stats.odd++;
		return error_set(e, ERROR_INVALID, "a message that only a puller sends");
	}
}

/* ---- messages out ------------------------------------------------------- */

/* As many answers as go into one message: whole lines. */
static struct str
answers_piece(const struct pusher *p)
{
	struct str s = { p->answers.data, p->answers.len };

	if (s.len > ANSWERS_PIECE)   /* no line is as long */
		s.len = (size_t)((char *)memrchr(s.data, '\n', ANSWERS_PIECE) + 1 - s.data);
	return s;
}

static struct relay_frame
compose(struct relay_pull *r, struct pusher *p)
{
	struct relay_frame f = { .greeting = p->greeting, .type = RELAY_AGAIN };

	p->telling = 0;
	if (p->again)
		return f;
	grant(r, p);
	f.credit = p->credit;
	if (p->welcome) {
		f.type = RELAY_WELCOME;
		memcpy(f.run, r->settings.run, RELAY_RUN_SIZE);
		return f;
	}
	f.type = RELAY_ANSWERS;
	f.nth = p->nth;
	f.text = answers_piece(p);
	p->telling = f.text.len;
	/* What is settled must not be known before all answers to it are. */
	f.number = f.text.len == p->answers.len ? p->settled : p->told;
	return f;
}

bool
relay_pull_next(struct relay_pull *r, struct str *id, struct str *message)
{
	struct pusher *p = TAILQ_FIRST(&r->ready);
	struct relay_frame f;

	if (p == NULL)
		return false;
	f = compose(r, p);
	r->word.len = 0;
	if (relay_write(&r->word, &f) == -1) {
		list(p, &r->blocked);
		return false;
	}
	*id = p->id;
	*message = (struct str){ r->word.data, r->word.len };
	return true;
}

void
relay_pull_sent(struct relay_pull *r, double now)
{
	struct pusher *p = TAILQ_FIRST(&r->ready);

	p->spoke = now;
	if (p->again) {
		drop(r, p);   /* until it greets */
		return;
	}
	if (p->welcome) {
		p->welcome = false;
	} else {
		p->nth++;
		if (p->telling == p->answers.len)
			p->told = p->settled;
		buf_consume(&p->answers, p->telling);
		if (p->answers.len == 0 && p->answers.cap > ANSWERS_PIECE)
			buf_free(&p->answers);
	}
	list(p, NULL);
	if (p->answers.len > 0 || p->told < p->settled)
		wake(r, p);
}

void
relay_pull_blocked(struct relay_pull *r)
{
	list(TAILQ_FIRST(&r->ready), &r->blocked);
}

void
relay_pull_gone(struct relay_pull *r)
{
	struct pusher *p = TAILQ_FIRST(&r->ready);

	if (p->greeted)
		say(r, LOG_INFO, "%.*s: a pusher is gone", (int)p->peer.len, p->peer.data);
	drop(r, p);
}

/* ---- the sink's answers ------------------------------------------------- */

/* Batches are acknowledged in their order. */
static void
settle(struct relay_pull *r, struct pusher *p)
{
	struct relay_batch *b;

	while ((b = TAILQ_FIRST(&p->batches)) != NULL && b->unsettled == 0) {
		if (relay_batch_acks(b, &p->answers) == -1)
			return;   /* tried again at the next tick */
		p->settled++;
		p->done += b->bytes;
		TAILQ_REMOVE(&p->batches, b, next);
		relay_batch_free(&b);
	}
	if (p->answers.len > 0 || p->told < p->settled)
		wake(r, p);
}

static void
settle_ghost(struct relay_pull *r, struct pusher *p, struct relay_batch *b)
{
	if (b->unsettled > 0)
		return;
	TAILQ_REMOVE(&p->batches, b, next);
	relay_batch_free(&b);
	if (TAILQ_EMPTY(&p->batches)) {
		TAILQ_REMOVE(&r->ghosts, p, next);
		pusher_free(p);
	}
}

void
relay_pull_settled(struct relay_pull *r, struct sink_parcel *parcel)
{
	struct relay_batch *b = relay_batch_settled(parcel);
	struct pusher *p = b->owner;

	if (p->gone)
		settle_ghost(r, p, b);
	else
		settle(r, p);
	grant_waiting(r);
}

void
relay_pull_rejected(struct relay_pull *r, struct sink_parcel *parcel, int64_t seq,
    struct str reason)
{
	struct pusher *p = relay_batch_of(parcel)->owner;

	/* A refusal that is not passed on must not look like a record that is stored. */
	if (!p->gone && relay_batch_reject(parcel, seq, reason, &p->answers) == -1)
		drop(r, p);
}

/* ---- */

void
relay_pull_tick(struct relay_pull *r, double now)
{
	struct pusher *p, *next;

	for (p = TAILQ_FIRST(&r->pushers); p != NULL; p = next) {
		next = TAILQ_NEXT(p, next);
		if (p->list == &r->blocked)
			list(p, &r->ready);
		settle(r, p);
		if (now - p->spoke >= r->settings.heartbeat)
			wake(r, p);
	}
	grant_waiting(r);
}

void
relay_pull_stop(struct relay_pull *r)
{
	r->stopped = true;
}

bool
relay_pull_busy(const struct relay_pull *r)
{
	const struct pusher *p;

	TAILQ_FOREACH(p, &r->pushers, next)
		if (!TAILQ_EMPTY(&p->batches) || p->list != NULL)
			return true;
	return !TAILQ_EMPTY(&r->ghosts);
}

void
relay_pull_stats(const struct relay_pull *r, struct relay_pull_stats *out)
{
	*out = r->stats;
	relay_intake_stats(r->intake, &out->intake);
}
