/*
 * raw.h - libzmq, as much of it as socket.c needs, which is who alone calls it. The only user
 * of zmq.h.
 */
#ifndef MONITOR_ZMQ_RAW_H
#define MONITOR_ZMQ_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "key.h"
#include "socket.h"
#include "str.h"

#define RAW_ADDRESS_SIZE 256

/* The context, and the socket on which it asks who may come in (ZAP). Freeing it waits for
 * what lingers. */
struct raw_context;
struct raw_context *raw_context_new(struct error *e);
void raw_context_free(struct raw_context **c);

/* A question of its: may this key, which is proven, come in? */
struct raw_question {
	char domain[16];
	char address[64];
	char key[KEY_SIZE];
};

/* RAW_NO is told to the peer, whose libzmq then gives up; RAW_LATER is not, and it tries again. */
enum raw_verdict { RAW_YES, RAW_LATER, RAW_NO };

/* The next one: 1, 0 if there is none, -1. It must be answered before the next. */
int raw_asked(struct raw_context *c, struct raw_question *q, struct error *e);
int raw_answer(struct raw_context *c, const struct raw_question *q, enum raw_verdict verdict,
    struct error *e);

/* A socket and its monitor. */
struct raw;
struct raw_settings {
	const struct socket_settings *socket;
	bool bind;
	const char *public_key;      /* our own; NULL: no CURVE */
	const char *domain;          /* of the questions about it; up to 15 characters; not used
	                              * before in this context */
};
struct raw *raw_new(struct raw_context *c, const struct raw_settings *settings, struct error *e);
void raw_free(struct raw **r);

/* What is unsent goes at once, instead of lingering. */
void raw_drop(struct raw *r);

/* Bind; `bound` is where. ERROR_BUSY: somebody else is there. */
int raw_bind(struct raw *r, const char *address, char bound[RAW_ADDRESS_SIZE], struct error *e);
int raw_connect(struct raw *r, const char *address, struct error *e);
void raw_disconnect(struct raw *r, const char *address);
int raw_subscribe(struct raw *r, struct str prefix, struct error *e);

/* As socket_receive() and the others; the peer is not named yet. */
int raw_receive(struct raw *r, struct parcel *p, struct error *e);
int raw_send(struct raw *r, const struct parcel *p, bool *gone, struct error *e);
int raw_pass(struct raw *from, struct raw *to, struct parcel *p, struct error *e);

/* What is known of the connection over which the last message came: "User-Id",
 * "Peer-Address"; NULL: nothing. Good until the next one. */
const char *raw_property(struct raw *r, const char *name);

/* The next thing that its monitor has seen. */
struct raw_event {
	enum {
		RAW_TRYING,              /* it connects, or will again by itself */
		RAW_BEGUN,               /* a connection, made or taken in */
		RAW_UP,                  /* its handshake is done */
		RAW_UNWANTED,            /* the other side, or we, said no */
		RAW_FAILED,              /* its handshake failed; `why` if it is known */
		RAW_DOWN,                /* it ended, at whatever stage */
	} type;
	const char *why;             /* NULL: the connection broke, or it took too long */
	char address[RAW_ADDRESS_SIZE];
	char numbers[RAW_ADDRESS_SIZE];   /* BEGUN, where we connected by tcp: to where, without names;
	                              * else "" */
};
bool raw_event(struct raw *r, struct raw_event *event);

/* Waiting: empty the list of what to wait for, add to it, wait. Questions are waited for
 * always. Then ask what became of the n-th that was added. */
void raw_list_clear(struct raw_context *c);
int raw_list_socket(struct raw_context *c, struct raw *r, unsigned events, struct error *e);
int raw_list_monitor(struct raw_context *c, struct raw *r, struct error *e);
int raw_list_fd(struct raw_context *c, int fd, unsigned events, struct error *e);
int raw_wait(struct raw_context *c, double seconds, struct error *e);
unsigned raw_ready(const struct raw_context *c, size_t n);

/* See socket.h. */
int raw_keypair(char public_key[KEY_SIZE], char secret_key[KEY_SIZE], struct error *e);
int raw_public_key(const char *secret_key, char public_key[KEY_SIZE], struct error *e);

#endif
