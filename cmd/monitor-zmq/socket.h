/*
 * socket.h - ZeroMQ sockets as all verbs use them: endpoints, CURVE, high-water marks,
 * heartbeats, who is at the other end.
 *
 * A hub owns the context and waits for everything: its sockets, and any descriptors
 * (a signalfd, a sink's, standard input). Everything happens on one thread, but for
 * libzmq's own.
 *
 * With CURVE a peer is known by its public key, which ZeroMQ has proven; without, by
 * its address. Who may come in is asked of the allow list at each handshake (ZAP,
 * rfc.zeromq.org/spec/27); when the list is read again, peers whose key is gone are cut off.
 */
#ifndef MONITOR_ZMQ_SOCKET_H
#define MONITOR_ZMQ_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allow.h"
#include "error.h"
#include "key.h"
#include "str.h"

enum socket_type { SOCKET_SUB, SOCKET_XPUB, SOCKET_XSUB, SOCKET_DEALER, SOCKET_ROUTER };

struct endpoint {
	const char *address;      /* tcp://HOST:PORT, ipc://PATH */
	bool bind;                /* else connect */
};

struct socket_settings {
	enum socket_type type;
	const struct endpoint *endpoints;
	size_t endpoint_count;
	int high_water;           /* messages, each way and each peer */
	double linger;            /* seconds that what is unsent may take at the end */
	double retry_min, retry_max;   /* seconds between attempts to connect */
	double heartbeat;         /* seconds between pings; 3 times that without an answer: dead; 0: none */
	size_t max_message;       /* bytes of a frame; a larger one ends the connection */
	/* CURVE; the secret key NULL: none */
	const char *secret_key;   /* our own */
	const char *server_key;   /* the public key of whom we connect to */
	const struct allow *allow;   /* who may connect to what we bind; NULL: whoever knows our key */
};

struct hub;
struct hub *hub_new(struct error *e);
void hub_free(struct hub **h);     /* its sockets must be gone; waits while they linger */

/* The settings are copied, but for `allow`. An address that cannot be used is ERROR_USAGE, one
 * that somebody else has ERROR_BUSY. */
struct socket;
struct socket *socket_new(struct hub *h, const struct socket_settings *s, struct error *e);
void socket_free(struct socket **s);

/* Where it really is bound ("tcp://127.0.0.1:41234" for port 0), the n-th endpoint; what was
 * given for one that it connects to. */
const char *socket_bound(const struct socket *s, size_t n);

/* One message of one frame, or of two where the type has addresses: ROUTER gives and takes
 * the peer's routing id in front. */
struct parcel {
	struct str peer_id;       /* ROUTER: routing id */
	bool delimiter;           /* ROUTER: an empty frame stands before the body, as REQ has it;
	                           * an answer needs it, too */
	struct str body;
	/* sent: unless NULL, the body is not copied, and let go of by a call of this, on any thread,
	 * whether it could be sent or not */
	void (*let_go)(void *body, void *held);
	void *held;
	/* received from a ROUTER: who it is, for a person and as a source's prefix: "curve:" and
	 * 40 characters of Z85, or "tcp:ADDRESS", or (of this machine) "uid:NUMBER" */
	struct str peer;
	size_t extra;             /* received: frames that were there beside these: a surprise */
};

/* 1, 0: nothing there now (or no room to send: `high_water` messages wait for the peer, or, at a
 * ROUTER, 16 MiB of long ones), -1: failed. What is received is good until
 * the next call on this socket but socket_send(). A peer that is gone is no failure: socket_send() to
 * a ROUTER's returns 1, and the message is lost (`*gone` is set; may be NULL). */
int socket_receive(struct socket *s, struct parcel *p, struct error *e);
int socket_send(struct socket *s, const struct parcel *p, bool *gone, struct error *e);

/* Receive a message and send it on without a copy, unless it has more than one frame: then it is
 * gone (`extra`). Of the body only the length is known. Not for ROUTER. */
int socket_pass(struct socket *from, struct socket *to, struct parcel *p, struct error *e);

/* SUB: whatever begins with `prefix`, too. */
int socket_subscribe(struct socket *s, struct str prefix, struct error *e);

/* What has happened since it was made. With every connection a DEALER and a ROUTER begin with
 * empty queues: when `connected` has changed, whatever was under way may be lost. */
struct socket_stats {
	uint64_t begun;                     /* connections that were made or taken in */
	uint64_t connected;                 /* of these, whose handshake was done */
	uint64_t refused;                   /* of these, whose handshake failed, as far as libzmq tells */
	uint64_t ended;                     /* of these, that ended, at whatever stage */
	uint64_t sent, received;            /* messages */
	uint64_t sent_bytes, received_bytes;   /* of bodies */
};
void socket_stats(const struct socket *s, struct socket_stats *out);

/* ---- waiting ---- */

enum hub_event {
	HUB_READ = 1,
	HUB_WRITE = 2,
	HUB_HANGUP = 4,           /* a descriptor's other end is gone; told even if unasked for */
};

struct hub_watch {
	struct socket *socket;    /* or else */
	int fd;                   /* -1: none */
	unsigned events;          /* wanted: HUB_... */
	unsigned ready;           /* filled in */
};

/* Wait until one is ready, at most `seconds` (INFINITY: as long as it takes); it may return
 * sooner. -1: failed; an interruption by a signal is none. Also serves the allow list's requests
 * and the sockets' monitors. */
int hub_wait(struct hub *h, struct hub_watch *watches, size_t n, double seconds, struct error *e);

/* After allow_reload(): is anybody connected whose key is gone? libzmq cannot end one connection,
 * so all sockets begin anew where they were: everybody is cut off, comes back by himself,
 * and is asked again. (Those that connect, too: what an XPUB was asked for is not told again to an
 * XSUB that has forgotten it.) What was in the queues is lost; subscriptions of our own are made again. 1:
 * it was so; 0: nobody had to go; -1: a socket could not be bound again. */
int hub_recheck(struct hub *h, struct error *e);

/* ---- keys ---- */

/* A new pair. */
int socket_keypair(char public_key[KEY_SIZE], char secret_key[KEY_SIZE], struct error *e);

#endif
