/*
 * proto.h - the protocol that watchdogs and their owners' apps speak: requests
 * read, replies written. See monitor-protocol(7). No sockets, no state but the
 * memory that a reader uses again.
 *
 * A message is one JSON object with a string "action". What is read here is
 * right in every part: who acts on a request need not look at types again. Of
 * members given twice the last one counts. Members that are not known, or mean nothing
 * to an action, are ignored; null is as good as nothing where it is not a value ("id",
 * "token", a list, a record's members).
 */
#ifndef MONITOR_PROTO_H
#define MONITOR_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "query.h"
#include "record.h"
#include "str.h"

enum proto_action {
	PROTO_AUTH,
	PROTO_UPLOAD_LOGS, PROTO_UPLOAD_NOTIFICATIONS,
	PROTO_GET_LOGS, PROTO_GET_NOTIFICATIONS, PROTO_GET_RECORDS,
	PROTO_SUBSCRIBE, PROTO_UNSUBSCRIBE,
	PROTO_PING, PROTO_KEEPALIVE, PROTO_DISCONNECT,
	PROTO_UNKNOWN,
	PROTO_ACTIONS
};

/* The name of an action as it stands on the wire ("getLogs"); "" for PROTO_UNKNOWN. */
const char *proto_action_name(enum proto_action action);

/* How the records of an answer look. */
enum proto_shape {
	PROTO_LOG_ROWS,            /* [sender, message, level] */
	PROTO_NOTIFICATION_ROWS,   /* [sender, message, level, time] */
	PROTO_OBJECTS,             /* {"kind":...,"watchdog":...,...}, as in the stream */
	PROTO_OBJECTS_CURSORS,     /* the same, each with its position as "cursor" */
	PROTO_NEWS,                /* none at all: only that there are some (subscribe) */
};

#define PROTO_TEXT_MAX 1024     /* bytes of "text" */
#define PROTO_SENDERS_MAX 100   /* senders in one request */
#define PROTO_SOURCE_MAX 64     /* characters of a client's "source" */

/* What is asked for by getLogs, getNotifications, getRecords, subscribe. */
struct proto_read {
	unsigned kinds;                /* set of kinds (record.h) */
	struct str senders[PROTO_SENDERS_MAX];
	size_t sender_count;           /* 0: all */
	int64_t level_min, level_max;
	double since, until;           /* time >= since, < until; -INFINITY, INFINITY where open */
	struct str text;               /* literal, not empty; data NULL: none */
	bool has_cursor;
	struct cursor cursor;
	bool has_window;               /* since, until or timewindow was there: always so,
	                                * or a cursor, in getLogs and getNotifications */
	enum query_order order;
	bool reverse;
	size_t limit;                  /* SIZE_MAX: none was asked for */
	enum proto_shape shape;
};

struct proto_request {
	enum proto_action action;
	struct str name;       /* "action" as it was given, escapes undone */
	struct str id;         /* "id"'s value as JSON text; data NULL: none */
	struct str token;      /* auth: "token"'s value as JSON text; data NULL: none */
	/* upload...: */
	struct str records;    /* the list, as JSON text; data NULL: a single record,
	                        * whose members stand in `message` itself */
	struct str message;    /* the whole object, as JSON text */
	struct str source;     /* the client's own numbering; data NULL: none */
	int64_t seq;           /* number of the first record */
	/* get..., subscribe: */
	struct proto_read read;
};

/* A reader. Used by one thread at a time. */
struct proto;
struct proto *proto_new(struct error *e);
void proto_free(struct proto **p);

/* Read one message at the time `now` (Unix seconds; a "timewindow" counts back from
 * it). Strings in `out` point into the text or into the reader, and are good until
 * the next call. On failure (ERROR_INVALID) the error's text is fit to be the
 * comment of a reply (it quotes nothing of the message but its members' names), and
 * `out` has action, name and id as far as they could be read (action PROTO_UNKNOWN,
 * name empty: not even the action). An action that is none of ours is no failure.
 * Where uploaded "logs" are no list the text is the contract's: "Please submit
 * logs as list of length >= 1". ERROR_MEMORY otherwise. */
int proto_read(struct proto *p, struct str message, double now, struct proto_request *out,
    struct error *e);

/* How the lines of an upload are to be labelled. */
struct proto_labels {
	enum record_kind kind;
	struct str watchdog;
	struct str source;      /* data NULL: without source and seq */
	int64_t seq;            /* of the first; rises by one a record */
	struct str origin;      /* data NULL: without; else as "origin", behind all others */
};

/* Append the records of an upload as lines (monitor-record(5)), built afresh: kind,
 * watchdog, source and seq are the labels', whatever a record says. `*count` is how many.
 * On failure (ERROR_INVALID, ERROR_MEMORY) nothing is appended, and the text names index,
 * from 0, and member ("record 3: level: must be an integer"), fit for a comment; more
 * than `max` records (1 or more) are a failure, too. To be called on what proto_read()
 * filled last. */
int proto_lines(struct proto *p, const struct proto_request *r, const struct proto_labels *labels,
    size_t max, struct buf *lines, size_t *count, struct error *e);

/* The range of seq that an upload of `count` records spends must not go beyond
 * INT64_MAX; proto_lines() sees to that. */

/* Append what the other connections are sent of an upload of notifications: the
 * whole request, but for "id", "source", "seq", and with "success":true. A single
 * record becomes a list of one. */
int proto_forward(struct proto *p, const struct proto_request *r, struct buf *out, struct error *e);

/* The same of records, from elsewhere: begin (count 0), add, end. */
int proto_forward_begin(struct buf *out);
int proto_forward_record(struct buf *out, const struct record *r, size_t count);
int proto_forward_end(struct buf *out);

/* Take "origin", which proto_lines() put behind a record that now comes from elsewhere,
 * out of the members that are not its own. `*origin` has data NULL if there is none, or
 * it is no string. Both are good until the next call on the reader; what proto_read()
 * filled before is gone. */
int proto_take_origin(struct proto *p, struct record *r, struct str *origin, struct error *e);

/* ---- replies: all append one JSON text, -1 only where memory ran out ---- */

/* {"success":B,"action":NAME[,"id":ID][,"comment":C]}
 * Of the request only action and id are looked at, and name if the action is unknown:
 * who answers later need not keep more. NAME is "" if there was none. */
int proto_reply(struct buf *out, const struct proto_request *r, bool success, const char *comment);

/* {"success":true,"action":"auth"[,"id":ID],"timeout":30} */
int proto_reply_auth(struct buf *out, const struct proto_request *r, double timeout);

/* "Inserted N log(s) into db." for an action that uploads. */
#define PROTO_COMMENT_SIZE 64
void proto_inserted(enum proto_action action, size_t count, char comment[PROTO_COMMENT_SIZE]);

/* An answer in pieces: begin, records (`nth` counts from 0), end.
 *     {"success":true,"action":"getLogs"[,"id":ID],"logs":[ R , R ]}
 *     ...],"cursor":C}            where the shape has objects and `at` is not NULL
 * The list is named "logs", "notifications" or, for getRecords, "records".
 * (The header of an answer needs only action and id: both are copied by who keeps them.) */
int proto_answer_begin(struct buf *out, enum proto_action action, struct str id);
int proto_answer_record(struct buf *out, enum proto_shape shape, const struct record *r,
    const struct cursor *at, size_t nth);
int proto_answer_end(struct buf *out, enum proto_shape shape, const struct cursor *at);

/* What a subscription sends: {"action":"records","records":[ R , R ],"cursor":C}, or
 * without "records" for PROTO_NEWS. Records are added with proto_answer_record(). */
int proto_records_begin(struct buf *out, enum proto_shape shape);
int proto_records_end(struct buf *out, enum proto_shape shape, const struct cursor *at);

#endif
