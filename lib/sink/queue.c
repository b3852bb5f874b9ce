#include "sink/queue.h"

#include <stdlib.h>
#include <string.h>

#include "source.h"

void
sink_queue_free(struct sink_queue *q)
{
	sink_sources_free(&q->sources);
}

struct sink_parcel *
sink_queue_new_parcel(struct sink_queue *q, struct str source, struct error *e)
{
	struct sink_parcel *p;

	if (source.len < 1 || source.len > SOURCE_MAX) {
		error_set(e, ERROR_USAGE, "a source must have 1 to %d bytes", SOURCE_MAX);
		return NULL;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL ||
	    (p->source = sink_source_hold(&q->sources, source)) == NULL) {
		free(p);
		error_memory(e);
		return NULL;
	}
	return p;
}

void
sink_queue_free_parcel(struct sink_queue *q, struct sink_parcel **p)
{
	if (*p == NULL)
		return;
	sink_source_release(&q->sources, (*p)->source);
	buf_free(&(*p)->lines);
	buf_free(&(*p)->refused);
	free((char *)(*p)->reject);
	free(*p);
	*p = NULL;
}

void
sink_queue_add(struct sink_queue *q, struct sink_parcel *p)
{
	struct sink_source *source = p->source;

	if ((p->prev = q->last) != NULL)
		p->prev->next = p;
	else
		q->first = p;
	q->last = p;
	if (source->last != NULL)
		source->last->next_of_source = p;
	else
		source->first = p;
	source->overlaps = source->last != NULL && (source->overlaps || p->first <= source->highest);
	if (source->last == NULL || p->last > source->highest)
		source->highest = p->last;
	source->last = p;
	if (q->unsent == NULL)
		q->unsent = p;
	q->bytes += p->lines.len;
	q->beside += p->beside;
	q->parcels++;
}

void
sink_queue_take(struct sink_queue *q, struct sink_parcel *p)
{
	struct sink_source *source = p->source;

	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		q->first = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	else
		q->last = p->prev;
	if ((source->first = p->next_of_source) == NULL)
		source->last = NULL;
	if (source->refused == p)
		source->refused = NULL;
	p->prev = p->next = p->next_of_source = NULL;
	q->bytes -= p->lines.len;
	q->beside -= p->beside;
	q->parcels--;
}

/* ---- sending ---- */

size_t
sink_queue_gather(const struct sink_queue *q, struct iovec *iov, size_t max)
{
	const struct sink_parcel *p = q->unsent;
	size_t skip = q->written, bytes = 0, n = 0;

	for (; p != NULL && n < max && bytes < SINK_QUEUE_PIECE; p = p->next, skip = 0) {
		iov[n] = (struct iovec){ p->lines.data + skip, p->lines.len - skip };
		bytes += iov[n++].iov_len;
	}
	return n;
}

void
sink_queue_advance(struct sink_queue *q, size_t n)
{
	n += q->written;
	while (q->unsent != NULL && n >= q->unsent->lines.len) {
		n -= q->unsent->lines.len;
		q->unsent->sent = true;
		q->unsent = q->unsent->next;
	}
	q->written = n;
}

uint64_t
sink_queue_rewind(struct sink_queue *q)
{
	uint64_t lines = 0;

	for (struct sink_parcel *p = q->first; p != q->unsent; p = p->next) {
		lines += p->count;
		p->sent = false;
	}
	if (q->unsent != NULL)
		lines += str_count_lines((struct str){ q->unsent->lines.data, q->written });
	q->unsent = q->first;
	q->written = 0;
	return lines;
}

/* ---- answers ---- */

struct sink_parcel *
sink_queue_settled(const struct sink_queue *q, struct str source, int64_t seq)
{
	struct sink_source *s = sink_source_find(&q->sources, source);

	if (s == NULL || s->first == NULL || !s->first->sent || s->first->last > seq)
		return NULL;
	return s->first;
}

struct sink_parcel *
sink_queue_written(const struct sink_queue *q)
{
	return q->first != NULL && q->first->sent ? q->first : NULL;
}

/* Rejects come in order, so it is near the last. */
struct sink_parcel *
sink_queue_find(struct sink_queue *q, struct str source, int64_t seq)
{
	struct sink_source *s = sink_source_find(&q->sources, source);
	struct sink_parcel *p;

	if (s == NULL)
		return NULL;
	p = s->refused != NULL && s->refused->first <= seq ? s->refused : s->first;
	while (p != NULL && (p->first > seq || p->last < seq))
		p = p->next_of_source;
	if (p != NULL)
		s->refused = p;
	return p;
}

const int64_t *
sink_parcel_refused(const struct sink_parcel *p, size_t *count)
{
	*count = p->refused.len / sizeof(int64_t);
	return (const int64_t *)(const void *)p->refused.data;
}

int
sink_parcel_refuse(struct sink_parcel *p, int64_t seq, struct str reason)
{
	size_t n;
	const int64_t *known = sink_parcel_refused(p, &n);

	/* When lines are sent again, some may be refused again. */
	if (n > 0 && known[n - 1] >= seq)
		return 0;
	if ((p->reject == NULL && (p->reject = strndup(reason.data, reason.len)) == NULL) ||
	    buf_add(&p->refused, &seq, sizeof(seq)) == -1)
		return -1;
	return 1;
}
