/*
 * wslink_queue.h - messages that wait. Part of wslink.c.
 */
#ifndef MONITOR_CLIENT_WSLINK_QUEUE_H
#define MONITOR_CLIENT_WSLINK_QUEUE_H

#include <stddef.h>

#include "buf.h"

struct queued {
	struct queued *next;
	struct buf text;
};

/* A zeroed struct is an empty queue. */
struct queue {
	struct queued *head, *tail;
	size_t bytes;
};

/* An empty message; NULL: no memory. */
struct queued *queued_new(void);
void queued_free(struct queued *m);

void queue_push(struct queue *q, struct queued *m);
struct queued *queue_pop(struct queue *q);   /* NULL: there is none */
void queue_empty(struct queue *q);

#endif
