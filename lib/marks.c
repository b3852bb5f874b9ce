#include "marks.h"

#include <stdlib.h>

static uint32_t *
slot_of(const struct marks *m, struct str source)
{
	uint64_t h = 14695981039346656037u;   /* FNV-1a */

	for (size_t i = 0; i < source.len; i++)
		h = (h ^ (unsigned char)source.data[i]) * 1099511628211u;
	for (size_t i = (size_t)(h ^ h >> 32);; i++) {
		uint32_t *slot = &m->index[i & (m->index_size - 1)];
		if (*slot == 0 || str_equal(m->list[*slot - 1].source, source))
			return slot;
	}
}

/* Room for one more, the index at most half full. */
static int
grow(struct marks *m)
{
	size_t size = m->index_size > 0 ? m->index_size * 2 : 128;
	struct mark *list;
	uint32_t *index;

	if (m->count < m->room)
		return 0;
	if ((list = realloc(m->list, size / 2 * sizeof(*list))) == NULL)
		return -1;
	m->list = list;
	if ((index = calloc(size, sizeof(*index))) == NULL)
		return -1;
	free(m->index);
	m->index = index;
	m->index_size = size;
	m->room = size / 2;
	for (size_t i = 0; i < m->count; i++)
		*slot_of(m, list[i].source) = (uint32_t)i + 1;
	return 0;
}

struct mark *
marks_get(struct marks *m, struct str source)
{
	uint32_t *slot;

	if (m->count > 0 && str_equal(m->list[m->last].source, source))
		return &m->list[m->last];
	if (grow(m) == -1)
		return NULL;
	if (*(slot = slot_of(m, source)) == 0) {
		m->list[m->count++] = (struct mark){ .source = source, .seq = -1 };
		*slot = (uint32_t)m->count;
	}
	m->last = *slot - 1;
	return &m->list[m->last];
}

bool
mark_move(struct mark *m, int64_t seq)
{
	if (seq <= m->seq)
		return false;
	m->seq = seq;
	m->moved = true;
	return true;
}

void
marks_clear(struct marks *m)
{
	if (m->count > 0)
		memset(m->index, 0, m->index_size * sizeof(*m->index));
	m->count = m->last = 0;
}

void
marks_free(struct marks *m)
{
	free(m->list);
	free(m->index);
	*m = (struct marks){ 0 };
}
