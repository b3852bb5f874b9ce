#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>

struct peer {
	struct stream *stream;
	struct buf in, out;
	size_t at;                 /* of `in`: taken up to here */
	uint64_t random;           /* for masks */
	bool mute, shut;
	bool closing;              /* a close has been queued */
	enum { SHAKING, FRAMES, RAW, OVER } state;
	char key[FRAME_KEY_SIZE];
	struct frame frame;        /* the one that is coming */
	bool inside;               /* its head has come; `left` bytes of it have not */
	uint64_t left;
	unsigned message;          /* opcode of the message that is coming; 0: none */
	bool ended;                /* the stream is at its end */
	struct error error;        /* why; no text: it just ended */
};

/* ---- life ----------------------------------------------------------------- */

static int
start(struct peer *p, const struct target *t, const struct peer_settings *s, struct error *e)
{
	if (getrandom(&p->random, sizeof(p->random), 0) != sizeof(p->random))
		return error_set(e, ERROR_SYSTEM, "no random numbers");
	p->random |= 1;
	p->mute = s->mute;
	p->state = s->raw ? RAW : SHAKING;
	if (!s->raw && frame_key(p->key, e) == -1)
		return -1;
	if (!s->raw && frame_request(&p->out, target_host(t), target_path(t), p->key,
	    s->headers != NULL ? s->headers : "") == -1)
		return error_memory(e);
	return (p->stream = stream_open(t, s->from, e)) == NULL ? -1 : 0;
}

struct peer *
peer_new(const struct target *t, const struct peer_settings *settings, struct error *e)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		error_memory(e);
		return NULL;
	}
	if (start(p, t, settings, e) == -1)
		peer_free(&p);
	return p;
}

void
peer_free(struct peer **p)
{
	if (*p == NULL)
		return;
	stream_close(&(*p)->stream);
	buf_free(&(*p)->in);
	buf_free(&(*p)->out);
	free(*p);
	*p = NULL;
}

void
peer_reset(struct peer **p)
{
	stream_reset(&(*p)->stream);
	peer_free(p);
}

/* ---- sending -------------------------------------------------------------- */

int
peer_send(struct peer *p, bool fin, unsigned opcode, struct str payload)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return frame_add(&p->out, fin, opcode, payload, &p->random);
}

int
peer_send_unmasked(struct peer *p, unsigned opcode, struct str payload)
{
	return frame_add(&p->out, true, opcode, payload, NULL);
}

int
peer_send_bytes(struct peer *p, struct str bytes)
{
	return buf_add_str(&p->out, bytes);
}

int
peer_send_close(struct peer *p, int code, struct str reason)
{
	char payload[FRAME_CONTROL_MAX] = { (char)(code >> 8), (char)code };
	size_t len = reason.len < sizeof(payload) - 2 ? reason.len : sizeof(payload) - 2;

	memcpy(payload + 2, len > 0 ? reason.data : "", len);
	p->closing = true;
	return peer_send(p, true, FRAME_CLOSE, (struct str){ payload, code != 0 ? 2 + len : 0 });
}

size_t
peer_queued(const struct peer *p)
{
	return p->out.len;
}

void
peer_shut(struct peer *p)
{
	if (!p->shut)
		stream_shut(p->stream);
	p->shut = true;
}

/* ---- the loop's ----------------------------------------------------------- */

int
peer_fd(const struct peer *p)
{
	return stream_fd(p->stream);
}

short
peer_events(const struct peer *p, bool reading)
{
	return stream_events(p->stream, reading, p->out.len > 0);
}

/* A write that fails is not the end: the other side may have said why it went, and that is
 * still to be read. */
void
peer_flush(struct peer *p, size_t max)
{
	struct error e;
	ssize_t n = 0;

	while (p->out.len > 0 && max > 0) {
		if ((n = stream_write(p->stream, p->out.data, p->out.len < max ? p->out.len : max, &e)) <= 0)
			break;
		buf_consume(&p->out, (size_t)n);
		max -= (size_t)n;
	}
	if (n == -1 && errno != EAGAIN)
		p->out.len = 0;
}

void
peer_receive(struct peer *p, size_t max)
{
	ssize_t n;

	if (p->ended)
		return;
	if (buf_reserve(&p->in, max) == -1) {
		error_memory(&p->error);
		p->ended = true;
		return;
	}
	if ((n = stream_read(p->stream, p->in.data + p->in.len, max, &p->error)) > 0)
		p->in.len += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		p->ended = true;
}

/* ---- what came ------------------------------------------------------------ */

static enum peer_event_type
broken(struct peer *p)
{
	p->state = OVER;
	return PEER_BROKEN;
}

static enum peer_event_type
next_answer(struct peer *p, struct str in, struct peer_event *event, struct error *e)
{
	int n = frame_answer(in, p->key, &event->code, e);

	if (n == -1) {
		p->state = OVER;
		return event->code != 0 && event->code != 101 ? PEER_REFUSED : PEER_BROKEN;
	}
	if (n == 0)
		return PEER_NOTHING;
	p->at += (size_t)n;
	p->state = FRAMES;
	return PEER_OPEN;
}

static enum peer_event_type
closed(struct peer *p, struct peer_event *event, struct error *e)
{
	const unsigned char *code = (const unsigned char *)event->data.data;
	int failed = 0;

	if (event->data.len == 1) {
		error_set(e, ERROR_INVALID, "a close with half a code");
		return broken(p);
	}
	event->code = event->data.len == 0 ? 1005 : code[0] << 8 | code[1];
	if (event->data.len > 0)
		event->data = (struct str){ event->data.data + 2, event->data.len - 2 };
	if (!p->closing)
		failed = peer_send_close(p, event->code == 1005 ? 0 : event->code, str_of(""));
	return failed == -1 ? broken(p) : PEER_CLOSE;
}

/* A frame that is for the two ends only; it is taken as a whole. */
static enum peer_event_type
next_control(struct peer *p, struct str in, struct peer_event *event, struct error *e)
{
	if (in.len < p->left)
		return PEER_NOTHING;
	event->data = (struct str){ in.data, (size_t)p->left };
	p->at += (size_t)p->left;
	p->inside = false;
	if (p->frame.opcode == FRAME_PONG)
		return PEER_PONG;
	if (p->frame.opcode == FRAME_CLOSE)
		return closed(p, event, e);
	if (!p->mute && peer_send(p, true, FRAME_PONG, event->data) == -1) {
		error_memory(e);
		return broken(p);
	}
	return PEER_PING;
}

/* As much of a message as is there. */
static enum peer_event_type
next_piece(struct peer *p, struct str in, struct peer_event *event)
{
	size_t n = in.len < p->left ? in.len : (size_t)p->left;
	bool text = p->message == FRAME_TEXT;

	if (n == 0 && p->left > 0)
		return PEER_NOTHING;
	event->data = (struct str){ in.data, n };
	p->at += n;
	p->left -= n;
	p->inside = p->left > 0;
	event->last = !p->inside && p->frame.fin;
	if (event->last)
		p->message = 0;
	return text ? PEER_TEXT : PEER_BINARY;
}

static enum peer_event_type
next_frame(struct peer *p, struct str in, struct peer_event *event, struct error *e)
{
	int n;

	if (!p->inside) {
		if ((n = frame_head(in, &p->frame, e)) == -1)
			return broken(p);
		if (n == 0)
			return PEER_NOTHING;
		if (p->frame.opcode < FRAME_CLOSE && (p->frame.opcode == FRAME_MORE) != (p->message != 0)) {
			error_set(e, ERROR_INVALID, "messages that are mixed up");
			return broken(p);
		}
		if (p->frame.opcode == FRAME_TEXT || p->frame.opcode == FRAME_BINARY)
			p->message = p->frame.opcode;
		p->inside = true;
		p->left = p->frame.len;
		p->at += (size_t)n;
		in = (struct str){ in.data + n, in.len - (size_t)n };
	}
	if (p->frame.opcode >= FRAME_CLOSE)
		return next_control(p, in, event, e);
	return next_piece(p, in, event);
}

static enum peer_event_type
parse(struct peer *p, struct peer_event *event, struct error *e)
{
	struct str in = { p->in.data + p->at, p->in.len - p->at };

	switch (p->state) {
	case SHAKING:
		return in.len > 0 ? next_answer(p, in, event, e) : PEER_NOTHING;
	case FRAMES:
		return next_frame(p, in, event, e);
	case RAW:
		event->data = in;
		p->at = p->in.len;
		return in.len > 0 ? PEER_BYTES : PEER_NOTHING;
	default:
		return PEER_NOTHING;
	}
}

enum peer_event_type
peer_next(struct peer *p, struct peer_event *event, struct error *e)
{
	*event = (struct peer_event){ .type = PEER_NOTHING };
	event->type = parse(p, event, e);
	if (event->type != PEER_NOTHING)
		return event->type;
	buf_consume(&p->in, p->at);
	p->at = 0;
	if (p->in.len == 0)
		buf_free(&p->in);   /* of ten thousand that are idle */
	if (p->ended && p->state != OVER) {
		p->state = OVER;
		event->data = str_of(p->error.text);
		event->type = PEER_END;
	}
	return event->type;
}
