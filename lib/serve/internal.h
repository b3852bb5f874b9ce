/*
 * internal.h - what the parts of serve share. See serve.h.
 *
 *   session.c   input put together, output, how a session ends
 *   actions.c   a whole message, and what to do about it; who is there
 *   upload.c    records to the sink, and the answer when it has settled them
 *   answer.c    reads and subscriptions
 *   tenant.c    what sessions of one watchdog code share
 *   forward.c   notifications to the other sessions
 *   serve.c     the whole: time, stopping, figures
 */
#ifndef MONITOR_SERVE_INTERNAL_H
#define MONITOR_SERVE_INTERNAL_H

#include <sys/queue.h>

#include "buf.h"
#include "ndjson.h"
#include "pool.h"
#include "proto.h"
#include "serve.h"
#include "when.h"

enum {
	SHORT_MESSAGE = 4096,      /* bytes that a begun message may hold without a permit */
	UPLOADS_MAX = 256,         /* of a session, not answered yet */
	ASKS_MAX = 16,             /* likewise, reads */
	REQUESTS_MAX = 4 << 20,    /* bytes of all these requests, likewise */
	REPLIES_MAX = 256 << 10,   /* bytes unsent from which on no more is read */
	PIECE = 128 << 10,         /* bytes of an answer at a time */
};
#define WHOLES 16                 /* of the longest answers that may be put together at once */
#define HOLD ((size_t)64 << 20)   /* memory for long messages that are not whole */
#define HOLDERS 4                 /* the part of it that one watchdog, or all strangers, may have */
#define CLOSE_PATIENCE 5.0        /* seconds for a close to get out */
#define TICK_LATE 2.0             /* seconds since the last tick that show that we stood still */

/* ---- messages ---- */

/* Text to send, behind SERVE_HEADROOM bytes; shared by all who are sent it. */
struct message {
	unsigned refs;
	struct buf text;
};

/* An empty one, or with this text (whose buffer it takes, also on failure). NULL: no
 * memory. Caller owns a reference. */
struct message *message_new(void);
struct message *message_of(struct buf *text);
void message_unref(struct message *m);

struct output {
	struct message *message;
	STAILQ_ENTRY(output) next;
};

TAILQ_HEAD(sessions, session);

/* ---- tenants ---- */

/* What one watchdog code's sessions share. Lives as long as somebody refers to it. */
struct tenant {
	unsigned refs;
	struct sessions sessions;      /* by of_tenant */
	struct sessions readers;       /* who wait for a turn to read, by of_readers */
	unsigned reading;              /* slices being looked for */
	unsigned permits;              /* that its sessions have */
	double tokens, filled_at;      /* the bucket of its rate */
	struct tenant *next;           /* in its chain */
	char code[AUTH_CODE_MAX + 1];
};

/* The caller owns a reference. NULL: no memory, or (find) not there. */
struct tenant *tenant_get(struct serve *s, const char *code);
struct tenant *tenant_find(struct serve *s, struct str code);
void tenant_unref(struct serve *s, struct tenant *t);
int tenants_new(struct serve *s, struct error *e);
void tenants_free(struct serve *s);   /* nobody may refer to one any more */

/* Once in a while: forget those that are only kept for what they owed. */
void tenants_sweep(struct serve *s);

/* May another upload come in? Then `records` of it are charged for: the bucket may
 * go below zero, and the next has to wait for that. */
bool tenant_may_upload(struct serve *s, struct tenant *t);
void tenant_charge(struct serve *s, struct tenant *t, size_t records);

/* ---- uploads ---- */

/* A request to upload, until it is answered. It outlives its session. */
struct upload {
	struct session *session;       /* NULL: gone */
	struct tenant *tenant;
	STAILQ_ENTRY(upload) next;     /* of the session, in the order of requests */
	TAILQ_ENTRY(upload) of_serve;  /* while it is with the sink */
	enum proto_action action;
	size_t count;
	size_t bytes;                  /* of the request */
	double at;                     /* when it was received */
	bool done, failed;
	char *failure;                 /* the comment, if it failed; may be NULL even so */
	struct message *forward;       /* to the others, once it is stored; or NULL */
	struct buf publish;            /* to other instances, likewise */
	size_t id_len;
	char id[];                     /* "id"'s text */
};

/* ---- reads ---- */

/* A read, until it is answered whole. */
struct ask {
	STAILQ_ENTRY(ask) next;
	enum proto_action action;
	size_t bytes;                  /* of the request */
	struct read *read;             /* NULL: it failed before it began */
	bool begun;                    /* a piece of the answer is there */
	struct buf whole;              /* all pieces so far, where they go out as one */
	char *failure;
	size_t id_len;
	char id[];
};

enum wait {
	WAIT_NOTHING,
	WAIT_PERMIT,    /* a message too long to be held without */
	WAIT_SINK,      /* a whole upload, and the sink takes no more */
	WAIT_RATE,      /* a whole upload, and its watchdog has sent too much */
	WAIT_KEY,       /* a token, and the key to check it with is being fetched */
	WAITS
};

struct session {
	struct serve *serve;
	void *transport;
	char *name;
	TAILQ_ENTRY(session) of_serve, of_tenant, of_readers, of_waiters, of_subscribers;
	struct tenant *tenant;         /* NULL: not authenticated */
	struct identity who;
	bool greeted;                  /* a first message has come: no token any more */
	bool retried;                  /* the token was checked with a new key, too */

	struct buf in;                 /* a message that is not whole, or waits */
	bool receiving;                /* in session_receive(): nobody need be woken */
	bool whole, binary, permit;    /* about `in` */
	enum wait wait;

	size_t owed;                   /* bytes of the requests in the next two */
	STAILQ_HEAD(, upload) uploads;
	unsigned upload_count;
	STAILQ_HEAD(, ask) asks;       /* the first is under way */
	unsigned ask_count;
	bool ask_waits;                /* for its tenant's turn */
	bool ask_looks;                /* a slice is being looked for */

	struct read *subscription;
	struct message *subscribed;    /* the reply, for when the first slice is there */
	struct buf subscribe_id;       /* and the id of its request */
	bool news, subscription_looks;

	STAILQ_HEAD(, output) out;     /* whole messages */
	size_t out_bytes;
	struct message *piece;         /* of an answer, the next */
	bool piece_first, piece_last;
	struct message *sending;       /* what session_output() gave, until session_sent() */
	bool sending_first, sending_last;
	bool in_answer;                /* a piece of an answer is out, and not its last */
	bool want_ping;

	double opened_at, begun_at, alive_at, message_at, pinged_at, closing_at;
	int close_code;                /* 0: not closing */
	const char *close_reason;
	bool closed, dropped;          /* the close is out; or is not to be waited for */
};

struct serve {
	struct serve_settings settings;
	struct proto *proto;
	struct ndjson *reader;         /* of lines from elsewhere */
	struct sessions sessions;          /* by of_serve */
	struct sessions subscribers;       /* by of_subscribers */
	struct sessions waiters[WAITS];    /* by of_waiters */
	unsigned permits;              /* that are left */
	unsigned permits_each;         /* that one tenant, or all strangers, may have */
	unsigned strangers;            /* that these have */
	struct tenant **tenants;       /* chains */
	size_t tenant_count, chain_count;
	double ticked_at;
	int64_t seq;                   /* the last number given to a line */
	struct buf source;             /* of the upload that is being made up */
	TAILQ_HEAD(, upload) in_flight;    /* with the sink, not settled */
	struct pool_job refresh;       /* of the key */
	struct error refresh_error;
	size_t whole_bytes;            /* of answers that are being put together */
	bool refreshing, resuming, stopping;
	struct serve_stats stats;
};

void serve_say(struct serve *s, int priority, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- session.c ---- */

void session_wake(struct session *s);

/* Send it when its turn comes. The caller's reference goes, also on failure:
 * then the session is closed. NULL: no memory, likewise. */
void session_send(struct session *s, struct message *m);

/* Begin to close: what waits to be sent goes out first. `end`: ENDS, if it is
 * nobody's fault. */
void session_close(struct session *s, int code, const char *reason, enum serve_end end);

/* The same, without waiting for anything. */
void session_drop(struct session *s, enum serve_end end);

/* What had to wait can go on: handle the whole message that it holds. */
void session_go_on(struct session *s);

/* Something of it has come to its end: when all has, and we are stopping, so has it. */
void session_settle(struct session *s);

/* It has turned out who it is. -1: no memory. */
int session_join(struct session *s, const struct identity *who);

/* ---- actions.c ---- */

/* Handle a whole message. WAIT_NOTHING: done; else it must be kept, and handled
 * again when the wait is over. */
enum wait action_handle(struct session *s, struct str text, bool binary);

/* Answer that a request failed, in its turn. */
void action_fail(struct session *s, const struct proto_request *r, enum serve_reject why,
    const char *comment);

/* Fetch the key anew if it is time, or if somebody waits for it. */
void action_refresh(struct serve *s);

/* ---- upload.c ---- */

enum wait upload_handle(struct session *s, const struct proto_request *r);
void upload_fail(struct session *s, const struct proto_request *r, const char *comment);
void upload_free(struct serve *serve, struct upload *u);

/* ---- answer.c ---- */

void answer_handle(struct session *s, const struct proto_request *r);
void answer_fail(struct session *s, const struct proto_request *r, const char *comment);
void answer_subscribe(struct session *s, const struct proto_request *r);
void answer_unsubscribe(struct session *s);
void answer_go_on(struct session *s);    /* a piece is out, or all output */
void answer_end_all(struct session *s);

/* ---- forward.c ---- */

/* Send a message to all sessions of a tenant but one. */
void forward_to(struct serve *s, struct tenant *t, struct message *m, const struct session *but);

#endif
