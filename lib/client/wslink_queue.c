#include "client/wslink_queue.h"

#include <stdlib.h>

struct queued *
queued_new(void)
{
	return calloc(1, sizeof(struct queued));
}

void
queued_free(struct queued *m)
{
	if (m == NULL)
		return;
	buf_free(&m->text);
	free(m);
}

void
queue_push(struct queue *q, struct queued *m)
{
	m->next = NULL;
	if (q->tail != NULL)
		q->tail->next = m;
	else
		q->head = m;
	q->tail = m;
	q->bytes += m->text.len;
}

struct queued *
queue_pop(struct queue *q)
{
	struct queued *m = q->head;

	if (m == NULL)
		return NULL;
	if ((q->head = m->next) == NULL)
		q->tail = NULL;
	q->bytes -= m->text.len;
	return m;
}

void
queue_empty(struct queue *q)
{
	struct queued *m;

	while ((m = queue_pop(q)) != NULL)
		queued_free(m);
}
