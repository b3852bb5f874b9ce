#include "intervals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An interval at one level; an empty slot where count is 0. */
struct interval {
	double time;                /* where it begins */
	int64_t level;
	uint64_t count;
};

/* Where the interval that holds `time` begins. Far out, where neighbouring
 * numbers are further apart than intervals, every time is its own. */
static double
begin_of(const struct intervals *v, double time)
{
	double n = floor((time - v->offset) / v->length), begin = n * v->length + v->offset;

	return fabs(n) < 0x1p53 && isfinite(begin) ? begin : time;
}

static struct interval *
slot_of(struct interval *slots, size_t count, double time, int64_t level)
{
	uint64_t h;

	time += 0.0;   /* -0.0 is 0.0 */
	memcpy(&h, &time, sizeof(h));
	h = (h ^ (uint64_t)level * 0x9e3779b97f4a7c15u) * 0x9fb21c651e98df25u;
	h ^= h >> 32;
	while (slots[h & (count - 1)].count > 0 && (slots[h & (count - 1)].time != time ||
	    slots[h & (count - 1)].level != level))
		h++;
	return &slots[h & (count - 1)];
}

int
intervals_too_many(struct error *e)
{
	return error_set(e, ERROR_USAGE, "more than %d intervals and levels to count:"
	    " choose a longer interval or a shorter time", INTERVALS_MOST);
}

static int
more_slots(struct intervals *v, struct error *e)
{
	size_t n = v->slot_count > 0 ? v->slot_count * 2 : 1024;
	struct interval *slots;

	if (v->used >= INTERVALS_MOST)
		return intervals_too_many(e);
	if ((slots = calloc(n, sizeof(*slots))) == NULL)
		return error_memory(e);
	for (size_t i = 0; i < v->slot_count; i++)
		if (v->slots[i].count > 0)
			*slot_of(slots, n, v->slots[i].time, v->slots[i].level) = v->slots[i];
	free(v->slots);
	v->slots = slots;
	v->slot_count = n;
	v->last = NULL;
	return 0;
}

int
intervals_count(struct intervals *v, double time, int64_t level, struct error *e)
{
	double begin = begin_of(v, time);

	if (v->last == NULL || v->last->time != begin || v->last->level != level) {
		if (v->used >= v->slot_count / 2 && more_slots(v, e) == -1)
			return -1;
		v->last = slot_of(v->slots, v->slot_count, begin, level);
		if (v->last->count == 0) {
			*v->last = (struct interval){ begin + 0.0, level, 0 };
			v->used++;
		}
	}
	v->last->count++;
	return 0;
}

static int
by_time(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return (x->level > y->level) - (x->level < y->level);
}

int
intervals_give(struct intervals *v, int (*row)(void *arg, const struct tally *t), void *arg)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < v->slot_count; i++)
		if (v->slots[i].count > 0)
			v->slots[n++] = v->slots[i];
	if (n > 0)
		qsort(v->slots, n, sizeof(*v->slots), by_time);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = row(arg, &(struct tally){ .time = v->slots[i].time, .level = v->slots[i].level,
		    .count = v->slots[i].count });
	return rc;
}

void
intervals_clear(struct intervals *v)
{
	free(v->slots);
	*v = (struct intervals){ .length = v->length, .offset = v->offset };
}
