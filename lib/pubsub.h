/*
 * pubsub.h - what goes from publishers to subscribers: a record in a frame,
 *
 *     log.freezer000000004.
 *     PUBLISHER NUMBER
 *     {"kind":"log","watchdog":"freezer000000004",...}
 *
 * The first line is the topic: who wants one watchdog's asks for what begins with it, and
 * gets no other's whose code begins with the same characters. PUBLISHER is the
 * name of one run of a publisher; NUMBER counts what that has sent on this topic, from 1: so
 * a subscriber sees what it has missed.
 */
#ifndef MONITOR_PUBSUB_H
#define MONITOR_PUBSUB_H

#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "record.h"
#include "str.h"

#define PUBSUB_LINE_MAX ((size_t)4 << 20)             /* what a program here takes */
#define PUBSUB_FRAME_MAX (PUBSUB_LINE_MAX + 256)

struct pubsub {
	struct str topic;          /* with its final dot; of kind and watchdog, and not looked at when
	                            * one is written */
	enum record_kind kind;
	struct str watchdog;
	struct str publisher;      /* 1 to 64 of [A-Za-z0-9_-] */
	uint64_t number;           /* 1.. */
	struct str line;           /* without a newline; whether it is a record is not looked at */
};

/* Take a frame apart. The strings point into it. -1: it is none. */
int pubsub_read(struct str frame, struct pubsub *out, struct error *e);

/* Append one, or a topic. -1: no memory. */
int pubsub_write(struct buf *b, const struct pubsub *p);
int pubsub_write_topic(struct buf *b, enum record_kind kind, struct str watchdog);

#endif
