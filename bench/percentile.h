/*
 * percentile.h - time, and latencies gathered and summed up.
 */
#ifndef BENCH_PERCENTILE_H
#define BENCH_PERCENTILE_H

#include <err.h>
#include <stdlib.h>
#include <time.h>

struct latencies {
	double *seconds;
	size_t count, room;
};

static inline double
monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline void
latencies_add(struct latencies *l, double seconds)
{
	if (l->count == l->room) {
		l->room = l->room > 0 ? l->room * 2 : 1 << 12;
		if ((l->seconds = realloc(l->seconds, l->room * sizeof(double))) == NULL)
			err(1, NULL);
	}
	l->seconds[l->count++] = seconds;
}

static inline int
latencies_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts them: `part` 0.5 is the median, 1 the largest. 0 if there is none. */
static inline double
latencies_at(struct latencies *l, double part)
{
	if (l->count == 0)
		return 0;
	qsort(l->seconds, l->count, sizeof(double), latencies_compare);
	return l->seconds[(size_t)(part * (double)(l->count - 1))];
}

#endif
