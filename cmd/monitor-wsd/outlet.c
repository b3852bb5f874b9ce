#include "outlet.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "lines.h"
#include "log.h"

struct outlet {
	int fd;
	size_t max;
	struct loop_watch *watch;
	struct buf buf;
	size_t written;        /* of the buffer */
	bool closed;           /* nobody reads any more */
	struct outlet_stats stats;
};

static void
give_up(struct outlet *o)
{
	log_say(LOG_WARNING, "standard output: %s; notifications are dropped from now on",
	    errno == EPIPE ? "nobody reads it any more" : strerror(errno));
	o->closed = true;
	buf_free(&o->buf);
	loop_watch_set(o->watch, false);
}

/* Take out what is written, when that is much: moving the rest has a price. */
static void
compact(struct outlet *o)
{
	if (o->written == o->buf.len)
		buf_free(&o->buf);
	else if (o->written >= o->max / 4)
		buf_consume(&o->buf, o->written);
	else
		return;
	o->written = 0;
}

static void
on_ready(void *arg)
{
	struct outlet *o = arg;
	struct pollfd ready = { .fd = o->fd, .events = POLLOUT };
	size_t n;
	ssize_t r;

	while (o->written < o->buf.len && poll(&ready, 1, 0) == 1) {
		n = o->buf.len - o->written;
		r = write(o->fd, o->buf.data + o->written, n < PIPE_BUF ? n : PIPE_BUF);
		if (r == -1 && (errno == EAGAIN || errno == EINTR))
			break;
		if (r == -1) {
			give_up(o);
			return;
		}
		o->written += (size_t)r;
	}
	compact(o);
	loop_watch_set(o->watch, o->written < o->buf.len);
}

struct outlet *
outlet_new(struct loop *loop, int fd, size_t max, struct error *e)
{
	struct outlet *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		error_memory(e);
		return NULL;
	}
	o->fd = fd;
	o->max = max;
	if ((o->watch = loop_watch_new(loop, fd, LOOP_WRITE, on_ready, o, e)) == NULL)
		outlet_free(&o);
	return o;
}

void
outlet_free(struct outlet **op)
{
	struct outlet *o = *op;

	if (o == NULL)
		return;
	if (o->watch != NULL && !o->closed)
		on_ready(o);
	loop_watch_free(&o->watch);
	buf_free(&o->buf);
	free(o);
	*op = NULL;
}

void
outlet_write(struct outlet *o, struct str lines)
{
	uint64_t n = lines_count(lines);

	if (o->closed || o->buf.len - o->written + lines.len > o->max ||
	    buf_add_str(&o->buf, lines) == -1) {
		o->stats.dropped += n;
		if (!o->closed)
			log_limited("standard output", LOG_WARNING,
			    "standard output: its reader is slow: notifications are dropped");
		return;
	}
	o->stats.lines += n;
	loop_watch_set(o->watch, true);
}

void
outlet_stats(const struct outlet *o, struct outlet_stats *out)
{
	*out = o->stats;
	out->waiting = o->buf.len - o->written;
}
