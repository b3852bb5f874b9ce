/*
 * look.h - an answer or a subscription, seen slice by slice: the part of reads.h that
 * runs on a thread and knows nothing of threads.
 *
 * A look owns all that it was made from, and a place that moves on only when a
 * slice has come out whole: one that failed can be asked for again.
 */
#ifndef MONITOR_LOOK_H
#define MONITOR_LOOK_H

#include "match.h"
#include "reads.h"
#include "store.h"

/* Rows that a slice looks at: some 10 ms, or but a moment. It is the query's `work`, and may be
 * changed between slices. */
enum { LOOK_WORK = 32768, LOOK_LITTLE = 256 };

/* How far a look has come. */
struct place {
	bool planned;          /* the rest counts */
	bool begun;            /* the answer's text has */
	uint64_t store;        /* answer: which one */
	struct cursor at;      /* behind this one; store 0: before everything */
	int64_t upto;          /* answer: what arrived later is not in it. Subscription: the
	                        * window is for what had arrived by then; later all is wanted */
	size_t back;           /* answer: records still to walk back over, to where the newest
	                        * so many begin */
	size_t left;           /* answer: so many more at most */
	size_t shown;          /* records so far */
	size_t bytes;          /* that one takes, about */
};

struct look {
	enum proto_action action;
	enum proto_shape shape;
	bool subscription, has_cursor, has_window;
	size_t headroom;
	size_t asked, limit;   /* records at most: the request's own limit, and ours */
	struct query query;    /* all but where to begin and to end */
	struct cursor cursor;  /* where to begin, if it has one */
	struct str id, watchdog, *senders;
	struct match *match;
	char *texts;           /* those of the strings */
	struct place place;
};

enum look_result {
	LOOK_FAILED,
	LOOK_MORE, LOOK_END, LOOK_IDLE,   /* as READ_... */
	LOOK_AGAIN,                       /* much was looked at and nothing found yet */
};

/* As read_new(). On failure look_free() has been called. */
int look_init(struct look *l, const struct proto_request *request, struct str watchdog,
    bool subscription, size_t limit, size_t headroom, struct error *e);
void look_free(struct look *l);

/* The next slice: fills `out->text`, which is empty, `first` and `records`. Without a store
 * (NULL) there is none yet, or none any more. The text of what is not MORE or END is empty.
 * ERROR_USAGE: the request's cursor is not of this store. */
enum look_result look_slice(struct look *l, struct store *s, size_t bytes,
    struct read_result *out, struct error *e);

#endif
