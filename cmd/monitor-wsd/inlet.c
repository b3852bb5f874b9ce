#include "inlet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"

#define PIECE ((size_t)64 << 10)

struct inlet {
	int fd;
	size_t max;
	struct loop_watch *watch;
	struct buf begun;      /* a line whose end is not there yet */
	bool skipping;         /* it is too long */
	uint64_t skipped;
	void (*take)(void *arg, struct str lines);
	void *arg;
	char piece[PIECE];
};

static void
skip(struct inlet *i)
{
	i->skipped++;
	i->skipping = true;
	buf_free(&i->begun);
	log_limited("standard input", LOG_WARNING, "standard input: a line is longer than %zu bytes",
	    i->max);
}

/* More of the line that has begun. */
static void
extend(struct inlet *i, struct str s)
{
	if (!i->skipping && s.len > 0 &&
	    (i->begun.len + s.len > i->max || buf_add_str(&i->begun, s) == -1))
		skip(i);
}

/* Its last part, newline and all. */
static void
end(struct inlet *i, struct str s)
{
	extend(i, s);
	if (!i->skipping)
		i->take(i->arg, (struct str){ i->begun.data, i->begun.len });
	buf_free(&i->begun);
	i->skipping = false;
}

static void
take_piece(struct inlet *i, struct str s)
{
	const char *newline = memchr(s.data, '\n', s.len), *last;
	size_t n;

	if (newline != NULL && (i->begun.len > 0 || i->skipping)) {
		n = (size_t)(newline + 1 - s.data);
		end(i, (struct str){ s.data, n });
		s = (struct str){ s.data + n, s.len - n };
	}
	if ((last = memrchr(s.data, '\n', s.len)) != NULL) {
		n = (size_t)(last + 1 - s.data);
		i->take(i->arg, (struct str){ s.data, n });
		s = (struct str){ s.data + n, s.len - n };
	}
	extend(i, s);
}

static void
on_ready(void *arg)
{
	struct inlet *i = arg;
	ssize_t n = read(i->fd, i->piece, sizeof(i->piece));

	if (n > 0) {
		take_piece(i, (struct str){ i->piece, (size_t)n });
		return;
	}
	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n == -1)
		log_say(LOG_WARNING, "standard input: %s", strerror(errno));
	loop_watch_set(i->watch, false);
}

struct inlet *
inlet_new(struct loop *loop, int fd, size_t max, void (*take)(void *arg, struct str lines),
    void *arg, struct error *e)
{
	struct inlet *i = malloc(sizeof(*i));

	if (i == NULL) {
		error_memory(e);
		return NULL;
	}
	memset(i, 0, offsetof(struct inlet, piece));
	i->fd = fd;
	i->max = max;
	i->take = take;
	i->arg = arg;
	if ((i->watch = loop_watch_new(loop, fd, LOOP_READ, on_ready, i, e)) == NULL)
		inlet_free(&i);
	else
		loop_watch_set(i->watch, true);
	return i;
}

void
inlet_free(struct inlet **ip)
{
	if (*ip == NULL)
		return;
	loop_watch_free(&(*ip)->watch);
	buf_free(&(*ip)->begun);
	free(*ip);
	*ip = NULL;
}

uint64_t
inlet_skipped(const struct inlet *i)
{
	return i->skipped;
}
