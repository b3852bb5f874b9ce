#include "sqlite/block.h"

#include <math.h>
#include <stdlib.h>

/* Rows whose time is further from the middle of their block than this, or than
 * the block's own width if that is more, are strays. */
#define STRAY_SECONDS 60.0

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The range that the block's times may span: the middle seven eighths of them,
 * widened by their own width on both sides. */
static int
usual_range(const struct entry *entries, size_t n, double *low, double *high)
{
	double *times = malloc(n * sizeof(*times)), width;
	bool rising = true;

	if (times == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		times[i] = entries[i].time;
		rising = rising && (i == 0 || times[i - 1] <= times[i]);
	}
	if (!rising)
		qsort(times, n, sizeof(*times), compare_doubles);
	*low = times[n / 16];
	*high = times[n - 1 - n / 16];
	width = fmax(*high - *low, STRAY_SECONDS);
	*low -= width;
	*high += width;
	free(times);
	return 0;
}

int64_t
block_split(struct entry *entries, size_t n)
{
	struct entry *strays;
	size_t kept = 0, gone = 0;
	double low, high;

	if (n == 0)
		return 0;
	if ((strays = malloc(n * sizeof(*strays))) == NULL)
		return -1;
	if (usual_range(entries, n, &low, &high) == -1) {
		free(strays);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		const struct entry *en = &entries[i];
		if (en->time < low || en->time > high || en->level < INT8_MIN ||
		    en->level > INT8_MAX)
			strays[gone++] = *en;
		else
			entries[kept++] = *en;
	}
	memcpy(entries + kept, strays, gone * sizeof(*strays));
	free(strays);
	return (int64_t)kept;
}

/* Sort by watchdog, keeping the order of arrival within one: a radix sort,
 * bytes of the id that are equal everywhere passed over. */
static int
sort_by_watchdog(struct entry *entries, size_t n)
{
	struct entry *other = malloc(n * sizeof(*other)), *from = entries, *to = other, *swap;
	uint32_t differ = 0;

	if (other == NULL)
		return -1;
	for (size_t i = 1; i < n; i++)
		differ |= entries[i].watchdog ^ entries[0].watchdog;
	for (int shift = 0; shift < 32; shift += 8) {
		size_t at[257] = { 0 };
		if ((differ >> shift & 0xff) == 0)
			continue;
		for (size_t i = 0; i < n; i++)
			at[(from[i].watchdog >> shift & 0xff) + 1]++;
		for (int b = 0; b < 256; b++)
			at[b + 1] += at[b];
		for (size_t i = 0; i < n; i++)
			to[at[from[i].watchdog >> shift & 0xff]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	if (from != entries)
		memcpy(entries, from, n * sizeof(*entries));
	free(other);
	return 0;
}

static char *
put(char *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*p++ = (char)(v >> 8 * i);
	return p;
}

int
block_encode(struct entry *entries, size_t n, int64_t first, struct buf *watchdogs,
    struct buf *blob)
{
	size_t rows = 0;
	char *p;

	if (buf_reserve(blob, n * BLOCK_ENTRY) == -1 ||
	    buf_reserve(watchdogs, n * BLOCK_WATCHDOG) == -1 ||
	    sort_by_watchdog(entries, n) == -1)
		return -1;
	p = blob->data + blob->len;
	blob->len += n * BLOCK_ENTRY;
	for (size_t i = 0; i < n; i++) {
		const struct entry *en = &entries[i];
		uint64_t bits;

		memcpy(&bits, &en->time, sizeof(bits));
		p = put(p, (uint64_t)(en->arrival - first), 2);
		p = put(p, (uint64_t)en->level, 1);
		p = put(p, en->sender, 4);
		p = put(p, bits, 8);
		rows++;
		if (i + 1 == n || entries[i + 1].watchdog != en->watchdog) {
			char *w = watchdogs->data + watchdogs->len;
			put(put(w, en->watchdog, 4), rows, 2);
			watchdogs->len += BLOCK_WATCHDOG;
			rows = 0;
		}
	}
	return 0;
}

bool
block_watchdog(struct str watchdogs, size_t i, uint32_t *id, size_t *count)
{
	const unsigned char *u = (const unsigned char *)watchdogs.data + i * BLOCK_WATCHDOG;

	if ((i + 1) * BLOCK_WATCHDOG > watchdogs.len)
		return false;
	*id = u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
	*count = u[4] | (size_t)u[5] << 8;
	return true;
}

bool
block_find(struct str watchdogs, uint32_t id, size_t *before, size_t *count)
{
	uint32_t at;

	*before = 0;
	for (size_t i = 0; block_watchdog(watchdogs, i, &at, count); i++) {
		if (at == id)
			return true;
		if (at > id)
			break;
		*before += *count;
	}
	return false;
}

void
block_range(const struct entry *entries, size_t n, double *tmin, double *tmax)
{
	*tmin = *tmax = entries[0].time;
	for (size_t i = 1; i < n; i++) {
		*tmin = fmin(*tmin, entries[i].time);
		*tmax = fmax(*tmax, entries[i].time);
	}
}
