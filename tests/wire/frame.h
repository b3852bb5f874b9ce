/*
 * frame.h - WebSocket on the wire (RFC 6455), the client's side, as bytes: the
 * handshake and the frames. Written for the tests and the bench, apart from the
 * product: what is checked here is not checked against itself.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "str.h"

enum frame_opcode {
	FRAME_MORE = 0, FRAME_TEXT = 1, FRAME_BINARY = 2,
	FRAME_CLOSE = 8, FRAME_PING = 9, FRAME_PONG = 10,
};

#define FRAME_HEAD_MAX 14      /* bytes */
#define FRAME_CONTROL_MAX 125  /* bytes of payload in a ping, pong or close */
#define FRAME_KEY_SIZE 25

struct frame {
	bool fin;
	unsigned opcode;
	uint64_t len;              /* of the payload */
};

/* Append a frame, whatever it is worth: nothing is checked. `mask` are four bytes;
 * NULL: not masked, as a client must not send it. */
int frame_add(struct buf *b, bool fin, unsigned opcode, struct str payload, const void *mask);

/* Read the head of a frame as a server may send it. How many bytes that were; 0: more
 * are needed; -1: no server may send this. */
int frame_head(struct str in, struct frame *f, struct error *e);

/* A new Sec-WebSocket-Key. */
int frame_key(char key[FRAME_KEY_SIZE], struct error *e);

/* Append the request of a handshake. `headers`: more of them, each with its "\r\n". */
int frame_request(struct buf *b, const char *host, const char *path, const char *key,
    const char *headers);

/* Read the answer to it. How many bytes it took; 0: more are needed; -1: refused, with
 * the HTTP status in `status`, or no WebSocket server's answer (status 0, or 101). */
int frame_answer(struct str in, const char *key, int *status, struct error *e);

#endif
