#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "serve/internal.h"
#include "source.h"

#define COST 512   /* bytes of an upload and its parcel, with what the allocator adds */

/* ---- what waits for its answer ------------------------------------------ */

static struct upload *
upload_new(struct session *s, const struct proto_request *r)
{
	struct upload *u = calloc(1, sizeof(*u) + r->id.len);

	if (u == NULL)
		return NULL;
	u->action = r->action;
	u->bytes = r->message.len;
	u->at = s->alive_at;
	u->id_len = r->id.len;
	if (r->id.len > 0)
		memcpy(u->id, r->id.data, r->id.len);
	u->tenant = s->tenant;
	u->tenant->refs++;
	return u;
}

void
upload_free(struct serve *serve, struct upload *u)
{
	tenant_unref(serve, u->tenant);
	message_unref(u->forward);
	buf_free(&u->publish);
	free(u->failure);
	free(u);
}

static void
append(struct session *s, struct upload *u)
{
	u->session = s;
	STAILQ_INSERT_TAIL(&s->uploads, u, next);
	s->upload_count++;
	s->owed += u->bytes;
}

/* ---- answers ------------------------------------------------------------ */

static void
count_latency(struct serve_stats *stats, double seconds)
{
	unsigned i = 0;

	while (seconds > serve_latency_bounds[i])
		i++;
	stats->latency[i]++;
	stats->latency_sum += seconds;
}

static void
answer(struct session *s, const struct upload *u)
{
	struct proto_request r = { .action = u->action,
	    .name = str_of(proto_action_name(u->action)) };
	struct message *m = message_new();
	char comment[PROTO_COMMENT_SIZE];

	if (u->id_len > 0)
		r.id = (struct str){ u->id, u->id_len };
	proto_inserted(u->action, u->count, comment);
	if (m != NULL && proto_reply(&m->text, &r, !u->failed,
	    u->failed ? u->failure : comment) == -1) {
		message_unref(m);
		m = NULL;
	}
	if (!u->failed)
		count_latency(&s->serve->stats, when_ticks() - u->at);
	session_send(s, m);
}

/* Answer whatever can be answered, in the order of the requests. */
static void
answer_done(struct session *s)
{
	struct upload *u;

	while ((u = STAILQ_FIRST(&s->uploads)) != NULL && u->done) {
		STAILQ_REMOVE_HEAD(&s->uploads, next);
		s->upload_count--;
		s->owed -= u->bytes;
		answer(s, u);
		upload_free(s->serve, u);
	}
	session_settle(s);
}

/* No memory: better no answer at all than a wrong one. */
static void
give_up(struct session *s)
{
	session_close(s, SERVE_CLOSE_ERROR, "out of memory", ENDS);
}

static void
fail(struct upload *u, const char *why)
{
	u->failed = true;
	u->failure = strdup(why);   /* or without a comment */
}

/* It is answered, as soon as those before it are. */
static void
finish(struct session *s, struct upload *u)
{
	u->done = true;
	append(s, u);
	answer_done(s);
}

void
upload_fail(struct session *s, const struct proto_request *r, const char *comment)
{
	struct upload *u = upload_new(s, r);

	if (u == NULL) {
		give_up(s);
		return;
	}
	fail(u, comment);
	finish(s, u);
}

/* ---- to the sink -------------------------------------------------------- */

/* The name under which the sink counts: this run's, or the client's own, behind its
 * watchdog's code, so that nobody spends another's numbers. */
static int
name_source(struct session *s, const struct proto_request *r, struct buf *name, struct error *e)
{
	if (r->source.data != NULL)
		return source_under(name, str_of(s->tenant->code), r->source, e);
	return buf_add_str(name, str_of(s->serve->settings.run)) == 0 ? 0 : error_memory(e);
}

/* What the others are to be told of notifications, once they are stored. */
static int
prepare_forward(struct session *s, const struct proto_request *r, struct upload *u, struct error *e)
{
	struct serve *serve = s->serve;
	struct proto_labels labels = { .kind = RECORD_NOTIFICATION,
	    .watchdog = str_of(s->tenant->code), .origin = str_of(serve->settings.run) };
	size_t n;

	if (r->action != PROTO_UPLOAD_NOTIFICATIONS || u->count == 0)
		return 0;
	if (!serve->settings.quiet) {
		if ((u->forward = message_new()) == NULL)
			return error_memory(e);
		if (proto_forward(serve->proto, r, &u->forward->text, e) == -1)
			return -1;
	}
	if (serve->settings.publish == NULL)
		return 0;
	return proto_lines(serve->proto, r, &labels, serve->settings.max_records, &u->publish, &n, e);
}

/* The records as lines; -1, and none of them goes out. */
static int
prepare_lines(struct session *s, const struct proto_request *r, struct sink_parcel *p,
    struct str source, struct upload *u, struct error *e)
{
	struct serve *serve = s->serve;
	bool own = r->source.data == NULL;
	struct proto_labels labels = {
		.kind = r->action == PROTO_UPLOAD_LOGS ? RECORD_LOG : RECORD_NOTIFICATION,
		.watchdog = str_of(s->tenant->code),
		.seq = own ? serve->seq + 1 : r->seq,
	};

	if (serve->settings.numbered)
		labels.source = source;
	if (proto_lines(serve->proto, r, &labels, serve->settings.max_records, &p->lines,
	    &u->count, e) == -1 || prepare_forward(s, r, u, e) == -1)
		return -1;
	p->first = labels.seq;
	p->last = labels.seq + (int64_t)u->count - 1;
	p->count = u->count;
	if (own)
		serve->seq += (int64_t)u->count;
	return 0;
}

/* What it takes beside its lines. Of a short upload that is most of it. */
static size_t
memory_of(const struct upload *u)
{
	return COST + u->id_len + u->publish.cap + (u->forward != NULL ? u->forward->text.cap : 0);
}

static void
upload(struct session *s, const struct proto_request *r)
{
	struct serve *serve = s->serve;
	struct sink_parcel *p = NULL;
	struct upload *u = upload_new(s, r);
	struct buf *name = &serve->source;
	struct str source;
	struct error e;

	name->len = 0;
	if (u == NULL || name_source(s, r, name, &e) == -1)
		goto fail;
	source = (struct str){ name->data, name->len };
	if ((p = sink_parcel(serve->settings.sink, source, &e)) == NULL)
		goto fail;
	if (prepare_lines(s, r, p, source, u, &e) == -1) {
		if (e.kind != ERROR_INVALID)
			goto fail;
		serve->stats.rejects[REJECT_RECORD]++;
		fail(u, e.text);
	}
	if (u->failed || u->count == 0) {
		sink_parcel_free(serve->settings.sink, &p);
		finish(s, u);
		return;
	}
	tenant_charge(serve, s->tenant, u->count);
	append(s, u);
	TAILQ_INSERT_TAIL(&serve->in_flight, u, of_serve);
	p->owner = u;
	p->beside = memory_of(u);
	sink_offer(serve->settings.sink, p);
	return;
fail:
	if (p != NULL)
		sink_parcel_free(serve->settings.sink, &p);
	if (u != NULL)
		upload_free(serve, u);
	give_up(s);
}

enum wait
upload_handle(struct session *s, const struct proto_request *r)
{
	struct serve *serve = s->serve;

	if (!tenant_may_upload(serve, s->tenant))
		return WAIT_RATE;
	/* Nobody overtakes who already waits. */
	if (sink_full(serve->settings.sink) ||
	    (!serve->resuming && !TAILQ_EMPTY(&serve->waiters[WAIT_SINK])))
		return WAIT_SINK;
	upload(s, r);
	return WAIT_NOTHING;
}

/* ---- settled ------------------------------------------------------------ */

/* It is stored: so say all who are to know. */
static void
tell(struct serve *serve, struct upload *u)
{
	serve->stats.records[u->action == PROTO_UPLOAD_LOGS ? RECORD_LOG : RECORD_NOTIFICATION] +=
	    u->count;
	if (u->forward != NULL)
		forward_to(serve, u->tenant, u->forward, u->session);
	if (u->publish.len > 0)
		serve->settings.publish(serve->settings.arg,
		    (struct str){ u->publish.data, u->publish.len });
	message_unref(u->forward);
	u->forward = NULL;
	buf_free(&u->publish);
}

void
serve_settled(struct serve *serve, struct sink_parcel *p)
{
	struct upload *u = p->owner;
	struct session *s = u->session;

	TAILQ_REMOVE(&serve->in_flight, u, of_serve);
	u->done = true;
	if (p->reject == NULL) {
		tell(serve, u);
	} else {
		serve->stats.rejects[REJECT_SINK]++;
		serve_say(serve, LOG_WARNING, "the sink refuses a record of %s: %s",
		    u->tenant->code, p->reject);
		fail(u, p->reject);
	}
	if (s == NULL) {
		upload_free(serve, u);
		return;
	}
	answer_done(s);
	session_wake(s);
}
