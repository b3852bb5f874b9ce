#include "producer.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "when.h"

static bool
is_socket(int fd)
{
	struct stat st;

	return fd != -1 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

struct producer *
producer_new(const char *name, int in, int out, struct error *e)
{
	struct producer *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		error_memory(e);
		return NULL;
	}
	p->out = out;
	p->out_socket = is_socket(out);
	p->unanswered = out == -1;
	if (producer_input(p, name, in, e) == -1)
		producer_free(&p);
	return p;
}

void
producer_free(struct producer **pp)
{
	struct producer *p = *pp;

	if (p == NULL)
		return;
	if (p->spool != NULL)
		fclose(p->spool);
	buf_free(&p->line);
	buf_free(&p->answers);
	free(p->name);
	free(p);
	*pp = NULL;
}

int
producer_input(struct producer *p, const char *name, int in, struct error *e)
{
	char *own = strdup(name);

	if (own == NULL)
		return error_memory(e);
	free(p->name);
	p->name = own;
	p->in = in;
	p->in_socket = is_socket(in);
	p->lines = 0;
	return 0;
}

bool
producer_permit(struct producer *p, struct intake *in)
{
	if (!p->permit && in->permits > 0) {
		in->permits--;
		p->permit = true;
	}
	p->waiting = !p->permit;
	return p->permit;
}

/* Forget the begun line. */
static void
drop_line(struct producer *p, struct intake *in)
{
	p->line.len = 0;
	p->overlong = p->waiting = false;
	if (p->line.cap > PRODUCER_LONG)
		buf_free(&p->line);
	if (p->permit)
		in->permits++;
	p->permit = false;
	if (p->spool != NULL)
		fclose(p->spool);
	p->spool = NULL;
}

void
producer_stop(struct producer *p, struct intake *in)
{
	drop_line(p, in);
	buf_free(&p->line);
	p->in = -1;
}

/* ---- lines ---- */

static int
offer(struct producer *p, struct batch *b, const struct ndjson_line *l, bool refused,
    struct error *e)
{
	size_t before = b->mark_count;

	if (batch_add(b, p, str_of(p->prefix), l, refused, e) == -1)
		return -1;
	p->marks += b->mark_count - before;
	return 0;
}

/* A line, already kept, is refused. Its number is settled by that, but not if
 * the line was cut short: then the producer has it still, whole. */
static int
refuse(struct producer *p, struct intake *in, struct batch *b, const struct ndjson_line *l,
    const char *reason, bool cut, struct error *e)
{
	refuse_say(&in->refuse, p->name, p->lines, reason);
	if (!in->ack || cut || l->source.data == NULL)
		return 0;
	if (!p->unanswered &&
	    ndjson_write_reject(&p->answers, l->source, l->seq, reason) == -1)
		return error_memory(e);
	return offer(p, b, l, true, e);
}

/* Is the record's time too far ahead? Then `why` says so. */
static bool
in_future(const struct intake *in, const struct record *r, struct error *why)
{
	char text[WHEN_TEXT_SIZE];
	double ahead;

	if (!isfinite(in->max_future) || (ahead = r->time - when_now()) <= in->max_future)
		return false;
	when_format_duration(in->max_future, text);
	error_set(why, ERROR_INVALID, "time: more than %s ahead of now", text);
	return true;
}

/* One line. `cut`: it ended without a newline, and whoever numbers lines will
 * send it again. */
static int
take_line(struct producer *p, struct intake *in, struct batch *b, struct str line, bool cut,
    struct error *e)
{
	struct ndjson_line l = { 0 };
	struct error why;

	p->lines++;
	if (str_is_blank(line))
		return 0;
	if (ndjson_read(in->reader, line, &l, &why) == -1) {
		if (why.kind == ERROR_MEMORY) {
			*e = why;
			return -1;
		}
	} else if (!in_future(in, &l.record, &why)) {
		if (!in->ack)
			l.source.data = NULL;
		return offer(p, b, &l, false, e);
	}
	if (refuse_keep(&in->refuse, line, e) == -1)
		return -1;
	return refuse(p, in, b, &l, why.text, cut, e);
}

/* The begun line and `rest` are more than a line may be: keep who sent it and
 * let it pass by. */
static int
begin_overlong(struct producer *p, struct intake *in, struct str rest, struct error *e)
{
	struct ndjson_line l = { 0 };
	size_t more = in->max_line - p->line.len;
	struct str head;

	if (buf_add(&p->line, rest.data, more) == -1)
		return error_memory(e);
	rest.data += more;
	rest.len -= more;
	head = (struct str){ p->line.data, p->line.len };
	ndjson_peek(in->reader, head, &l);
	p->numbered = l.source.data != NULL && l.source.len <= sizeof(p->source);
	if (p->numbered) {
		memcpy(p->source, l.source.data, l.source.len);
		p->source_len = l.source.len;
		p->seq = l.seq;
	}
	if (refuse_spool(&in->refuse, &p->spool, head, e) == -1 ||
	    refuse_spool(&in->refuse, &p->spool, rest, e) == -1)
		return -1;
	buf_free(&p->line);
	p->overlong = true;
	return 0;
}

static int
end_overlong(struct producer *p, struct intake *in, struct batch *b, bool cut, struct error *e)
{
	struct ndjson_line l = { 0 };
	char reason[80];

	p->lines++;
	if (p->numbered)
		l = (struct ndjson_line){ .source = { p->source, p->source_len }, .seq = p->seq };
	snprintf(reason, sizeof(reason), "the line is longer than %zu bytes", in->max_line);
	if (refuse_keep_spooled(&in->refuse, &p->spool, e) == -1)
		return -1;
	return refuse(p, in, b, &l, reason, cut, e);
}

/* More of the begun line. */
static int
extend_line(struct producer *p, struct intake *in, struct str s, struct error *e)
{
	if (p->overlong)
		return refuse_spool(&in->refuse, &p->spool, s, e);
	if (s.len > in->max_line - p->line.len)
		return begin_overlong(p, in, s, e);
	return buf_add(&p->line, s.data, s.len) == 0 ? 0 : error_memory(e);
}

static int
end_line(struct producer *p, struct intake *in, struct batch *b, bool cut, struct error *e)
{
	int r;

	if (p->overlong)
		r = end_overlong(p, in, b, cut, e);
	else
		r = take_line(p, in, b, (struct str){ p->line.data, p->line.len }, cut, e);
	drop_line(p, in);
	return r;
}

static int
take_piece(struct producer *p, struct intake *in, struct batch *b, struct str s, struct error *e)
{
	const char *newline;
	struct str line;
	int r;

	while (s.len > 0 && (newline = memchr(s.data, '\n', s.len)) != NULL) {
		line = (struct str){ s.data, (size_t)(newline - s.data) };
		s.data = newline + 1;
		s.len -= line.len + 1;
		if (p->line.len == 0 && !p->overlong && line.len <= in->max_line)
			r = take_line(p, in, b, line, false, e);
		else if ((r = extend_line(p, in, line, e)) == 0)
			r = end_line(p, in, b, false, e);
		if (r == -1)
			return -1;
	}
	if (s.len > 0 && extend_line(p, in, s, e) == -1)
		return -1;
	if (p->line.len > PRODUCER_LONG && !p->permit)
		producer_permit(p, in);
	return 0;
}

/* ---- input and output ---- */

int
producer_read(struct producer *p, struct intake *in, struct batch *b, struct error *fault,
    struct error *e)
{
	ssize_t n;

	fault->kind = ERROR_NONE;
	n = p->in_socket ? recv(p->in, in->piece, PRODUCER_PIECE, MSG_DONTWAIT) :
	    read(p->in, in->piece, PRODUCER_PIECE);
	if (n > 0) {
		in->bytes += (uint64_t)n;
		return take_piece(p, in, b, (struct str){ in->piece, (size_t)n }, e) == 0 ? 1 : -1;
	}
	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n == -1 && errno != ECONNRESET)
		error_errno(fault, errno, "%s", p->name);
	if ((p->line.len > 0 || p->overlong) && end_line(p, in, b, in->ack, e) == -1)
		return -1;
	producer_stop(p, in);
	return 0;
}

int
producer_ack(struct producer *p, struct str source, int64_t seq, struct error *e)
{
	if (p->unanswered)
		return 0;
	return ndjson_write_ack(&p->answers, source, seq) == 0 ? 0 : error_memory(e);
}

/* Send a piece without waiting: how much, 0 if it would wait, -1. */
static ssize_t
send_piece(const struct producer *p)
{
	struct pollfd fd = { .fd = p->out, .events = POLLOUT };
	size_t piece = p->answers.len < PIPE_BUF ? p->answers.len : PIPE_BUF;
	ssize_t n;

	do {
		if (p->out_socket)
			n = send(p->out, p->answers.data, p->answers.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		/* Standard output is shared with others, so it is not made
		 * non-blocking; but a pipe that polls writable takes PIPE_BUF. */
		else if ((n = poll(&fd, 1, 0)) == 1)
			n = write(p->out, p->answers.data, piece);
	} while (n == -1 && errno == EINTR);
	return n == -1 && errno == EAGAIN ? 0 : n;
}

int
producer_flush(struct producer *p, struct error *e)
{
	ssize_t n;

	while (p->answers.len > 0) {
		if ((n = send_piece(p)) == -1) {
			if (errno == EPIPE || errno == ECONNRESET)
				error_set(e, ERROR_GONE, "%s: nobody reads the answers", p->name);
			else
				error_errno(e, errno, "%s: the answers", p->name);
			p->unanswered = true;
			buf_free(&p->answers);
			return -1;
		}
		if (n == 0)
			break;
		buf_consume(&p->answers, (size_t)n);
	}
	if (p->answers.len == 0 && p->answers.cap > PRODUCER_LONG)
		buf_free(&p->answers);
	return 0;
}
