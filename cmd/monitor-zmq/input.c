#include "input.h"

#include <errno.h>
#include <unistd.h>

#define PIECE ((size_t)256 << 10)

int
input_read(struct input *in, struct str *piece, struct error *e)
{
	ssize_t n;

	buf_consume(&in->text, in->at);
	in->at = 0;
	*piece = (struct str){ NULL, 0 };
	if (buf_reserve(&in->text, PIECE) == -1)
		return error_memory(e);
	n = read(in->fd, in->text.data + in->text.len, PIECE);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == -1)
		return error_errno(e, errno, "standard input");
	*piece = (struct str){ in->text.data + in->text.len, (size_t)n };
	in->text.len += (size_t)n;
	in->ended = n == 0;
	return 0;
}

bool
input_line(struct input *in, struct str *line, bool *cut)
{
	const char *begin = in->text.data + in->at, *newline;
	size_t left = in->text.len - in->at, n;

	newline = left > in->searched ? memchr(begin + in->searched, '\n', left - in->searched) : NULL;
	n = newline != NULL ? (size_t)(newline - begin) : left;
	if (newline == NULL && (left == 0 || (n <= in->max && !in->ended))) {
		in->searched = left;
		return false;
	}
	in->at += n + (newline != NULL);
	in->searched = 0;
	if (in->skipping) {
		/* The rest of it has been told already. */
		in->skipping = newline == NULL;
		return input_line(in, line, cut);
	}
	*cut = n > in->max;
	in->skipping = newline == NULL && !in->ended;
	*line = (struct str){ begin, *cut ? in->max : n };
	in->lines++;
	return true;
}

void
input_free(struct input *in)
{
	buf_free(&in->text);
}
