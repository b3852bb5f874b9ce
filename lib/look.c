#include "look.h"

#include <math.h>
#include <stdlib.h>

enum {
	BACK = 4096,           /* records walked back over in a slice */
	BYTES_A_RECORD = 128,  /* before we know better */
};

static const struct cursor beginning = { 0, 0, 0 };   /* of any store */

/* ---- to begin and end ------------------------------------------------------ */

static struct str
copy(char **to, struct str from)
{
	struct str s = { from.data != NULL ? *to : NULL, from.len };

	if (s.len > 0)
		memcpy(*to, from.data, s.len);
	*to += s.len;
	return s;
}

static int
copy_strings(struct look *l, const struct proto_request *request, struct str watchdog)
{
	const struct proto_read *r = &request->read;
	size_t size = request->id.len + watchdog.len;
	char *p;

	for (size_t i = 0; i < r->sender_count; i++)
		size += r->senders[i].len;
	if ((l->texts = p = malloc(size + 1)) == NULL ||
	    (l->senders = calloc(r->sender_count + 1, sizeof(*l->senders))) == NULL)
		return -1;
	l->id = copy(&p, request->id);
	l->watchdog = copy(&p, watchdog);
	for (size_t i = 0; i < r->sender_count; i++)
		l->senders[i] = copy(&p, r->senders[i]);
	return 0;
}

static void
fill_query(struct look *l, const struct proto_read *r)
{
	l->query = query_all();
	l->query.kinds = r->kinds;
	l->query.watchdogs = &l->watchdog;
	l->query.watchdog_count = 1;
	l->query.senders = l->senders;
	l->query.sender_count = r->sender_count;
	l->query.level_min = r->level_min;
	l->query.level_max = r->level_max;
	l->query.since = r->since;
	l->query.until = r->until;
	l->query.match = l->match;
	l->query.order = l->subscription ? QUERY_BY_ARRIVAL : r->order;
	l->query.reverse = !l->subscription && r->reverse;
	l->query.work = LOOK_WORK;
}

int
look_init(struct look *l, const struct proto_request *request, struct str watchdog,
    bool subscription, size_t limit, size_t headroom, struct error *e)
{
	const struct proto_read *r = &request->read;

	*l = (struct look){
		.action = request->action,
		.shape = r->shape,
		.subscription = subscription,
		.has_cursor = r->has_cursor,
		.has_window = r->has_window,
		.headroom = headroom,
		.asked = r->limit,
		.limit = limit,
		.cursor = r->cursor.store != 0 ? r->cursor : beginning,
		.place = { .bytes = BYTES_A_RECORD },
	};
	if (copy_strings(l, request, watchdog) == -1) {
		error_memory(e);
		goto fail;
	}
	if (r->text.data != NULL && (l->match = match_new(r->text, 0, e)) == NULL)
		goto fail;
	fill_query(l, r);
	return 0;
fail:
	look_free(l);
	return -1;
}

void
look_free(struct look *l)
{
	match_free(&l->match);
	free(l->senders);
	free(l->texts);
	l->senders = NULL;
	l->texts = NULL;
}

/* ---- text ------------------------------------------------------------------ */

static int
open_text(const struct look *l, const struct place *p, struct buf *text)
{
	if (buf_reserve(text, l->headroom) == -1)
		return -1;
	if (l->headroom > 0)
		memset(text->data, 0, l->headroom);
	text->len = l->headroom;
	if (l->subscription)
		return proto_records_begin(text, l->shape);
	return p->begun ? 0 : proto_answer_begin(text, l->action, l->id);
}

/* Nothing came of it. */
static enum look_result
no_text(struct read_result *out, enum look_result result)
{
	out->text.len = 0;
	out->first = false;
	out->records = 0;
	return result;
}

/* ---- walking --------------------------------------------------------------- */

/* Is the end of it the end of all that has arrived? */
static bool
ends_at_end(const struct look *l)
{
	return l->query.order == QUERY_BY_ARRIVAL && !l->query.reverse;
}

/* Where the cursor that came with the request leads. */
static int
check_cursor(const struct look *l, const struct cursor *at, const struct cursor *end,
    struct error *e)
{
	if (at->store == 0)
		return 0;
	if (at->store != end->store)
		return error_set(e, ERROR_USAGE, "the cursor is of another store");
	if (ends_at_end(l) && at->arrival > end->arrival)
		return error_set(e, ERROR_USAGE, "the store has not come to this cursor yet; "
		    "was it restored from a backup?");
	return 0;
}

/* The records of a query, from a place on: to text, until that has grown by `bytes`, or only
 * counted (NULL). 1: so much was found, 2: so much was looked at, 0: there is no more. */
static int
walk(const struct look *l, struct store *s, const struct query *query, struct place *p,
    size_t bytes, struct read_result *out, size_t *count, struct error *e)
{
	struct cursor from = p->at;
	struct query q = *query;
	size_t start = out != NULL ? out->text.len : 0;
	struct answer *a;
	struct record r;
	int rc;

	*count = 0;
	q.after = &from;
	if ((a = store_ask(s, &q, e)) == NULL)
		return e->kind != ERROR_INVALID ? -1 :
		    error_set(e, ERROR_GONE, "the store was replaced in the middle of an answer");
	while ((rc = answer_next(a, &r, e)) == 1) {
		answer_cursor(a, &p->at);
		if (out != NULL && l->shape != PROTO_NEWS &&
		    proto_answer_record(&out->text, l->shape, &r, &p->at, p->shown++) == -1)
			rc = error_memory(e);
		if (rc == -1 || ++*count == q.limit || (out != NULL && out->text.len - start >= bytes))
			break;
	}
	if (rc == 2)
		answer_cursor(a, &p->at);
	answer_close(&a);
	if (rc != -1 && out != NULL && *count > 0)
		p->bytes = (out->text.len - start) / *count + 1;
	return rc;
}

/* How many records it takes to fill so many bytes. */
static size_t
guess(const struct place *p, size_t bytes)
{
	return bytes / p->bytes + 1;
}

/* ---- an answer ------------------------------------------------------------- */

/* Where the request's cursor is, in the order of the query. */
static int
place_cursor(const struct look *l, struct store *s, const struct cursor *end, struct cursor *at,
    struct error *e)
{
	*at = l->cursor;
	if (l->query.order == QUERY_BY_ARRIVAL && store_by_arrival(s, at, e) == -1)
		return -1;
	return check_cursor(l, at, end, e);
}

static int
plan_answer(const struct look *l, struct store *s, struct place *p, struct error *e)
{
	struct cursor end;

	p->at = beginning;
	if (store_end(s, &end, e) == -1 || (l->has_cursor && place_cursor(l, s, &end, &p->at, e) == -1))
		return -1;
	p->planned = true;
	p->store = end.store;
	p->upto = end.arrival;
	p->left = l->limit;
	/* The newest so many, oldest first: where they begin is to be found first. */
	if (!l->has_cursor && !l->query.reverse && l->asked != SIZE_MAX && l->asked > 0)
		p->back = l->asked;
	else if (l->asked < l->limit)
		p->left = l->asked;
	return 0;
}

static int
walk_back(const struct look *l, struct store *s, struct place *p, struct error *e)
{
	struct query q = l->query;
	size_t count;
	int rc;

	q.reverse = true;
	q.upto = p->upto;
	q.limit = p->back < BACK ? p->back : BACK;
	if ((rc = walk(l, s, &q, p, 0, NULL, &count, e)) == -1)
		return -1;
	p->back = rc == 0 ? 0 : p->back - count;
	if (p->back == 0)
		p->at.arrival--;   /* just before the first of them */
	return 0;
}

static int
end_answer(const struct look *l, const struct place *p, struct read_result *out)
{
	bool known = p->at.store != 0 || ends_at_end(l);

	return proto_answer_end(&out->text, l->shape, known ? &p->at : NULL);
}

static enum look_result
next_of_answer(struct look *l, struct store *s, size_t bytes, struct read_result *out,
    struct error *e)
{
	struct place p = l->place;
	struct query q = l->query;
	size_t count;
	bool ended;
	int rc;

	if ((!p.planned && plan_answer(l, s, &p, e) == -1) ||
	    (p.back > 0 && walk_back(l, s, &p, e) == -1))
		return LOOK_FAILED;
	if (p.back > 0) {
		l->place = p;
		return LOOK_AGAIN;
	}
	if (open_text(l, &p, &out->text) == -1)
		goto memory;
	q.upto = p.upto;
	q.limit = guess(&p, bytes);
	q.limit = q.limit < p.left ? q.limit : p.left;
	if ((rc = walk(l, s, &q, &p, bytes, out, &count, e)) == -1)
		return LOOK_FAILED;
	p.left -= count;
	if (rc == 0 && ends_at_end(l) && (q.limit > 0 || !l->has_cursor))
		p.at = (struct cursor){ p.at.time, p.upto, p.store };
	ended = rc == 0 || p.left == 0;
	if (ended && end_answer(l, &p, out) == -1)
		goto memory;
	out->first = !p.begun;
	out->records = count;
	p.begun = p.begun || count > 0;
	l->place = p;
	if (ended)
		return LOOK_END;
	return count > 0 ? LOOK_MORE : no_text(out, LOOK_AGAIN);
memory:
	error_memory(e);
	return LOOK_FAILED;
}

static enum look_result
answer_of_nothing(const struct look *l, struct read_result *out, struct error *e)
{
	struct place p = { .at = l->has_cursor ? l->cursor : beginning };

	if (l->place.planned) {
		error_set(e, ERROR_GONE, "the store was removed in the middle of an answer");
		return LOOK_FAILED;
	}
	if (open_text(l, &p, &out->text) == -1 || end_answer(l, &p, out) == -1) {
		error_memory(e);
		return LOOK_FAILED;
	}
	out->first = true;
	return LOOK_END;
}

/* ---- a subscription -------------------------------------------------------- */

static int
plan_news(const struct look *l, struct store *s, const struct cursor *end, struct place *p,
    struct error *e)
{
	p->at = l->has_window ? beginning : *end;
	if (l->has_cursor && place_cursor(l, s, end, &p->at, e) == -1)
		return -1;
	p->planned = true;
	p->upto = !l->has_cursor && l->has_window ? end->arrival : 0;
	return 0;
}

/* All of another store is new. One that was restored from a backup goes on from its end. */
static void
check_place(struct place *p, const struct cursor *end)
{
	if (p->at.store != 0 && p->at.store != end->store) {
		p->at = beginning;
		p->upto = 0;
	} else if (p->at.arrival > end->arrival) {
		p->at = *end;
	}
}

static enum look_result
next_of_news(struct look *l, struct store *s, size_t bytes, struct read_result *out,
    struct error *e)
{
	struct place p = l->place;
	struct query q = l->query;
	struct cursor end;
	size_t count;
	int rc;

	if (store_end(s, &end, e) == -1 || (!p.planned && plan_news(l, s, &end, &p, e) == -1))
		return LOOK_FAILED;
	check_place(&p, &end);
	q.upto = p.upto;
	if (p.at.arrival >= p.upto) {   /* behind the window */
		q.since = -INFINITY;
		q.until = INFINITY;
		q.upto = end.arrival;
	}
	q.limit = l->shape == PROTO_NEWS ? 1 : guess(&p, bytes);
	p.shown = 0;
	if (p.at.arrival == end.arrival && p.at.store != 0) {
		l->place = p;
		return LOOK_IDLE;
	}
	if (open_text(l, &p, &out->text) == -1)
		goto memory;
	if ((rc = walk(l, s, &q, &p, bytes, out, &count, e)) == -1)
		return LOOK_FAILED;
	if (rc == 0)
		p.at = (struct cursor){ p.at.time, q.upto, end.store };
	else if (count > 0 && l->shape == PROTO_NEWS)
		p.at = end;
	out->records = p.shown;
	out->first = true;
	if (count > 0 && proto_records_end(&out->text, l->shape, &p.at) == -1)
		goto memory;
	l->place = p;
	return count > 0 ? LOOK_MORE :
	    no_text(out, rc == 0 && q.upto == end.arrival ? LOOK_IDLE : LOOK_AGAIN);
memory:
	error_memory(e);
	return LOOK_FAILED;
}

/* Whatever comes once there is a store is new. A cursor waits for it. */
static enum look_result
news_of_nothing(struct look *l)
{
	if (l->place.planned || !l->has_cursor) {
		l->place.planned = true;
		l->place.at = beginning;
		l->place.upto = 0;
	}
	return LOOK_IDLE;
}

enum look_result
look_slice(struct look *l, struct store *s, size_t bytes, struct read_result *out,
    struct error *e)
{
	enum look_result result;

	out->text.len = 0;
	out->first = false;
	out->records = 0;
	if (l->subscription)
		result = s != NULL ? next_of_news(l, s, bytes, out, e) : news_of_nothing(l);
	else
		result = s != NULL ? next_of_answer(l, s, bytes, out, e) :
		    answer_of_nothing(l, out, e);
	return result == LOOK_FAILED ? no_text(out, result) : result;
}
