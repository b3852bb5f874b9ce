/*
 * A session's input and output: what comes is given to it in pieces, what it has to say is sent in
 * frames.
 */
#include "ws_inside.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"

#define TURN (4 * WS_CHUNK)        /* bytes sent to one in a row */
#define FRAME 10                   /* bytes of a header, at most */

_Static_assert(SERVE_HEADROOM >= LWS_PRE, "a frame's header fits before the text");

int
conn_established(struct conn *c)
{
	char name[VISITOR_NAME_SIZE];
	struct error e;

	visitor_name(&c->visitor, name);
	if ((c->session = session_new(c->ws->settings.serve, c, name, &e)) == NULL) {
		log_limited("connection", LOG_ERR, "%s: %s", name, e.text);
		return -1;
	}
	conn_grow_up(c);
	c->ws->stats.upgraded++;
	return 0;
}

/* ---- input ---- */

/* A piece of a message that is kept; its text is behind it. */
struct piece {
	size_t len;
	bool first, last, binary;
};

/* The library, told in the midst of a TLS record not to read on, goes round and round with the
 * rest of it for ever. So it is told when it is through, and what it has yet to say is kept: no more
 * than a record. */
static int
keep(struct conn *c, const struct piece *p, const char *data)
{
	return buf_add(&c->kept, p, sizeof(*p)) == -1 || buf_add(&c->kept, data, p->len) == -1 ? -1 : 0;
}

/* Give the session what was kept, as far as it reads; its output is to be looked at after that. */
static void
hand_on(struct conn *c)
{
	struct piece p;
	size_t at = 0;

	while (at < c->kept.len && session_reads(c->session)) {
		memcpy(&p, c->kept.data + at, sizeof(p));
		at += sizeof(p) + p.len;
		session_receive(c->session, (struct str){ c->kept.data + at - p.len, p.len }, p.first,
		    p.last, p.binary);
	}
	buf_consume(&c->kept, at);
	if (c->kept.len == 0)
		buf_free(&c->kept);
}

/* Read from it, or not, as the session wants it. */
static void
set_flow(struct conn *c)
{
	bool reads = session_reads(c->session);

	if (reads && c->kept.len > 0) {   /* that first */
		lws_callback_on_writable(c->wsi);
		reads = false;
	}
	if (reads != c->paused)
		return;
	c->paused = !reads;
	lws_rx_flow_control(c->wsi, reads);
	/* What had been read before is looked at when the library is called. */
	if (reads)
		lws_callback_on_writable(c->wsi);
}

int
conn_receive(struct conn *c, const char *data, size_t len)
{
	struct piece p = { .len = len, .first = lws_is_first_fragment(c->wsi),
	    .last = lws_is_final_fragment(c->wsi) && lws_remaining_packet_payload(c->wsi) == 0,
	    .binary = lws_frame_is_binary(c->wsi) };

	if (c->closing)
		return 0;
	if (len == 0)
		data = "";
	ws_wake(c);
	if (c->kept.len > 0 || (c->kind == WS_TLS && !session_reads(c->session)))
		return keep(c, &p, data);
	session_receive(c->session, (struct str){ data, len }, p.first, p.last, p.binary);
	if (c->kind != WS_TLS)
		set_flow(c);
	return 0;
}

/* ---- output ---- */

/* A piece of text as a frame, or a part of it. */
static int
send_text(struct conn *c, const struct session_output *out)
{
	size_t n = out->len - c->sent < WS_CHUNK ? out->len - c->sent : WS_CHUNK;
	bool first = out->first && c->sent == 0, last = out->last && c->sent + n == out->len;
	int flags = (first ? LWS_WRITE_TEXT : LWS_WRITE_CONTINUATION) | (last ? 0 : LWS_WRITE_NO_FIN);
	char *at = out->data + c->sent, covered[LWS_PRE];
	int r;

	/* The frame's header covers text that was sent; but others may yet be sent it. */
	memcpy(covered, at - LWS_PRE, LWS_PRE);
	r = lws_write(c->wsi, (unsigned char *)at, n, (enum lws_write_protocol)flags);
	memcpy(at - LWS_PRE, covered, LWS_PRE);
	if (r < (int)n)
		return -1;
	c->sent += n;
	if (c->sent == out->len) {
		c->sent = 0;
		session_sent(c->session);
	}
	return (int)n + FRAME;
}

static int
send_ping(struct conn *c)
{
	/* An empty one's answer would not be told of. */
	unsigned char ping[LWS_PRE + 4] = { [LWS_PRE] = 'p', 'i', 'n', 'g' };

	if (lws_write(c->wsi, ping + LWS_PRE, 4, LWS_WRITE_PING) < 4)
		return -1;
	session_sent(c->session);
	return FRAME;
}

/* Say why, and let the library close it: -1. That can only be done when it asks. */
static int
send_close(struct conn *c, const struct session_output *out, bool asked)
{
	char reason[124];
	int len;

	if (!asked) {
		lws_callback_on_writable(c->wsi);
		return 0;
	}
	len = snprintf(reason, sizeof(reason), "%s", out->reason != NULL ? out->reason : "");
	lws_close_reason(c->wsi, (enum lws_close_status)out->code, (unsigned char *)reason,
	    (size_t)len < sizeof(reason) ? (size_t)len : sizeof(reason) - 1);
	session_sent(c->session);
	c->closing = true;
	lws_rx_flow_control(c->wsi, 1);   /* the other end has to agree */
	return -1;
}

/* Send the next thing. How many bytes, about; 0: nothing now; -1: it is over. */
static int
send_next(struct conn *c, bool asked)
{
	struct session_output out;

	session_output(c->session, &out);
	switch (out.type) {
	case OUTPUT_TEXT:
		return send_text(c, &out);
	case OUTPUT_PING:
		return send_ping(c);
	case OUTPUT_CLOSE:
		return send_close(c, &out, asked);
	default:
		return 0;
	}
}

/* Send what there is; but what the socket does not take the library keeps, so not
 * more of that than one piece, and then it asks again when that is gone. */
static int
send_some(struct conn *c, bool asked)
{
	size_t sent = 0;
	int n;

	while (!c->closing && !lws_partial_buffered(c->wsi)) {
		if (sent >= TURN) {
			lws_callback_on_writable(c->wsi);
			break;
		}
		if ((n = send_next(c, asked)) <= 0)
			return n;
		sent += (size_t)n;
	}
	return 0;
}

int
conn_writable(struct conn *c)
{
	if (c->closing)
		return session_dropped(c->session) ? -1 : 0;
	hand_on(c);
	if (session_dropped(c->session) || send_some(c, true) == -1)
		return -1;
	set_flow(c);
	return 0;
}

/* ---- those to be looked at ---- */

void
ws_wake(void *transport)
{
	struct conn *c = transport;

	if (c->woken || c->session == NULL)
		return;
	c->woken = true;
	TAILQ_INSERT_TAIL(&c->ws->woken, c, of_woken);
}

/* End it, whatever state it is in and whatever waits to be sent: the library finds the
 * socket dead. */
static void
cut(struct conn *c)
{
	c->closing = true;
	shutdown(lws_get_socket_fd(c->wsi), SHUT_RDWR);
	lws_rx_flow_control(c->wsi, 1);
	lws_callback_on_writable(c->wsi);
}

void
ws_round(struct ws *ws)
{
	struct conn *c;

	/* Who is woken meanwhile comes to the end of the list, but for the one that is
	 * looked at: it is looked at to the end anyway. */
	while ((c = TAILQ_FIRST(&ws->woken)) != NULL) {
		if (!c->closing)
			hand_on(c);
		if ((!c->closing && send_some(c, false) == -1) || session_dropped(c->session))
			cut(c);
		else if (!c->closing)
			set_flow(c);
		TAILQ_REMOVE(&ws->woken, c, of_woken);
		c->woken = false;
	}
}
