/*
 * asking.h - reads, asked slice by slice.
 */
#ifndef MONITOR_ASKING_H
#define MONITOR_ASKING_H

#include <math.h>
#include <poll.h>
#include <stdlib.h>

#include "fixture.h"
#include "reads.h"

enum { HEADROOM = 16 };

/* What a slice, or a whole answer, came to. */
struct came {
	bool done;
	enum read_state state;
	struct buf text;           /* without the headroom */
	size_t records, slices, firsts;
	struct error error;
};

__attribute__((unused)) static void
take(void *arg, struct read_result *result)
{
	struct came *c = arg;
	struct str piece = { result->text.data, result->text.len };

	c->done = true;
	c->state = result->state;
	c->error = result->error;
	c->records += result->records;
	c->slices++;
	c->firsts += result->first;
	if (piece.len > 0)
		buf_add(&c->text, piece.data + HEADROOM, piece.len - HEADROOM);
}

__attribute__((unused)) static void
await(struct reads *r, const bool *done)
{
	struct pollfd fd = { .fd = pool_fd(reads_pool(r)), .events = POLLIN };

	while (!*done) {
		poll(&fd, 1, -1);
		pool_reap(reads_pool(r));
	}
}

/* One slice, behind what `c` has already. */
__attribute__((unused)) static enum read_state
slice(struct reads *r, struct read *read, size_t bytes, struct came *c)
{
	c->done = false;
	read_slice(read, bytes, take, c);
	await(r, &c->done);
	return c->state;
}

__attribute__((unused)) static void
forget(struct came *c)
{
	buf_free(&c->text);
	*c = (struct came){ .done = false };
}

__attribute__((unused)) static bool
came_is(const struct came *c, const char *want, const char *name)
{
	char *got = strndup(c->text.len > 0 ? c->text.data : "", c->text.len);
	bool same = tap_is(got, want, name);

	free(got);
	return same;
}

__attribute__((unused)) static struct proto_request
request(enum proto_shape shape)
{
	return (struct proto_request){
		.action = shape == PROTO_LOG_ROWS ? PROTO_GET_LOGS :
		    shape == PROTO_NOTIFICATION_ROWS ? PROTO_GET_NOTIFICATIONS : PROTO_GET_RECORDS,
		.read = {
			.kinds = RECORD_ALL_KINDS,
			.level_min = INT64_MIN,
			.level_max = INT64_MAX,
			.since = -INFINITY,
			.until = INFINITY,
			.order = QUERY_BY_TIME,
			.limit = SIZE_MAX,
			.shape = shape,
		},
	};
}

__attribute__((unused)) static struct read *
make(struct reads *r, const struct proto_request *q, const char *watchdog, bool subscription,
    size_t limit)
{
	struct error e;
	struct read *read = read_new(r, q, str_of(watchdog), subscription, limit, HEADROOM, &e);

	if (read == NULL)
		fixture_fail("read_new", e.text);
	return read;
}

/* A whole answer, in slices of so many bytes. */
__attribute__((unused)) static enum read_state
answer(struct reads *r, const struct proto_request *q, const char *watchdog, size_t limit,
    size_t bytes, struct came *c)
{
	struct read *read = make(r, q, watchdog, false, limit);

	*c = (struct came){ .done = false };
	while (slice(r, read, bytes, c) == READ_MORE)
		;
	read_free(&read);
	return c->state;
}

__attribute__((unused)) static struct reads *
open_reads(const char *name, unsigned threads)
{
	struct error e;
	struct reads *r = reads_new(fixture_url(name), threads, &e);

	if (r == NULL)
		fixture_fail("reads_new", e.text);
	return r;
}

#endif
