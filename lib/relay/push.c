#include "relay_push.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#define PACE 0.1   /* seconds between two greetings that were asked for */

/* What is sent of a batch. Whoever sends it may hold it for longer than there is a batch, on
 * another thread; while somebody does, it stays as it is. */
struct text {
	atomic_uint holders;
	struct buf buf;        /* RELAY_LINES_HEAD bytes, and the lines */
};

struct batch {
	TAILQ_ENTRY(batch) next;
	uint64_t number;
	size_t lines;
	bool sealed;           /* it may be on its way: nothing is added any more */
	bool sent;             /* ever */
	struct text *text;
};

struct relay_push {
	unsigned char run[RELAY_RUN_SIZE], puller[RELAY_RUN_SIZE];
	double patience;
	enum { DOWN, TO_GREET, GREETED, OPEN } state;
	uint64_t greeting;
	double due;            /* for what it waits for now */
	TAILQ_HEAD(batches, batch) batches;
	struct batch *unsent;  /* the first that is not, in this greeting */
	uint64_t number;       /* of the next new batch */
	uint64_t credit, spent;
	size_t full;           /* bytes of lines from which on nothing is added to a batch */
	uint64_t heard;        /* answers, in this greeting */
	size_t held;
	bool finishing, welcomed;
	struct buf word;       /* a message without lines */
	struct relay_push_stats stats;
};

struct relay_push *
relay_push_new(const unsigned char run[RELAY_RUN_SIZE], double patience, struct error *e)
{
	struct relay_push *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		error_memory(e);
		return NULL;
	}
	memcpy(r->run, run, RELAY_RUN_SIZE);
	r->patience = patience;
	r->due = INFINITY;
	r->full = RELAY_BATCH;
	TAILQ_INIT(&r->batches);
	return r;
}

static size_t
size_of(const struct batch *b)
{
	return sizeof(*b) + sizeof(*b->text) + b->text->buf.cap;
}

static size_t
bytes_of(const struct batch *b)
{
	return b->text->buf.len - RELAY_LINES_HEAD;
}

/* One that has room for so many bytes of lines, and one holder. NULL: no memory. */
static struct text *
text_new(size_t bytes)
{
	struct text *t = calloc(1, sizeof(*t));

	if (t == NULL || buf_reserve(&t->buf, RELAY_LINES_HEAD + bytes) == -1) {
		free(t);
		return NULL;
	}
	t->buf.len = RELAY_LINES_HEAD;
	atomic_init(&t->holders, 1);
	return t;
}

void
relay_push_let_go(void *message, void *held)
{
	struct text *t = held;

	(void)message;
	if (atomic_fetch_sub(&t->holders, 1) > 1)
		return;
	buf_free(&t->buf);
	free(t);
}

static void
drop_first(struct relay_push *r)
{
	struct batch *b = TAILQ_FIRST(&r->batches);

	TAILQ_REMOVE(&r->batches, b, next);
	r->held -= size_of(b);
	r->stats.unsettled_lines -= b->lines;
	r->stats.unsettled_bytes -= bytes_of(b);
	relay_push_let_go(NULL, b->text);
	free(b);
}

void
relay_push_free(struct relay_push **rp)
{
	struct relay_push *r = *rp;

	if (r == NULL)
		return;
	while (!TAILQ_EMPTY(&r->batches))
		drop_first(r);
	buf_free(&r->word);
	free(r);
	*rp = NULL;
}

/* ---- lines -------------------------------------------------------------- */

/* The last batch, if it can take more. */
static struct batch *
begun(struct relay_push *r)
{
	struct batch *b = TAILQ_LAST(&r->batches, batches);

	return b == NULL || b->sealed || bytes_of(b) >= r->full ? NULL : b;
}

static struct batch *
begin(struct relay_push *r, size_t bytes)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (b == NULL || (b->text = text_new(bytes)) == NULL) {
		free(b);
		return NULL;
	}
	b->number = r->number++;
	TAILQ_INSERT_TAIL(&r->batches, b, next);
	if (r->unsent == NULL)
		r->unsent = b;
	r->held += size_of(b);
	return b;
}

/* How many bytes of whole lines fit into `room`? */
static size_t
fitting(struct str lines, size_t room)
{
	const char *newline;

	if (lines.len <= room)
		return lines.len;
	newline = memrchr(lines.data, '\n', room);
	return newline == NULL ? 0 : (size_t)(newline + 1 - lines.data);
}

static int
append(struct relay_push *r, struct batch *b, struct str lines)
{
	size_t count = str_count_lines(lines), had = size_of(b);

	if (buf_add_str(&b->text->buf, lines) == -1)
		return -1;
	r->held += size_of(b) - had;
	b->lines += count;
	r->stats.unsettled_lines += count;
	r->stats.unsettled_bytes += lines.len;
	return 0;
}

int
relay_push_add(struct relay_push *r, struct str lines, struct error *e)
{
	struct batch *b;
	size_t n;

	while (lines.len > 0) {
		b = begun(r);
		n = b == NULL ? 0 : fitting(lines, r->full - bytes_of(b));
		if (n == 0) {
			/* A line that is longer than a batch is one by itself. */
			if ((n = fitting(lines, r->full)) == 0)
				n = (size_t)((char *)memchr(lines.data, '\n', lines.len) + 1 - lines.data);
			if ((b = begin(r, n)) == NULL)
				return error_memory(e);
		}
		if (append(r, b, (struct str){ lines.data, n }) == -1)
			return error_memory(e);
		lines = (struct str){ lines.data + n, lines.len - n };
	}
	return 0;
}

size_t
relay_push_held(const struct relay_push *r)
{
	return r->held;
}

bool
relay_push_settled(const struct relay_push *r)
{
	return TAILQ_EMPTY(&r->batches);
}

/* ---- greetings ---------------------------------------------------------- */

static void
greet(struct relay_push *r, double when)
{
	r->state = TO_GREET;
	r->due = when;
}

void
relay_push_connected(struct relay_push *r)
{
	greet(r, 0);
}

void
relay_push_disconnected(struct relay_push *r)
{
	r->state = DOWN;
	r->due = INFINITY;
}

void
relay_push_finish(struct relay_push *r)
{
	r->finishing = true;
}

double
relay_push_due(const struct relay_push *r)
{
	return r->due;
}

/* Everything begins anew, from the first batch that is not settled on. */
static void
begin_greeting(struct relay_push *r)
{
	r->state = TO_GREET;
	r->greeting++;
	r->unsent = TAILQ_FIRST(&r->batches);
	r->credit = r->spent = r->heard = 0;
}

/* ---- messages out ------------------------------------------------------- */

/* A message without lines. Without memory it is none now, and comes later. */
static bool
say(struct relay_push *r, const struct relay_frame *f, struct str *message)
{
	r->word.len = 0;
	if (relay_write(&r->word, f) == -1)
		return false;
	*message = (struct str){ r->word.data, r->word.len };
	return true;
}

static bool
say_greeting(struct relay_push *r, struct str *message)
{
	struct relay_frame f = { .type = RELAY_GREETING };

	begin_greeting(r);
	f.greeting = r->greeting;
	f.number = r->unsent != NULL ? r->unsent->number : r->number;
	memcpy(f.run, r->run, RELAY_RUN_SIZE);
	return say(r, &f, message);
}

/* What somebody holds is not written to: in its place comes a copy. */
static int
let_alone(struct batch *b)
{
	struct text *copy;

	if (atomic_load(&b->text->holders) == 1)
		return 0;
	if ((copy = text_new(bytes_of(b))) == NULL)
		return -1;
	(void)buf_add(&copy->buf, b->text->buf.data + RELAY_LINES_HEAD, bytes_of(b));
	relay_push_let_go(NULL, b->text);
	b->text = copy;
	return 0;
}

static bool
say_lines(struct relay_push *r, struct str *message)
{
	struct batch *b = r->unsent;
	size_t had;

	if (b == NULL || r->spent >= r->credit)
		return false;
	had = size_of(b);
	if (let_alone(b) == -1)
		return false;   /* as above */
	r->held = r->held - had + size_of(b);
	b->sealed = true;
	relay_write_lines_head(b->text->buf.data, r->greeting, b->number);
	*message = (struct str){ b->text->buf.data, b->text->buf.len };
	return true;
}

void *
relay_push_hold(struct relay_push *r, struct str message)
{
	struct text *t = r->unsent != NULL ? r->unsent->text : NULL;

	if (t == NULL || t->buf.data != message.data)
		return NULL;
	atomic_fetch_add(&t->holders, 1);
	return t;
}

bool
relay_push_next(struct relay_push *r, double now, struct str *message)
{
	const struct relay_frame bye = { .type = RELAY_BYE, .greeting = r->greeting };

	if (r->state == DOWN || (r->state != OPEN && now < r->due))
		return false;
	if (r->state != OPEN || now >= r->due)   /* or it has been silent for too long */
		return say_greeting(r, message);
	if (r->finishing && relay_push_settled(r))
		return say(r, &bye, message);
	return say_lines(r, message);
}

void
relay_push_sent(struct relay_push *r, double now)
{
	struct batch *b = r->unsent;

	if (r->state == TO_GREET) {
		r->state = GREETED;
		r->due = now + r->patience;
		r->stats.greetings++;
	} else if (b == NULL) {
		relay_push_disconnected(r);   /* that was the end */
	} else {
		r->stats.resent += b->sent ? b->lines : 0;
		r->spent += bytes_of(b);
		r->unsent = TAILQ_NEXT(b, next);
		b->sent = true;
	}
}

/* ---- messages in -------------------------------------------------------- */

static void
welcome(struct relay_push *r, const struct relay_frame *f)
{
	if (r->welcomed && memcmp(r->puller, f->run, RELAY_RUN_SIZE) != 0)
		r->stats.restarts++;
	r->welcomed = true;
	memcpy(r->puller, f->run, RELAY_RUN_SIZE);
	r->state = OPEN;
	r->credit = f->credit;
	r->full = (size_t)fmin(fmax((double)f->credit / RELAY_CREDIT_BATCHES, RELAY_BATCH),
	    RELAY_BATCH_MOST);
}

static int
settle(struct relay_push *r, const struct relay_frame *f, struct error *e)
{
	struct batch *b;

	if (f->number > (r->unsent != NULL ? r->unsent->number : r->number))
		return error_set(e, ERROR_INVALID, "the puller has settled what was not sent");
	while ((b = TAILQ_FIRST(&r->batches)) != NULL && b->number < f->number) {
		r->stats.lines += b->lines;
		r->stats.bytes += bytes_of(b);
		drop_first(r);
	}
	if (f->credit > r->credit)
		r->credit = f->credit;
	return 0;
}

/* One that belongs to an earlier greeting says nothing any more. */
static bool
is_stale(const struct relay_push *r, const struct relay_frame *f)
{
	return f->greeting != r->greeting || r->state != (f->type == RELAY_WELCOME ? GREETED : OPEN);
}

/* `*answers` stays as it is unless all that came before them has come. */
static int
take(struct relay_push *r, const struct relay_frame *f, double now, struct str *answers,
    struct error *e)
{
	if (f->type < RELAY_WELCOME)
		return error_set(e, ERROR_INVALID, "a message that only pushers send");
	if (is_stale(r, f))
		return 0;
	if (f->type == RELAY_AGAIN || (f->type == RELAY_ANSWERS && f->nth != r->heard)) {
		greet(r, now + PACE);
		return 0;
	}
	if (f->type == RELAY_WELCOME) {
		welcome(r, f);
	} else {
		if (settle(r, f, e) == -1)
			return -1;
		r->heard++;
		*answers = f->text;
	}
	r->due = now + r->patience;
	return 0;
}

int
relay_push_take(struct relay_push *r, struct str message, double now, struct str *answers,
    struct error *e)
{
	struct relay_frame f;

	*answers = (struct str){ NULL, 0 };
	if (relay_read(message, &f, e) == 0 && take(r, &f, now, answers, e) == 0)
		return 0;
	r->stats.odd++;
	return -1;
}

void
relay_push_stats(const struct relay_push *r, struct relay_push_stats *out)
{
	*out = r->stats;
	out->open = r->state == OPEN;
}
