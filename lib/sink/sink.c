#include "sink.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "again.h"
#include "crypto.h"
#include "sink/answers.h"
#include "sink/link.h"
#include "sink/queue.h"
#include "sink/settings.h"
#include "when.h"

#define PIECES 4     /* reads in a row: answers must not hold up the event loop */
#define SILENCE 5.0  /* seconds without an answer until that is said */

struct sink {
	struct sink_settings settings;      /* its command and path are ours */
	struct sink_link *link;
	struct sink_answers *answers;
	struct sink_queue queue;
	struct sink_stats stats;            /* but for what is unsettled */
	enum { SINK_NEW, SINK_DOWN, SINK_UP, SINK_ENDING } state;
	bool over;                          /* UP, ENDING: it takes or says no more */
	int error;                          /* of the send that failed */
	bool missed;                        /* it was said to be gone, and not yet to be back */
	bool odd;                           /* it was said that its answers are */
	bool silent;                        /* it was said that it does not answer */
	double heard;                       /* when it was started, or last acknowledged */
	unsigned failures;                  /* in a row, */
	double pause;                       /* and the seconds before it is tried again */
	unsigned short random[3];
};

/* ---- life ---- */

/* Free what is not parcels. */
static void
take_down(struct sink *s)
{
	sink_link_free(&s->link);
	sink_answers_free(&s->answers);
	sink_queue_free(&s->queue);
	sink_settings_free(&s->settings);
	free(s);
}

struct sink *
sink_new(const struct sink_settings *settings, struct error *e)
{
	struct sink *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		error_memory(e);
		return NULL;
	}
	if (sink_settings_copy(&s->settings, settings, e) == -1 ||
	    (s->answers = sink_answers_new(e)) == NULL ||
	    (s->link = sink_link_new(&s->settings, e)) == NULL ||
	    crypto_random(&s->queue.sources.seed, sizeof(s->queue.sources.seed), e) == -1 ||
	    crypto_random(s->random, sizeof(s->random), e) == -1) {
		take_down(s);
		return NULL;
	}
	sink_link_alarm(s->link, 0);   /* for the first sink_work() */
	return s;
}

static bool
is_plain(const struct sink *s)
{
	return s->settings.command == NULL && s->settings.path == NULL;
}

__attribute__((format(printf, 3, 4)))
static void
say(struct sink *s, int priority, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->settings.say(s->settings.arg, priority, text);
}

/* ---- parcels ---- */

struct sink_parcel *
sink_parcel(struct sink *s, struct str source, struct error *e)
{
	return sink_queue_new_parcel(&s->queue, source, e);
}

void
sink_parcel_free(struct sink *s, struct sink_parcel **p)
{
	sink_queue_free_parcel(&s->queue, p);
}

const struct sink_parcel *
sink_last(const struct sink *s, struct str source)
{
	const struct sink_source *found = sink_source_find(&s->queue.sources, source);

	return found != NULL ? found->last : NULL;
}

void
sink_offer(struct sink *s, struct sink_parcel *p)
{
	p->offered = when_ticks();
	sink_queue_add(&s->queue, p);
}

static void
settle(struct sink *s, struct sink_parcel *p)
{
	sink_queue_take(&s->queue, p);
	s->stats.lines += p->count;
	s->stats.bytes += p->lines.len;
	s->settings.settled(s->settings.arg, p);
	sink_queue_free_parcel(&s->queue, &p);
}

/* ---- sending ---- */

static void
flush(struct sink *s)
{
	struct iovec iov[IOV_MAX];
	ssize_t n;

	while (sink_up(s) && s->queue.unsent != NULL && !sink_link_blocked(s->link)) {
		n = sink_link_send(s->link, iov, sink_queue_gather(&s->queue, iov, IOV_MAX));
		if (n == -1) {
			s->over = true;
			s->error = errno;
		} else {
			sink_queue_advance(&s->queue, (size_t)n);
		}
	}
}

/* Is there something that only sink_work() may do, and no event will tell? */
static bool
is_due(const struct sink *s)
{
	const struct sink_parcel *p = s->queue.first;

	return s->over || (is_plain(s) && p != NULL && p->sent);
}

/* A program that stores lines and says nothing would look like a sink for ever. */
static void
say_silence(struct sink *s)
{
	const struct sink_parcel *p = s->queue.first;

	if (s->silent || is_plain(s) || !sink_up(s) || p == NULL || !p->sent ||
	    when_ticks() - fmax(s->heard, p->offered) < SILENCE)
		return;
	s->silent = true;
	say(s, LOG_WARNING, "%s: takes lines and acknowledges none (monitor-ingest needs --ack)",
	    sink_link_name(s->link));
}

void
sink_flush(struct sink *s)
{
	bool due = is_due(s);

	flush(s);
	say_silence(s);
	if (!due && is_due(s))
		sink_link_alarm(s->link, 0);
}

/* ---- answers ---- */

static void
say_back(struct sink *s)
{
	if (s->missed)
		say(s, LOG_NOTICE, "%s: is back", sink_link_name(s->link));
	s->missed = false;
}

static int
refuse(struct sink *s, struct sink_parcel *p, int64_t seq, struct str reason, struct error *e)
{
	int r = sink_parcel_refuse(p, seq, reason);

	if (r == -1)
		return error_memory(e);
	s->stats.rejected += (uint64_t)r;
	if (r == 1 && s->settings.rejected != NULL)
		s->settings.rejected(s->settings.arg, p, seq, reason);
	return 0;
}

/* Tell the parcels behind it that hold the same lines what was refused of it. */
static int
pass_on(struct sink *s, const struct sink_parcel *from, struct error *e)
{
	struct sink_parcel *p = from->source->overlaps ? from->next_of_source : NULL;
	size_t n;
	const int64_t *seqs = sink_parcel_refused(from, &n);

	for (; p != NULL; p = p->next_of_source)
		for (size_t i = 0; i < n; i++)
			if (seqs[i] >= p->first && seqs[i] <= p->last &&
			    refuse(s, p, seqs[i], str_of(from->reject), e) == -1)
				return -1;
	return 0;
}

static int
acknowledge(struct sink *s, const struct ndjson_answer *a, struct error *e)
{
	struct sink_parcel *p;

	s->failures = 0;
	s->heard = when_ticks();
	say_back(s);
	if (s->silent)
		say(s, LOG_NOTICE, "%s: acknowledges again", sink_link_name(s->link));
	s->silent = false;
	while ((p = sink_queue_settled(&s->queue, a->source, a->seq)) != NULL) {
		if (pass_on(s, p, e) == -1)
			return -1;
		settle(s, p);
	}
	return 0;
}

static int
reject(struct sink *s, const struct ndjson_answer *a, struct error *e)
{
	struct sink_parcel *p = sink_queue_find(&s->queue, a->source, a->seq);

	return p != NULL ? refuse(s, p, a->seq, a->reason, e) : 0;
}

/* What was read whole. Memory that ran out here must not look like a line that was
 * never answered, or like one that was not refused. */
static int
take_whole(struct sink *s, struct error *e)
{
	struct ndjson_answer a;
	struct error why;
	int r;

	while ((r = sink_answers_next(s->answers, &a, &why)) != 0) {
		if (r == 1) {
			if ((a.type == NDJSON_ACK ? acknowledge : reject)(s, &a, e) == -1)
				return -1;
		} else if (why.kind == ERROR_MEMORY) {
			*e = why;
			return -1;
		} else if (!s->odd) {
			/* Not why: that might quote what a record says. */
			say(s, LOG_WARNING, "%s: says what is no answer; that is skipped",
			    sink_link_name(s->link));
			s->odd = true;
		}
	}
	return 0;
}

/* How much was read; less than there was room for: that was all, for now. */
static ssize_t
take_answers(struct sink *s, struct error *e)
{
	size_t room, all = 0;
	ssize_t n;
	char *data;

	for (int i = 0; i < PIECES; i++) {
		data = sink_answers_room(s->answers, &room);
		if ((n = sink_link_read(s->link, data, room)) == -1)
			s->over = true;
		if (n <= 0)
			break;
		all += (size_t)n;
		sink_answers_add(s->answers, (size_t)n);
		if (take_whole(s, e) == -1)
			return -1;
		if ((size_t)n < room)
			break;
	}
	return (ssize_t)all;
}

/* ---- start, end, and start again ---- */

/* It is gone, or did not come. Everything unsettled has to be sent again. */
static void
retry(struct sink *s, const char *why)
{
	if (!s->missed)
		say(s, LOG_WARNING, "%s; trying again", why);
	s->missed = true;
	s->state = SINK_DOWN;
	s->over = false;
	s->stats.resent += sink_queue_rewind(&s->queue);
	s->pause = again_delay(++s->failures, s->settings.retry_min, s->settings.retry_max,
	    erand48(s->random));
	sink_link_alarm(s->link, s->pause);
}

/* Start it. One that was missed is back when it has acknowledged something, or held
 * as long as the pause before it: it may be about to end at once, again and again. */
static int
start(struct sink *s, struct error *e)
{
	struct error why;

	if (sink_link_open(s->link, &why) == -1) {
		if (s->state == SINK_NEW && s->settings.path == NULL) {
			*e = why;
			return -1;
		}
		retry(s, why.text);
		return 0;
	}
	sink_answers_reset(s->answers);
	s->state = SINK_UP;
	s->odd = false;
	s->heard = when_ticks();
	s->stats.starts++;
	if (s->missed)
		sink_link_alarm(s->link, s->pause);
	return 0;
}

/* It takes or says no more. A child has yet to end, and is helped if it does not. */
static void
end(struct sink *s)
{
	char why[128];

	if (sink_link_runs(s->link)) {
		sink_link_shut(s->link);
		sink_link_alarm(s->link, s->settings.retry_max);
		s->state = SINK_ENDING;
		return;
	}
	sink_link_close(s->link);
	snprintf(why, sizeof(why), "%s: the connection has ended", sink_link_name(s->link));
	retry(s, why);
}

static void
bury(struct sink *s)
{
	char how[128];

	sink_link_reap(s->link, how, sizeof(how));
	sink_link_close(s->link);
	retry(s, how);
}

static int
act_on_alarm(struct sink *s, struct error *e)
{
	switch (s->state) {
	case SINK_NEW:
	case SINK_DOWN:
		return start(s, e);
	case SINK_UP:
		say_back(s);
		break;
	case SINK_ENDING:
		sink_link_kill(s->link);
		break;
	}
	return 0;
}

/* What was written is settled, even if nothing more can be. */
static int
work_plain(struct sink *s, unsigned events, struct error *e)
{
	struct sink_parcel *p;

	if (s->state == SINK_NEW && start(s, e) == -1)
		return -1;
	flush(s);
	while ((p = sink_queue_written(&s->queue)) != NULL)
		settle(s, p);
	if (events & LINK_SHUT || s->error == EPIPE)
		return error_set(e, ERROR_GONE, "%s: nobody reads it", sink_link_name(s->link));
	return s->error == 0 ? 0 : error_errno(e, s->error, "%s", sink_link_name(s->link));
}

/* Mostly there are answers, and nothing else: so these are read without asking first. What
 * else there is will be told again, but for their end. */
static int
work_answers(struct sink *s, struct error *e)
{
	ssize_t n = 0;

	if (!is_plain(s) && sink_up(s) && !sink_link_blocked(s->link) &&
	    (n = take_answers(s, e)) > 0)
		sink_flush(s);
	return n == -1 ? -1 : n > 0 && !s->over;
}

int
sink_work(struct sink *s, struct error *e)
{
	int answered = work_answers(s, e);
	unsigned events;

	if (answered != 0)
		return answered == -1 ? -1 : 0;
	events = sink_link_events(s->link);
	if (is_plain(s))
		return work_plain(s, events, e);
	/* Whatever else has happened: what it has said before that counts. */
	if ((events & ~(unsigned)LINK_ALARM || s->over) && take_answers(s, e) == -1)
		return -1;
	if (events & LINK_SHUT)
		s->over = true;
	if (events & LINK_EXIT)
		bury(s);
	else if (s->over && s->state == SINK_UP)
		end(s);
	else if ((events & LINK_ALARM || s->state == SINK_NEW) && act_on_alarm(s, e) == -1)
		return -1;
	sink_flush(s);
	return 0;
}

int
sink_fd(const struct sink *s)
{
	return sink_link_fd(s->link);
}

/* ---- the end ---- */

static void
settled_late(void *arg, struct sink_parcel *p)
{
	(void)arg;
	(void)p;
}

/* Have a child end; what it says on its way out still counts. */
static void
dismiss(struct sink *s, double patience)
{
	unsigned events = 0;
	char how[128];
	struct error e;

	s->settings.settled = settled_late;
	s->settings.rejected = NULL;
	s->missed = false;
	s->odd = true;   /* there is nothing more to say */
	sink_link_shut(s->link);
	sink_link_alarm(s->link, patience);
	while (!(events & (LINK_EXIT | LINK_ALARM))) {
		sink_link_wait(s->link);
		events = sink_link_events(s->link);
		if (take_answers(s, &e) == -1)
			break;
	}
	if (events & LINK_EXIT)
		sink_link_reap(s->link, how, sizeof(how));
}

uint64_t
sink_free(struct sink **sp, double patience)
{
	struct sink *s = *sp;
	struct sink_parcel *p;
	uint64_t lines = 0;

	if (s == NULL)
		return 0;
	if (sink_link_runs(s->link))
		dismiss(s, patience);
	while ((p = s->queue.first) != NULL) {
		s->queue.first = p->next;
		lines += p->count;
		sink_queue_free_parcel(&s->queue, &p);
	}
	take_down(s);
	*sp = NULL;
	return lines;
}

/* ---- figures ---- */

bool
sink_full(const struct sink *s)
{
	return s->queue.bytes + s->queue.beside >= s->settings.room;
}

bool
sink_up(const struct sink *s)
{
	return s->state == SINK_UP && !s->over;
}

void
sink_stats(const struct sink *s, struct sink_stats *out)
{
	const struct sink_parcel *oldest = s->queue.first;

	*out = s->stats;
	out->unsettled_bytes = s->queue.bytes;
	out->unsettled_parcels = s->queue.parcels;
	out->lag = oldest == NULL ? 0 : when_ticks() - oldest->offered;
}
