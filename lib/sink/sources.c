#include "sink/sources.h"

#include <stdlib.h>
#include <string.h>

#define SIZE_MIN 64

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 32) * 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
	return x ^ x >> 32;
}

static uint64_t
hash_of(uint64_t seed, struct str s)
{
	uint64_t hash = seed + s.len, word;

	for (; s.len >= sizeof(word); s.data += sizeof(word), s.len -= sizeof(word)) {
		memcpy(&word, s.data, sizeof(word));
		hash = mix(hash ^ word);
	}
	word = 0;
	memcpy(&word, s.data, s.len);
	return mix(hash ^ word);
}

static struct sink_source *
find(const struct sink_sources *t, struct str name, uint64_t hash)
{
	struct sink_source *s;

	if (t->size == 0)
		return NULL;
	for (s = t->buckets[hash & (t->size - 1)]; s != NULL; s = s->next)
		if (s->hash == hash && str_equal((struct str){ s->name, s->len }, name))
			break;
	return s;
}

struct sink_source *
sink_source_find(const struct sink_sources *t, struct str name)
{
	return find(t, name, hash_of(t->seed, name));
}

static void
insert(struct sink_sources *t, struct sink_source *s)
{
	struct sink_source **bucket = &t->buckets[s->hash & (t->size - 1)];

	s->next = *bucket;
	*bucket = s;
}

/* Twice as many buckets. */
static int
grow(struct sink_sources *t)
{
	struct sink_sources old = *t;
	struct sink_source *s;

	t->size = old.size > 0 ? old.size * 2 : SIZE_MIN;
	if ((t->buckets = calloc(t->size, sizeof(*t->buckets))) == NULL) {
		*t = old;
		return -1;
	}
	for (size_t i = 0; i < old.size; i++) {
		while ((s = old.buckets[i]) != NULL) {
			old.buckets[i] = s->next;
			insert(t, s);
		}
	}
	free(old.buckets);
	return 0;
}

struct sink_source *
sink_source_hold(struct sink_sources *t, struct str name)
{
	uint64_t hash = hash_of(t->seed, name);
	struct sink_source *s = find(t, name, hash);

	if (s == NULL) {
		if (t->count == t->size && grow(t) == -1)
			return NULL;
		if ((s = malloc(sizeof(*s) + name.len)) == NULL)
			return NULL;
		*s = (struct sink_source){ .hash = hash, .len = (unsigned char)name.len };
		memcpy(s->name, name.data, name.len);
		insert(t, s);
		t->count++;
	}
	s->holds++;
	return s;
}

void
sink_source_release(struct sink_sources *t, struct sink_source *source)
{
	struct sink_source **at;

	if (--source->holds > 0)
		return;
	at = &t->buckets[source->hash & (t->size - 1)];
	while (*at != source)
		at = &(*at)->next;
	*at = source->next;
	t->count--;
	free(source);
}

void
sink_sources_free(struct sink_sources *t)
{
	free(t->buckets);
	*t = (struct sink_sources){ .size = 0 };
}
