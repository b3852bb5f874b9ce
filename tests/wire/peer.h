/*
 * peer.h - one end of a WebSocket connection, the client's: what is sent is queued and goes
 * out when it can, what comes is asked for piece by piece. Belongs to a loop over poll(2) or
 * epoll: wait for peer_events(), call peer_flush() and peer_receive(), then peer_next() until
 * nothing is left.
 *
 * It is strict about what a server may send, and does not mind what it sends itself.
 */
#ifndef WIRE_PEER_H
#define WIRE_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "frame.h"
#include "str.h"
#include "stream.h"

struct peer;

struct peer_settings {
	const char *from;        /* address to connect from; NULL: any */
	const char *headers;     /* of the handshake, more of them, each with its "\r\n"; or NULL */
	bool raw;                /* no handshake, no frames: only bytes */
	bool mute;               /* pings are not answered */
};

struct peer *peer_new(const struct target *t, const struct peer_settings *settings, struct error *e);
void peer_free(struct peer **p);
void peer_reset(struct peer **p);    /* the other side gets a reset */

/* Queue a frame; -1: no memory. `peer_send_bytes`: bytes as they are. */
int peer_send(struct peer *p, bool fin, unsigned opcode, struct str payload);
int peer_send_unmasked(struct peer *p, unsigned opcode, struct str payload);
int peer_send_bytes(struct peer *p, struct str bytes);
int peer_send_close(struct peer *p, int code, struct str reason);   /* code 0: none */
size_t peer_queued(const struct peer *p);                           /* bytes */
void peer_shut(struct peer *p);      /* nothing more will be sent; what is queued must be out */

int peer_fd(const struct peer *p);
short peer_events(const struct peer *p, bool reading);

/* Write at most, read at most `max` bytes. What goes wrong is told by peer_next(). */
void peer_flush(struct peer *p, size_t max);
void peer_receive(struct peer *p, size_t max);

enum peer_event_type {
	PEER_NOTHING,            /* for now */
	PEER_OPEN,               /* the handshake is done */
	PEER_REFUSED,            /* it was not: `code` is the HTTP status */
	PEER_TEXT, PEER_BINARY,  /* a piece of a message; `last`: the last one */
	PEER_PING, PEER_PONG,
	PEER_CLOSE,              /* `code` (1005: none was given), the reason in `data` */
	PEER_BYTES,              /* raw */
	PEER_BROKEN,             /* what came breaks the rules: see the error */
	PEER_END,                /* the connection is gone; `data` says why, empty if it just ended */
};

struct peer_event {
	enum peer_event_type type;
	struct str data;         /* good until the next call */
	bool last;
	int code;
};

/* A ping has been answered when it is told, and so has a close. After REFUSED, BROKEN and
 * END nothing more comes. */
enum peer_event_type peer_next(struct peer *p, struct peer_event *event, struct error *e);

#endif
