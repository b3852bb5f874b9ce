#include "relay_pull.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "relay/pushers.h"

#define ANSWERS_PIECE ((size_t)256 << 10)   /* bytes of answers in one message */
#define ANSWERS_MAX ((size_t)8 << 20)       /* bytes that wait; who does not take them has to begin anew */

struct relay_pull {
	struct relay_pull_settings settings;
	struct relay_intake *intake;
	struct relay_pushers all;
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
	relay_pushers_init(&r->all);
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

void
relay_pull_free(struct relay_pull **rp)
{
	struct relay_pull *r = *rp;

	if (r == NULL)
		return;
	relay_pushers_free(&r->all);
	relay_intake_free(&r->intake);
	buf_free(&r->word);
	free(r);
	*rp = NULL;
}

/* ---- credit ------------------------------------------------------------- */

/* May it be given credit now? */
static bool
is_free(struct relay_pull *r, struct relay_pusher *p)
{
	return !r->stopped && !sink_full(r->settings.sink) && relay_pushers_alone(&r->all, p);
}

static void
grant(struct relay_pull *r, struct relay_pusher *p)
{
	uint64_t share = r->settings.room / (r->all.greeted > 0 ? r->all.greeted : 1);

	if (share < RELAY_BATCH)
		share = RELAY_BATCH;
	if (p->done + share > p->credit && is_free(r, p))
		p->credit = p->done + share;
}

/* Those that have nothing under way, and no credit, hear of it when there is room again. */
static void
grant_waiting(struct relay_pull *r)
{
	struct relay_pusher *p;

	if (sink_full(r->settings.sink))
		return;
	TAILQ_FOREACH(p, &r->all.here, next)
		if (p->greeted && p->received >= p->credit && TAILQ_EMPTY(&p->batches) && is_free(r, p))
			relay_pushers_wake(&r->all, p);
}

/* ---- messages in -------------------------------------------------------- */

/* Forget what was known of it, and know it anew. NULL: no memory. */
static struct relay_pusher *
begin_anew(struct relay_pull *r, struct str id, struct str peer, struct error *e)
{
	struct relay_pusher *p = relay_pushers_find(&r->all, id);

	if (p != NULL)
		relay_pushers_drop(&r->all, p);
	if ((p = relay_pushers_add(&r->all, id, peer)) == NULL)
		error_memory(e);
	return p;
}

static int
greeted(struct relay_pull *r, struct str id, struct str peer, const struct relay_frame *f,
    double now, struct error *e)
{
	struct relay_pusher *p;

	if (r->stopped)
		return 0;
	if ((p = begin_anew(r, id, peer, e)) == NULL)
		return -1;
	p->greeted = p->welcome = true;
	p->greeting = f->greeting;
	p->expected = p->settled = p->told = f->number;
	p->spoke = now;
	p->since = r->turn;
	memcpy(p->run, f->run, RELAY_RUN_SIZE);
	relay_pushers_drop_earlier(&r->all, p);
	r->all.greeted++;
	r->stats.greetings++;
	say(r, LOG_INFO, "%.*s: a pusher, run %02x%02x%02x%02x", STR_ARGS(peer), p->run[0], p->run[1],
	    p->run[2], p->run[3]);
	relay_pushers_wake(&r->all, p);
	return 0;
}

/* It is not known, or not any more: it has to begin anew. */
static int
ask_again(struct relay_pull *r, struct str id, struct str peer, uint64_t greeting, struct error *e)
{
	struct relay_pusher *p;

	r->stats.ungreeted++;
	if (r->stopped)
		return 0;
	if ((p = begin_anew(r, id, peer, e)) == NULL)
		return -1;
	p->again = true;
	p->greeting = greeting;
	relay_pushers_wake(&r->all, p);
	return 0;
}

static void settle(struct relay_pull *r, struct relay_pusher *p);

static int
take_lines(struct relay_pull *r, struct relay_pusher *p, const struct relay_frame *f, struct error *e)
{
	struct relay_batch *b = relay_intake_take(r->intake, p, relay_pusher_peer(p), f->text,
	    &p->answers, e);

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
	struct relay_pusher *p = relay_pushers_find(&r->all, id);
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

int
relay_pull_take(struct relay_pull *r, struct str id, struct str peer, struct str message,
    double now, struct error *e)
{
	struct relay_frame f;
	struct relay_pusher *p;

	if (relay_read(message, &f, e) == -1) {
		r->stats.odd++;
		return -1;
	}
	if ((p = relay_pushers_find(&r->all, id)) != NULL && !str_equal(relay_pusher_peer(p), peer))
		relay_pushers_drop(&r->all, p);   /* a routing id may be somebody else's by now */
	switch (f.type) {
	case RELAY_GREETING:
		return greeted(r, id, peer, &f, now, e);
	case RELAY_LINES:
		return batch_came(r, id, peer, &f, e);
	case RELAY_BYE:
		if ((p = relay_pushers_find(&r->all, id)) != NULL && p->greeting == f.greeting)
			relay_pushers_drop(&r->all, p);
		return 0;
	default:
		r->stats.odd++;
		return error_set(e, ERROR_INVALID, "a message that only a puller sends");
	}
}

/* ---- messages out ------------------------------------------------------- */

/* As many answers as go into one message: whole lines. */
static struct str
answers_piece(const struct relay_pusher *p)
{
	struct str s = { p->answers.data, p->answers.len };

	if (s.len > ANSWERS_PIECE)   /* no line is as long */
		s.len = (size_t)((char *)memrchr(s.data, '\n', ANSWERS_PIECE) + 1 - s.data);
	return s;
}

static struct relay_frame
compose(struct relay_pull *r, struct relay_pusher *p)
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
	struct relay_pusher *p = TAILQ_FIRST(&r->all.ready);
	struct relay_frame f;

	if (p == NULL)
		return false;
	f = compose(r, p);
	r->word.len = 0;
	if (relay_write(&r->word, &f) == -1) {
		relay_pusher_list(p, &r->all.blocked);
		return false;
	}
	*id = p->id;
	*message = (struct str){ r->word.data, r->word.len };
	return true;
}

void
relay_pull_sent(struct relay_pull *r, double now)
{
	struct relay_pusher *p = TAILQ_FIRST(&r->all.ready);

	p->spoke = now;
	if (p->again) {
		relay_pushers_drop(&r->all, p);   /* until it greets */
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
	relay_pusher_list(p, NULL);
	if (p->answers.len > 0 || p->told < p->settled)
		relay_pushers_wake(&r->all, p);
}

void
relay_pull_blocked(struct relay_pull *r)
{
	relay_pusher_list(TAILQ_FIRST(&r->all.ready), &r->all.blocked);
}

void
relay_pull_gone(struct relay_pull *r)
{
	struct relay_pusher *p = TAILQ_FIRST(&r->all.ready);

	if (p->greeted)
		say(r, LOG_INFO, "%.*s: a pusher is gone", (int)p->peer.len, p->peer.data);
	relay_pushers_drop(&r->all, p);
}

/* ---- the sink's answers ------------------------------------------------- */

/* Batches are acknowledged in their order. */
static void
settle(struct relay_pull *r, struct relay_pusher *p)
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
		relay_pushers_wake(&r->all, p);
}

void
relay_pull_settled(struct relay_pull *r, struct sink_parcel *parcel)
{
	struct relay_batch *b = relay_batch_settled(parcel);
	struct relay_pusher *p = b->owner;

	if (p->gone)
		relay_pushers_settle_ghost(&r->all, p, b);
	else
		settle(r, p);
	grant_waiting(r);
}

void
relay_pull_rejected(struct relay_pull *r, struct sink_parcel *parcel, int64_t seq,
    struct str reason)
{
	struct relay_pusher *p = relay_batch_of(parcel)->owner;

	/* A refusal that is not passed on must not look like a record that is stored. */
	if (!p->gone && relay_batch_reject(parcel, seq, reason, &p->answers) == -1)
		relay_pushers_drop(&r->all, p);
}

/* ---- */

void
relay_pull_tick(struct relay_pull *r, double now)
{
	struct relay_pusher *p, *next;

	for (p = TAILQ_FIRST(&r->all.here); p != NULL; p = next) {
		next = TAILQ_NEXT(p, next);
		if (p->list == &r->all.blocked)
			relay_pusher_list(p, &r->all.ready);
		settle(r, p);
		if (now - p->spoke >= r->settings.heartbeat)
			relay_pushers_wake(&r->all, p);
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
	const struct relay_pusher *p;

	TAILQ_FOREACH(p, &r->all.here, next)
		if (!TAILQ_EMPTY(&p->batches) || p->list != NULL)
			return true;
	return !TAILQ_EMPTY(&r->all.ghosts);
}

void
relay_pull_stats(const struct relay_pull *r, struct relay_pull_stats *out)
{
	*out = r->stats;
	out->pushers = r->all.greeted;
	relay_intake_stats(r->intake, &out->intake);
}
