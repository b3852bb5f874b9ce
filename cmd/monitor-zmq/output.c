#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

int
output_add(struct output *o, struct str s)
{
	if (o->written == o->buf.len) {
		o->buf.len = o->written = 0;
	} else if (o->written >= OUTPUT_ROOM) {
		buf_consume(&o->buf, o->written);
		o->written = 0;
	}
	return buf_add_str(&o->buf, s);
}

int
output_flush(struct output *o, struct error *e)
{
	struct pollfd ready = { .fd = o->fd, .events = POLLOUT };
	size_t n;
	ssize_t r;

	while ((n = output_pending(o)) > 0 && poll(&ready, 1, 0) == 1) {
		r = write(o->fd, o->buf.data + o->written, n < PIPE_BUF ? n : PIPE_BUF);
		if (r == -1 && (errno == EAGAIN || errno == EINTR))
			break;
		if (r == -1 && errno == EPIPE)
			return error_set(e, ERROR_GONE, "standard output: nobody reads it any more");
		if (r == -1)
			return error_errno(e, errno, "standard output");
		o->written += (size_t)r;
	}
	return 0;
}

void
output_free(struct output *o)
{
	buf_free(&o->buf);
}
