#include "sums.h"

#include <stdlib.h>
#include <string.h>

struct sums_name {
	char *text;
	size_t len;
	uint64_t count;      /* 0: a free slot */
};

/* ---- names -------------------------------------------------------------------- */

static struct sums_name *
find(struct sums_name *names, size_t slots, struct str s)
{
	uint64_t h = 14695981039346656037u;   /* FNV-1a */

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.data[i]) * 1099511628211u;
	for (h ^= h >> 32;; h++) {
		struct sums_name *n = &names[h & (slots - 1)];

		if (n->count == 0 || str_equal((struct str){ n->text, n->len }, s))
			return n;
	}
}

/* Keep the table at most half full. */
static int
more_names(struct sums *s, struct error *e)
{
	size_t slots = s->slots > 0 ? s->slots * 2 : 64;
	struct sums_name *names;

	if (s->used < s->slots / 2)
		return 0;
	if ((names = calloc(slots, sizeof(*names))) == NULL)
		return error_memory(e);
	for (size_t i = 0; i < s->slots; i++)
		if (s->names[i].count > 0)
			*find(names, slots, (struct str){ s->names[i].text, s->names[i].len }) = s->names[i];
	free(s->names);
	s->names = names;
	s->slots = slots;
	s->last = NULL;
	return 0;
}

static int
count_name(struct sums *s, struct str name, struct error *e)
{
	struct sums_name *n = s->last;

	if (n == NULL || !str_equal((struct str){ n->text, n->len }, name)) {
		if (more_names(s, e) == -1)
			return -1;
		n = find(s->names, s->slots, name);
	}
	if (n->count == 0) {
		if ((n->text = malloc(name.len + 1)) == NULL)
			return error_memory(e);
		memcpy(n->text, name.len > 0 ? name.data : "", name.len);
		n->len = name.len;
		s->used++;
	}
	n->count++;
	s->last = n;
	return 0;
}

static int
by_bytes(const void *a, const void *b)
{
	const struct sums_name *x = a, *y = b;
	int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static int
give_names(struct sums *s, int (*row)(void *arg, const struct tally *t), void *arg)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < s->slots; i++)
		if (s->names[i].count > 0)
			s->names[n++] = s->names[i];
	s->slots = n;
	if (n > 0)
		qsort(s->names, n, sizeof(*s->names), by_bytes);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = row(arg, &(struct tally){ .key = { s->names[i].text, s->names[i].len },
		    .count = s->names[i].count });
	return rc;
}

/* ---- all of them ---------------------------------------------------------------- */

int
sums_count(struct sums *s, const struct record *r, struct error *e)
{
	switch (s->by) {
	case TALLY_BY_KIND:
		s->kinds[r->kind]++;
		return 0;
	case TALLY_BY_SENDER:
		return count_name(s, r->sender, e);
	case TALLY_BY_WATCHDOG:
		return count_name(s, r->watchdog, e);
	default:
		return intervals_count(&s->intervals, r->time, r->level, e);
	}
}

int
sums_give(struct sums *s, int (*row)(void *arg, const struct tally *t), void *arg)
{
	int rc = 0;

	if (s->by == TALLY_BY_TIME)
		return intervals_give(&s->intervals, row, arg);
	if (s->by != TALLY_BY_KIND)
		return give_names(s, row, arg);
	for (unsigned k = 0; rc == 0 && k < RECORD_KINDS; k++)
		if (s->kinds[k] > 0)
			rc = row(arg, &(struct tally){ .kind = (enum record_kind)k,
			    .count = s->kinds[k] });
	return rc;
}

void
sums_free(struct sums *s)
{
	intervals_clear(&s->intervals);
	for (size_t i = 0; i < s->slots; i++)
		free(s->names[i].text);
	free(s->names);
	s->names = NULL;
}
