/*
 * One connection that asks for much and takes it slowly.
 */
#include "load.h"

#include <err.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "peer.h"
#include "percentile.h"

#define STEP 0.05              /* seconds from read to read */
#define ALIVE 10.0             /* seconds between keepalives */

struct slow {
	const struct load *load;
	struct peer *peer;
	bool asked, over;
	double bytes;              /* of the answer */
};

static void
send_text(struct slow *s, const char *text)
{
	if (peer_send(s->peer, true, FRAME_TEXT, str_of(text)) == -1)
		errx(1, "out of memory");
}

/* The first message is the answer to the token, the second the one that is waited for;
 * between them come no others. */
static void
take_piece(struct slow *s, const struct peer_event *event)
{
	if (!s->asked && event->last) {
		s->asked = true;
		send_text(s, s->load->request);
		return;
	}
	if (s->bytes == 0) {
		puts("begun");
		fflush(stdout);
	}
	s->bytes += (double)event->data.len;
	s->over = s->asked && event->last;
}

static void
take(struct slow *s)
{
	struct peer_event event;
	struct error e;
	char text[128];

	for (;;) {
		switch (peer_next(s->peer, &event, &e)) {
		case PEER_NOTHING:
			return;
		case PEER_OPEN:
			snprintf(text, sizeof(text), "{\"action\":\"auth\",\"token\":\"%.64s\"}",
			    s->load->watchdog != NULL ? s->load->watchdog : "w000001");
			send_text(s, text);
			break;
		case PEER_TEXT:
			take_piece(s, &event);
			break;
		case PEER_PING:
		case PEER_PONG:
			break;
		case PEER_CLOSE:
		case PEER_END:
			errx(1, "after %.0f bytes: closed: %d %.*s", s->bytes, event.code,
			    STR_ARGS(event.data));
		default:
			errx(1, "after %.0f bytes: %s", s->bytes, e.text);
		}
	}
}

void
load_slow(const struct load *l)
{
	struct slow s = { .load = l };
	struct peer_settings how = { 0 };
	double start = monotonic(), alive = start;
	struct error e;

	if ((s.peer = peer_new(l->target, &how, &e)) == NULL)
		errx(1, "%s", e.text);
	while (!s.over && !load_over(l, start)) {
		peer_receive(s.peer, s.asked ? (size_t)(l->speed * STEP) + 1 : 4096);
		take(&s);
		if (s.asked && monotonic() - alive > ALIVE) {
			send_text(&s, "{\"action\":\"keepalive\"}");
			alive = monotonic();
		}
		peer_flush(s.peer, SIZE_MAX);
		poll(NULL, 0, (int)(STEP * 1000));
	}
	printf("%.0f %.3f\n", s.bytes, monotonic() - start);
	peer_free(&s.peer);
}
