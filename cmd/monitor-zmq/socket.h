/*
 * socket.h - ZeroMQ sockets as all verbs use them: endpoints, CURVE, high-water marks,
 * heartbeats, who is at the other end. The only user of libzmq.
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
#include "buf.h"
#include "error.h"
#include "str.h"

enum socket_type { SOCKET_PUB, SOCKET_SUB, SOCKET_XPUB, SOCKET_XSUB, SOCKET_DEALER, SOCKET_ROUTER };

struct endpoint {
	const char *address;      /* tcp://HOST:PORT, ipc://PATH, inproc://NAME */
	bool bind;                /* else connect */
};

struct socket_settings {
	enum socket_type type;
	const struct endpoint *endpoints;
	size_t endpoint_count;
	int high_water;           /* messages, each way */
	double linger;            /* seconds that what is unsent may take at the end */
	double retry_min, retry_max;   /* seconds between attempts to connect */
	double heartbeat;         /* seconds between pings; 3 times that without an answer: dead */
	size_t max_message;       /* bytes of a frame; a larger one ends the connection */
	/* CURVE; the secret key NULL: none */
	const char *secret_key;   /* our own, 40 characters of Z85 */
	const char *server_key;   /* the public key of whom we connect to */
	struct allow *allow;      /* who may connect to what we bind; NULL: whoever knows our key */
};

struct hub;
struct hub *hub_new(struct error *e);
void hub_free(struct hub **h);     /* its sockets must be gone */

struct socket;
struct socket *socket_new(struct hub *h, const struct socket_settings *s, struct error *e);
void socket_free(struct socket **s);

/* Where it really is bound ("tcp://127.0.0.1:41234" for port 0), the n-th endpoint. */
const char *socket_bound(struct socket *s, size_t n);

/* One message of one frame, or of two where the type has addresses: ROUTER gives and takes
 * the peer's routing id in front. */
struct parcel {
	struct str peer_id;       /* ROUTER: routing id */
	struct str peer;          /* received: who it is, for a person and as a source's prefix:
	                           * "curve:" and 40 characters of Z85, or "tcp:ADDRESS" */
	struct str body;          /* received: good until the next call on this socket */
	size_t extra;             /* frames that were there beside these: a surprise */
};

/* 1, 0: nothing there now (or no room to send), -1: failed. A peer that is gone is no
 * failure of socket_send() to a ROUTER's: it returns 1, and the message is lost (*gone is set). */
int socket_receive(struct socket *s, struct parcel *p, struct error *e);
int socket_send(struct socket *s, struct str peer_id, struct str body, bool *gone, struct error *e);

/* SUB: add, SUB and XSUB only. */
int socket_subscribe(struct socket *s, struct str prefix, struct error *e);

/* Something has happened to its connections, as counted since it was made. */
struct socket_stats {
	uint64_t connected, disconnected;   /* ever */
	uint64_t refused;                   /* handshakes that failed, ever */
	uint64_t sent, received;            /* messages */
};
void socket_stats(struct socket *s, struct socket_stats *out);

/* ---- waiting ---- */

enum hub_event { HUB_READ = 1, HUB_WRITE = 2 };

struct hub_watch {
	struct socket *socket;    /* or else */
	int fd;
	unsigned events;          /* wanted: HUB_... */
	unsigned ready;           /* filled in */
};

/* Wait until one is ready, at most `seconds` (INFINITY: as long as it takes). -1: failed; an
 * interruption by a signal is none. Also serves the allow list's requests and the sockets' monitors. */
int hub_wait(struct hub *h, struct hub_watch *watches, size_t n, double seconds, struct error *e);

#endif
