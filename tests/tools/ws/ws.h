/*
 * ws.h - the parts of ws: what it is doing, and what it sends.
 */
#ifndef WS_H
#define WS_H

#include <err.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "peer.h"
#include "str.h"

struct ws {
	/* options */
	struct target_settings where;
	struct peer_settings how;
	struct buf headers;
	const char *token;
	long count;                /* -n; -1: not given */
	bool listen, until_closed, keepalive, controls;
	int refused;
	double limit;
	size_t piece;              /* bytes written at a time */
	/* how far it is */
	struct peer *peer;
	double began, alive;       /* the last keepalive */
	bool open;                 /* shaken hands, and authenticated */
	bool authenticating, stalled, input_ended;
	bool closing, shut;        /* we are, by a close or the end of what we send */
	bool closed;               /* the server has: */
	char farewell[160];        /* "CODE REASON" */
	struct buf input, message;
	bool in_line;              /* raw: what came last was no newline */
	long sent, printed, expected, records, keepalives;
};

static inline void
check(int r)
{
	if (r == -1)
		errx(1, "out of memory");
}

void ws_send_text(struct ws *w, struct str text);
void ws_send_close(struct ws *w, int code, struct str reason);

/* A line of input that begins with "!". */
void ws_direct(struct ws *w, struct str line);

#endif
