#include "batch.h"

#include <stdlib.h>
#include <string.h>

/* Memory for strings comes in chunks, so that what was handed out stays where
 * it is. Long strings get a chunk of their own, which does not outlive the
 * round. */
#define CHUNK_SIZE ((size_t)256 << 10)
#define LONG_STRING (CHUNK_SIZE / 4)

struct chunk {
	struct chunk *next;
	size_t used, size;
	char data[];
};

static struct chunk *
chunk_new(struct chunk **at, size_t size)
{
	struct chunk *c;

	if (size > SIZE_MAX / 2 || (c = malloc(sizeof(*c) + size)) == NULL)
		return NULL;
	c->size = size;
	c->used = 0;
	c->next = *at;
	*at = c;
	return c;
}

static void
chunks_free(struct chunk **at)
{
	struct chunk *c;

	while ((c = *at) != NULL) {
		*at = c->next;
		free(c);
	}
}

static char *
batch_alloc(struct batch *b, size_t n)
{
	struct chunk *c = b->current;

	if (n > LONG_STRING) {
		c = chunk_new(&b->longs, n);
	} else if (c == NULL || c->size - c->used < n) {
		if (c != NULL && c->next != NULL)
			c = c->next;
		else
			c = chunk_new(c != NULL ? &c->next : &b->chunks, CHUNK_SIZE);
		if (c != NULL)
			b->current = c;
	}
	if (c == NULL)
		return NULL;
	c->used += n;
	b->bytes += n;
	return c->data + c->used - n;
}

static struct str
copy(char **to, struct str s)
{
	struct str r = { *to, s.len };

	if (s.len > 0)
		memcpy(*to, s.data, s.len);
	*to += s.len;
	return r;
}

/* The array with room for one more element, or NULL (and it stays as it is). */
static void *
grow(void *array, size_t size, size_t count, size_t *room)
{
	size_t n = *room > 0 ? *room * 2 : 64;

	if (count < *room)
		return array;
	if (n > SIZE_MAX / size || (array = realloc(array, n * size)) == NULL)
		return NULL;
	*room = n;
	return array;
}

struct batch *
batch_new(struct error *e)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		error_memory(e);
	return b;
}

void
batch_free(struct batch **bp)
{
	struct batch *b = *bp;

	if (b == NULL)
		return;
	chunks_free(&b->chunks);
	chunks_free(&b->longs);
	free(b->offers);
	free(b->marks);
	free(b->index);
	free(b);
	*bp = NULL;
}

void
batch_clear(struct batch *b)
{
	for (struct chunk *c = b->chunks; c != NULL; c = c->next)
		c->used = 0;
	chunks_free(&b->longs);
	b->current = b->chunks;
	b->count = b->mark_count = b->bytes = 0;
	b->refusals = false;
	b->added = (struct store_added){ 0 };
	if (b->index != NULL)
		memset(b->index, 0, b->index_size * sizeof(*b->index));
}

bool
batch_full(const struct batch *b, size_t records)
{
	return b->count >= records || b->bytes >= records * BATCH_RECORD_BYTES;
}

/* ---- marks ---- */

static size_t
mark_hash(const struct producer *p, struct str source)
{
	uint64_t h = 14695981039346656037u ^ (uintptr_t)p;   /* FNV-1a */

	for (size_t i = 0; i < source.len; i++)
		h = (h ^ (unsigned char)source.data[i]) * 1099511628211u;
	return (size_t)(h ^ h >> 32);
}

static bool
mark_is(const struct batch_mark *m, const struct producer *p, struct str source)
{
	return m->producer == p && str_equal(m->source, source);
}

/* The place in the index where this mark is, or would go. */
static uint32_t *
mark_slot(const struct batch *b, const struct producer *p, struct str source)
{
	size_t i = mark_hash(p, source);

	for (;; i++) {
		uint32_t *slot = &b->index[i & (b->index_size - 1)];
		if (*slot == 0 || mark_is(&b->marks[*slot - 1], p, source))
			return slot;
	}
}

/* Keep the index at most half full. */
static int
index_grow(struct batch *b)
{
	size_t size = b->index_size > 0 ? b->index_size * 2 : 128;
	uint32_t *bigger;

	if (b->mark_count < b->index_size / 2)
		return 0;
	if ((bigger = calloc(size, sizeof(*bigger))) == NULL)
		return -1;
	free(b->index);
	b->index = bigger;
	b->index_size = size;
	for (size_t i = 0; i < b->mark_count; i++)
		*mark_slot(b, b->marks[i].producer, b->marks[i].source) = (uint32_t)i + 1;
	return 0;
}

/* The mark of this producer's source, made if it is not there. */
static struct batch_mark *
batch_mark(struct batch *b, struct producer *p, struct str prefix, const struct ndjson_line *l)
{
	struct batch_mark *m, *marks;
	uint32_t *slot;
	char *name;

	/* Nearly always the source of the line before. */
	if (b->mark_count > 0 && mark_is(m = &b->marks[b->mark_count - 1], p, l->source))
		return m;
	if (index_grow(b) == -1)
		return NULL;
	if (*(slot = mark_slot(b, p, l->source)) != 0)
		return &b->marks[*slot - 1];
	if ((marks = grow(b->marks, sizeof(*marks), b->mark_count, &b->mark_room)) == NULL)
		return NULL;
	b->marks = marks;
	if ((name = batch_alloc(b, prefix.len + l->source.len)) == NULL)
		return NULL;
	m = &b->marks[b->mark_count++];
	m->producer = p;
	m->stored = (struct str){ name, prefix.len + l->source.len };
	copy(&name, prefix);
	m->source = copy(&name, l->source);
	m->seq = l->seq;
	*slot = (uint32_t)b->mark_count;
	return m;
}

int
batch_add(struct batch *b, struct producer *p, struct str prefix, const struct ndjson_line *l,
    bool refused, struct error *e)
{
	struct store_offer o = { .refused = refused }, *offers;
	const struct record *r = &l->record;
	struct batch_mark *m;
	char *to;

	if ((offers = grow(b->offers, sizeof(*offers), b->count, &b->room)) == NULL)
		return error_memory(e);
	b->offers = offers;
	if (!refused) {
		to = batch_alloc(b, r->watchdog.len + r->sender.len + r->message.len + r->extra.len);
		if (to == NULL)
			return error_memory(e);
		o.record = *r;
		o.record.watchdog = copy(&to, r->watchdog);
		o.record.sender = copy(&to, r->sender);
		o.record.message = copy(&to, r->message);
		o.record.extra = copy(&to, r->extra);
	}
	if (l->source.data != NULL) {
		if ((m = batch_mark(b, p, prefix, l)) == NULL)
			return error_memory(e);
		if (l->seq > m->seq)
			m->seq = l->seq;
		o.source = m->stored;
		o.seq = l->seq;
	}
	b->refusals |= refused;
	b->offers[b->count++] = o;
	return 0;
}
