/*
 * serve.h - the daemon without its sockets: sessions, who they are, what they
 * upload, read and are sent.
 *
 * A transport (WebSocket, ZeroMQ) makes a session for each connection, gives it
 * what comes in and sends what it has to say. Everything happens on the
 * transport's thread. What blocks runs on the pool; records go to the sink, and an upload is
 * answered when that has settled it.
 *
 * Flow: the transport stops reading a session's connection while session_reads() is
 * false; serve calls `wake` whenever that, or the output, or whether it is to be closed, may
 * have changed. A session whose input is not read is never timed out. Memory is bounded: by
 * the sink's room, by permits for long messages, by `max_queue` a session.
 */
#ifndef MONITOR_SERVE_H
#define MONITOR_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"
#include "error.h"
#include "reads.h"
#include "sink.h"
#include "str.h"

/* Bytes in front of all output that the transport may overwrite (a frame's header). */
#define SERVE_HEADROOM 16

enum {                       /* RFC 6455, section 7.4.1 */
	SERVE_CLOSE_NORMAL = 1000,
	SERVE_CLOSE_AWAY = 1001,
	SERVE_CLOSE_NOT_UTF8 = 1007,
	SERVE_CLOSE_POLICY = 1008,
	SERVE_CLOSE_TOO_BIG = 1009,
	SERVE_CLOSE_ERROR = 1011,
};

struct session;

struct serve_settings {
	struct auth *auth;
	struct sink *sink;
	struct reads *reads;         /* NULL: no store to read from */
	struct pool *pool;           /* for the fetch of a key; may be that of `reads` */
	bool numbered;               /* lines to the sink carry source and seq */
	const char *run;             /* the name of this run: source and origin; 1..64 of [A-Za-z0-9_-] */
	double timeout;              /* seconds without a message, advertised */
	double auth_timeout;         /* seconds until authenticated */
	double ping_interval;        /* seconds of silence until a ping; as long again: it is dead */
	size_t max_message;          /* bytes */
	size_t max_records;          /* in one upload */
	size_t max_answer;           /* in one answer */
	size_t whole;                /* bytes: an answer goes out as one, and one that gets longer
	                              * fails; 0: answers go out in pieces, of any length */
	bool quiet;                  /* nothing goes out that was not asked for: no notifications
	                              * that others have uploaded */
	size_t max_queue;            /* bytes of messages waiting for a slow receiver */
	unsigned max_reads;          /* of one watchdog at once */
	double rate, burst;          /* records/s of one watchdog, and how many at once; 0: no bound */
	/* Notifications that have been stored, as lines (with "origin"). NULL: not wanted. */
	void (*publish)(void *arg, struct str lines);
	/* For the log: priority as syslog(3) has it. Never a token or a message's text. */
	void (*say)(void *arg, int priority, const char *text);
	/* Look at the session again: at its output, session_reads(), session_dropped(). Not
	 * called for a session that is in session_receive(): look at it after that. */
	void (*wake)(void *transport);
	void *arg;
};

struct serve;
struct serve *serve_new(const struct serve_settings *settings, struct error *e);
void serve_free(struct serve **s);   /* all sessions must be closed */

/* ---- for the event loop ---- */

/* From the sink's `settled`. */
void serve_settled(struct serve *s, struct sink_parcel *p);

/* Once a second: timeouts, pings, what waited for its rate; the key of the auth service. When it is
 * late the time until then counts against nobody. */
void serve_tick(struct serve *s);

/* After sink_work(), sink_flush(): go on with what waited for the sink. */
void serve_resume(struct serve *s);

/* There are news in the store: reads_watch(). Is anybody subscribed to them? */
void serve_news(struct serve *s);
bool serve_wants_news(const struct serve *s);

/* A line from another instance: a notification for the sessions of its watchdog.
 * Lines of one call are regrouped into as few messages as may be. -1: a line is no
 * record (the others count). */
int serve_forward(struct serve *s, struct str lines, struct error *e);

/* After auth_reload(): close whoever is not let in any more. */
void serve_recheck(struct serve *s);

/* Take in nothing more; go on with what is under way. */
void serve_stop(struct serve *s);
bool serve_busy(const struct serve *s);   /* is something still under way? */

/* ---- a session ---- */

/* `name` is who it is for the log: an address. */
struct session *session_new(struct serve *s, void *transport, const char *name, struct error *e);

/* The transport itself knows who this is, and has proof: no token is asked for, or taken.
 * To be called before anything was received. -1: no memory. */
int session_vouch(struct session *s, const struct identity *who, struct error *e);

/* The connection is gone. What it has uploaded is stored all the same. */
void session_free(struct session **s);

/* A piece of a message: `first`, `last` as it begins and ends it. Only while
 * session_reads(). */
void session_receive(struct session *s, struct str piece, bool first, bool last, bool binary);
bool session_reads(const struct session *s);

/* Is nothing of it under way: no request, upload or answer? (A subscription is not looked at.) */
bool session_idle(const struct session *s);

/* The other end is alive: a pong, a ping. */
void session_alive(struct session *s);

/* The next thing to send. */
struct session_output {
	enum { OUTPUT_NONE, OUTPUT_PING, OUTPUT_TEXT, OUTPUT_CLOSE } type;
	char *data;              /* TEXT: may be written to from SERVE_HEADROOM bytes before it on */
	size_t len;
	bool first, last;        /* TEXT: of the pieces of a message */
	int code;                /* CLOSE: SERVE_CLOSE_... */
	const char *reason;      /* CLOSE: up to 123 bytes */
};

/* What is it? The same until session_sent() says that it went out; until then the data
 * is good. After a CLOSE nothing comes. */
void session_output(struct session *s, struct session_output *out);
void session_sent(struct session *s);

/* The other end is dead, or too slow: close the connection now, without waiting until it
 * takes anything. To be looked at in `wake`. */
bool session_dropped(const struct session *s);

/* ---- figures ---- */

enum serve_reject {          /* why requests fail */
	REJECT_JSON, REJECT_ACTION, REJECT_MEMBER, REJECT_RECORD, REJECT_ROLE, REJECT_AUTH,
	REJECT_UNAUTHENTICATED, REJECT_TOO_BIG, REJECT_UTF8, REJECT_BINARY, REJECT_SINK,
	REJECT_STORE, REJECTS
};
extern const char *const serve_reject_names[REJECTS];

enum serve_end {             /* why sessions are closed by us */
	END_AUTH, END_TIMEOUT, END_DEAD, END_SLOW, END_EXPIRED, END_REVOKED, END_PROTOCOL, ENDS
};
extern const char *const serve_end_names[ENDS];

/* Why tokens are not taken, by enum auth_result: from AUTH_EXPIRED to AUTH_FAILED. */
extern const char *const serve_denial_names[AUTH_LATER];

#define SERVE_LATENCIES 12
extern const double serve_latency_bounds[SERVE_LATENCIES];   /* seconds; the last INFINITY */

struct serve_stats {
	uint64_t sessions, authenticated, subscriptions;   /* now */
	uint64_t sessions_ever;
	uint64_t messages, bytes;                /* received */
	uint64_t records[RECORD_KINDS];          /* acknowledged */
	uint64_t reads, read_records;            /* answered */
	uint64_t forwarded;                      /* messages sent on, each receiver counted */
	uint64_t rejects[REJECTS], ends[ENDS];
	uint64_t denials[AUTH_LATER];            /* of tokens; of AUTH_OK none */
	uint64_t queued_bytes;                   /* for receivers, now */
	uint64_t held_bytes;                     /* of messages not whole or not taken yet, now */
	uint64_t waiting;                        /* sessions not read from, now */
	uint64_t latency[SERVE_LATENCIES];       /* uploads, from received to answered */
	double latency_sum;
};
void serve_stats(const struct serve *s, struct serve_stats *out);

#endif
