/*
 * Walking through the records that the daemon has: page by page, each asked for while the
 * one before is handed out.
 */
#include <math.h>
#include <stdlib.h>

#include "match.h"
#include "proto.h"
#include "remote/remote.h"
#include "utf8.h"

enum {
	PAGE_FIRST = 100,          /* records in the first page: the first row at once; any
	                            * daemon answers so many, if it has them */
	PAGE_MOST = 2000,
	PAGE_BYTES = 1 << 20,      /* about */
};

struct walk {
	struct remote *r;
	struct query q;
	struct buf filter;         /* the members that all requests have */
	bool senders_here;         /* senders are picked out here: there are too many */

	/* Pages. */
	struct cursor from;        /* the next one begins behind this (store 0: at the beginning) */
	size_t size;               /* how many were asked for, */
	int64_t id;                /* by this request; 0: none is open */
	bool ended;                /* there are no more */
	struct str *rows;          /* of the page in hand */
	size_t count, cap, next;

	struct buf line;
	uint64_t taken;
	struct cursor at;          /* of the record that was handed out last */
};

/* ---- requests ----------------------------------------------------------------- */

static int
add_senders(struct walk *w, struct buf *b)
{
	size_t n = 0;

	if (w->q.sender_count == 0 || w->senders_here)
		return 0;
	for (size_t i = 0; i < w->q.sender_count; i++) {
		struct str s = w->q.senders[i];

		if (utf8_check(s) != s.len)
			continue;   /* nobody has such a name */
		if (buf_add_str(b, str_of(n++ == 0 ? ",\"sender\":[" : ",")) == -1 ||
		    ndjson_write_string(b, s) == -1)
			return -1;
	}
	w->ended = n == 0;
	return n == 0 ? 0 : buf_add(b, "]", 1);
}

static int
add_number(struct buf *b, const char *name, double d)
{
	if (!isfinite(d))
		return 0;
	return buf_printf(b, ",\"%s\":", name) == -1 ? -1 : ndjson_write_double(b, d);
}

static int
add_level(struct buf *b, const char *name, int64_t level)
{
	return buf_printf(b, ",\"%s\":%lld", name, (long long)level);
}

static int
add_filter(struct walk *w, struct buf *b)
{
	const struct query *q = &w->q;
	const char *kind = q->kinds == RECORD_ALL_KINDS ? "all" :
	    q->kinds == RECORD_KIND_BIT(RECORD_LOG) ? "log" : "notification";

	if (buf_printf(b, ",\"kind\":\"%s\",\"order\":\"%s\",\"cursors\":true%s", kind,
	    q->order == QUERY_BY_TIME ? "time" : "arrival", q->reverse ? ",\"reverse\":true" : "") == -1)
		return -1;
	if ((q->level_max != INT64_MAX && add_level(b, "level", q->level_max) == -1) ||
	    (q->level_min != INT64_MIN && add_level(b, "level_min", q->level_min) == -1))
		return -1;
	return add_number(b, "since", q->since) == -1 || add_number(b, "until", q->until) == -1 ||
	    add_senders(w, b) == -1 ? -1 : 0;
}

/* In the order of time a daemon's cursor may not tell when its record arrived (store_by_arrival()). */
static bool
came_later(const struct walk *w, const struct cursor *at)
{
	return w->q.order == QUERY_BY_ARRIVAL && at->arrival > w->q.upto;
}

/* Is it known only here what matches? Then nobody else can count it. */
static bool
picks(const struct walk *w)
{
	return w->q.match != NULL || w->senders_here || w->q.upto != INT64_MAX;
}

/* How many to ask for, of records that take so many bytes each, when `left` are wanted. */
static size_t
page_size(const struct walk *w, size_t bytes, size_t left)
{
	size_t n = bytes == 0 ? PAGE_FIRST : PAGE_BYTES / bytes;

	n = n < PAGE_FIRST ? PAGE_FIRST : n > PAGE_MOST ? PAGE_MOST : n;
	return !picks(w) && left < n ? left : n;
}

static int
ask_page(struct walk *w, size_t size, struct error *e)
{
	char cursor[CURSOR_TEXT_SIZE];
	struct buf b = { 0 };
	int rc = -1;

	if ((w->id = talk_begin(w->r->talk, &b, "getRecords", e)) == -1)
		goto out;
	/* Forward there is always a cursor: without one these would be the newest. */
	cursor_format(&w->from, cursor);
	if (buf_add(&b, w->filter.data, w->filter.len) == -1 ||
	    ((!w->q.reverse || w->from.store != 0) &&
	    buf_printf(&b, ",\"cursor\":\"%s\"", cursor) == -1) ||
	    buf_printf(&b, ",\"limit\":%zu}", size) == -1)
		error_memory(e);
	else
		rc = talk_send(w->r->talk, w->id, &b, e);
	w->size = size;
out:
	buf_free(&b);
	return rc;
}

/* ---- answers ------------------------------------------------------------------ */

static int
no_answer(const struct walk *w, struct error *e)
{
	return error_set(e, ERROR_INVALID, "%s: an answer that is none to getRecords",
	    talk_url(w->r->talk));
}

/* The cursor that stands at the end of an object: `before` is how much stands in front. */
static bool
find_cursor(struct str object, struct cursor *c, size_t *before)
{
	static const char name[] = ",\"cursor\":\"";
	char text[CURSOR_TEXT_SIZE];
	const char *end = object.data + object.len, *from;
	size_t n;

	if (object.len < sizeof(name) + 2 || end[-1] != '}' || end[-2] != '"' ||
	    (from = memrchr(object.data, '"', object.len - 2)) == NULL)
		return false;
	n = (size_t)(end - 2 - ++from);
	if (n >= sizeof(text) || (size_t)(from - object.data) < sizeof(name) - 1 ||
	    memcmp(from - (sizeof(name) - 1), name, sizeof(name) - 1) != 0)
		return false;
	memcpy(text, from, n);
	text[n] = '\0';
	*before = (size_t)(from - object.data) - (sizeof(name) - 1);
	return cursor_parse(text, c, NULL) == 0;
}

static int
keep_row(struct walk *w, struct str row, struct error *e)
{
	size_t cap = w->cap > 0 ? w->cap * 2 : PAGE_FIRST;
	struct str *rows;

	if (w->count == w->cap) {
		if ((rows = realloc(w->rows, cap * sizeof(*rows))) == NULL)
			return error_memory(e);
		w->rows = rows;
		w->cap = cap;
	}
	w->rows[w->count++] = row;
	return 0;
}

/* What comes behind the page in hand, which came in so many bytes. */
static int
ask_ahead(struct walk *w, size_t bytes, struct error *e)
{
	size_t left = w->q.limit - w->taken, before;

	/* The daemon may have a bound of its own, lower than what was asked for. */
	w->ended = w->count == 0 || (w->count < w->size && w->size <= PAGE_FIRST) ||
	    (!picks(w) && w->count >= left);
	if (w->ended)
		return 0;
	if (!find_cursor(w->rows[w->count - 1], &w->from, &before))
		return no_answer(w, e);
	bytes = w->count < w->size ? 0 : bytes / w->count;
	return ask_page(w, page_size(w, bytes, left - w->count), e);
}

/* The page that was asked for, and ask for the next one. */
static int
take_page(struct walk *w, struct error *e)
{
	struct talk_answer a;
	struct str rest, row;

	if (w->id == 0 && ask_page(w, page_size(w, 0, w->q.limit), e) == -1)
		return -1;
	if (talk_answer(w->r->talk, &a, e) == -1)
		return -1;
	if (a.id != w->id || a.records.data == NULL)
		return no_answer(w, e);
	w->id = 0;
	w->next = w->count = 0;
	for (rest = a.records; json_next(a.json, &rest, &row);)
		if (keep_row(w, row, e) == -1)
			return -1;
	return ask_ahead(w, a.records.len, e);
}

/* A row becomes a record. Its cursor is ours, not one of its members. */
static int
read_row(struct walk *w, struct str row, struct record *r, struct cursor *at, struct error *e)
{
	struct ndjson_line line;
	size_t before;

	if (!find_cursor(row, at, &before))
		return no_answer(w, e);
	w->line.len = 0;
	if (buf_add(&w->line, row.data, before) == -1 || buf_add(&w->line, "}", 1) == -1)
		return error_memory(e);
	if (ndjson_read(w->r->reader, (struct str){ w->line.data, w->line.len }, &line, e) == -1)
		return error_prefix(e, "%s: a record", talk_url(w->r->talk));
	*r = line.record;
	return 0;
}

static bool
is_one_of(struct str name, const struct str *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (str_equal(name, names[i]))
			return true;
	return false;
}

/* ---- walking ------------------------------------------------------------------- */

void *
remote_ask(void *impl, const struct query *q, struct error *e)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		error_memory(e);
		return NULL;
	}
	w->r = impl;
	w->q = *q;
	if (q->after != NULL)
		w->from = w->at = *q->after;
	w->senders_here = q->sender_count > PROTO_SENDERS_MAX;
	if (add_filter(w, &w->filter) == -1) {
		error_memory(e);
		remote_end_ask(w);
		return NULL;
	}
	return w;
}

int
remote_next(void *answer, struct record *r, struct error *e)
{
	struct walk *w = answer;
	const struct query *q = &w->q;
	struct cursor at;

	while (w->taken < q->limit) {
		if (w->next == w->count) {
			if (w->ended)
				return 0;
			if (take_page(w, e) == -1)
				return -1;
			continue;
		}
		if (read_row(w, w->rows[w->next++], r, &at, e) == -1)
			return -1;
		/* All that the daemon shows us is one watchdog's. */
		if (q->watchdog_count > 0 && !is_one_of(r->watchdog, q->watchdogs, q->watchdog_count))
			return 0;
		if (came_later(w, &at) ||
		    (w->senders_here && !is_one_of(r->sender, q->senders, q->sender_count)) ||
		    (q->match != NULL && !match_test(q->match, r->message)))
			continue;
		w->taken++;
		w->at = at;
		return 1;
	}
	return 0;
}

void
remote_position(const void *answer, struct cursor *c)
{
	*c = ((const struct walk *)answer)->at;
}

void
remote_end_ask(void *answer)
{
	struct walk *w = answer;

	/* A page that was asked for ahead. */
	talk_forget(w->r->talk);
	buf_free(&w->filter);
	buf_free(&w->line);
	free(w->rows);
	free(w);
}

int
remote_end(void *impl, struct cursor *c, struct error *e)
{
	struct remote *r = impl;
	struct query q = query_all();
	struct record record;
	struct walk *w;
	int rc;

	/* What is news tells how far it goes. */
	if (talk_news(r->talk, c))
		return 0;
	q.order = QUERY_BY_ARRIVAL;
	q.reverse = true;
	q.limit = 1;
	if ((w = remote_ask(r, &q, e)) == NULL)
		return -1;
	rc = remote_next(w, &record, e);
	*c = w->at;   /* store 0: there is nothing */
	remote_end_ask(w);
	return rc == -1 ? -1 : 0;
}
