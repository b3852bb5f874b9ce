/*
 * sink_rig.h - a sink with somebody who offers to it, and keeps what it says.
 */
#ifndef MONITOR_SINK_RIG_H
#define MONITOR_SINK_RIG_H

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>

#include "fixture.h"
#include "sink.h"

#define PATIENCE 20000   /* ms until a test has failed */

struct rig {
	struct sink *sink;
	struct buf settled;      /* "a:1-3 b:7-7!reason ", in order; a string */
	struct buf rejected;     /* "a:2!reason ", likewise */
	struct buf said;         /* its messages, a line each; a string */
	size_t count;            /* of parcels settled */
	bool working;            /* within sink_work() */
	bool early;              /* something was called outside of it */
	size_t more;             /* parcels to offer from within `settled` */
	struct error error;      /* why sink_work() failed */
};

__attribute__((format(printf, 2, 3))) static void
rig_note(struct buf *b, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (buf_add(b, text, strlen(text) + 1) == -1)
		fixture_fail("rig_note", "out of memory");
	b->len--;
}

static void
rig_lines(struct buf *b, const char *source, int64_t first, int64_t last)
{
	for (; first <= last; first++)
		rig_note(b, "{\"source\":\"%s\",\"seq\":%" PRId64 "}\n", source, first);
}

/* Offer lines first..last of a source as one parcel. `source` must last. */
static void
rig_offer(struct rig *r, const char *source, int64_t first, int64_t last)
{
	struct error e;
	struct sink_parcel *p = sink_parcel(r->sink, str_of(source), &e);

	if (p == NULL)
		fixture_fail("sink_parcel", e.text);
	p->first = first;
	p->last = last;
	p->count = (size_t)(last - first) + 1;
	p->owner = (void *)source;
	rig_lines(&p->lines, source, first, last);
	sink_offer(r->sink, p);
}

static void
rig_on_settled(void *arg, struct sink_parcel *p)
{
	struct rig *r = arg;
	bool reject = p->reject != NULL;

	r->early |= !r->working;
	r->count++;
	rig_note(&r->settled, "%s:%" PRId64 "-%" PRId64 "%s%s ", (char *)p->owner, p->first, p->last,
	    reject ? "!" : "", reject ? p->reject : "");
	if (r->more > 0) {
		r->more--;
		rig_offer(r, p->owner, p->last + 1, p->last + 1);
		sink_flush(r->sink);
	}
}

static void
rig_on_rejected(void *arg, struct sink_parcel *p, int64_t seq, struct str reason)
{
	struct rig *r = arg;

	r->early |= !r->working;
	rig_note(&r->rejected, "%s:%" PRId64 "!%.*s ", (char *)p->owner, seq, STR_ARGS(reason));
}

static void
rig_on_say(void *arg, int priority, const char *text)
{
	struct rig *r = arg;

	r->early |= !r->working;
	rig_note(&r->said, "<%d>%s\n", priority, text);
}

/* `settings`: what differs from the usual. */
static void
rig_begin(struct rig *r, struct sink_settings settings)
{
	struct error e;

	*r = (struct rig){ .count = 0 };
	rig_note(&r->settled, "%s", "");
	rig_note(&r->rejected, "%s", "");
	rig_note(&r->said, "%s", "");
	if (settings.room == 0)
		settings.room = 1 << 20;
	if (settings.retry_min == 0)
		settings.retry_min = settings.retry_max = 0.002;
	settings.settled = rig_on_settled;
	settings.rejected = rig_on_rejected;
	settings.say = rig_on_say;
	settings.arg = r;
	if ((r->sink = sink_new(&settings, &e)) == NULL)
		fixture_fail("sink_new", e.text);
}

__attribute__((unused)) static void
rig_begin_command(struct rig *r, const char *script)
{
	char *command[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };

	rig_begin(r, (struct sink_settings){ .command = command });
}

/* What was not settled, in lines. */
static uint64_t
rig_end(struct rig *r, double patience)
{
	uint64_t lines = sink_free(&r->sink, patience);

	tap_ok(!r->early, "nothing is called but from sink_work()");
	buf_free(&r->settled);
	buf_free(&r->rejected);
	buf_free(&r->said);
	return lines;
}

/* Has the sink something to do? */
__attribute__((unused)) static bool
rig_ready(const struct rig *r)
{
	struct pollfd fd = { .fd = sink_fd(r->sink), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static bool
rig_work(struct rig *r)
{
	int rc;

	r->working = true;
	rc = sink_work(r->sink, &r->error);
	r->working = false;
	return rc == 0;
}

/* Wait until it has something to do, and let it. False: it has not, or failed. */
static bool
rig_turn(struct rig *r)
{
	struct pollfd fd = { .fd = sink_fd(r->sink), .events = POLLIN };
	int n;

	sink_flush(r->sink);
	while ((n = poll(&fd, 1, PATIENCE)) == -1 && errno == EINTR)
		;
	if (n == 0)
		tap_ok(false, "the sink finds something to do");
	return n == 1 && rig_work(r);
}

/* Go on until so many parcels are settled. */
static bool
rig_settle(struct rig *r, size_t count)
{
	while (r->count < count && rig_turn(r))
		;
	return r->count == count;
}

/* Go on until `text` was said. */
__attribute__((unused)) static bool
rig_hear(struct rig *r, const char *text)
{
	while (strstr(r->said.data, text) == NULL && rig_turn(r))
		;
	return strstr(r->said.data, text) != NULL;
}

__attribute__((unused)) static struct sink_stats
rig_stats(const struct rig *r)
{
	struct sink_stats s;

	sink_stats(r->sink, &s);
	return s;
}

/* How many descriptors has a process open? */
static size_t
rig_descriptors(const char *pid)
{
	char path[64];
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	if ((d = opendir(path)) == NULL)
		fixture_fail(path, strerror(errno));
	for (struct dirent *entry; (entry = readdir(d)) != NULL;)
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

/* A program that is these tests: each in a row, and no descriptor is left open. */
static int
rig_main(void (*const tests[])(void))
{
	size_t open;

	fixture_begin();
	signal(SIGPIPE, SIG_IGN);
	open = rig_descriptors("self");
	for (; *tests != NULL; tests++)
		(*tests)();
	tap_ok(rig_descriptors("self") == open, "no descriptor is left open");
	return tap_done();
}

#endif
