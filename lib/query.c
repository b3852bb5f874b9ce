#include "query.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct query
query_all(void)
{
	return (struct query){
		.kinds = RECORD_ALL_KINDS,
		.level_min = INT64_MIN,
		.level_max = INT64_MAX,
		.since = -INFINITY,
		.until = INFINITY,
		.order = QUERY_BY_TIME,
		.limit = SIZE_MAX,
		.upto = INT64_MAX,
		.work = SIZE_MAX,
	};
}

/* "c1", then each part under its letter as 16 hexadecimal digits. The time is
 * given as the bits of its double, so that it comes back exactly. */
void
cursor_format(const struct cursor *c, char text[CURSOR_TEXT_SIZE])
{
	uint64_t time;

	memcpy(&time, &c->time, sizeof(time));
	snprintf(text, CURSOR_TEXT_SIZE, "c1;t=%016" PRIx64 ";a=%016" PRIx64 ";s=%016" PRIx64,
	    time, (uint64_t)c->arrival, c->store);
}

/* Read ";X=" and 16 digits at `*text`, and step behind them. */
static bool
read_part(const char **text, char letter, uint64_t *value)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = *text, *digit;

	if (p[0] != ';' || p[1] != letter || p[2] != '=')
		return false;
	*value = 0;
	for (p += 3; p < *text + 3 + 16; p++) {
		if (*p == '\0' || (digit = strchr(digits, *p)) == NULL)
			return false;
		*value = *value << 4 | (uint64_t)(digit - digits);
	}
	*text = p;
	return true;
}

int
cursor_parse(const char *text, struct cursor *c, struct error *e)
{
	uint64_t bits, arrival, store;
	double time;
	const char *p = text;

	if (p[0] != 'c' || p[1] != '1')
		goto bad;
	p += 2;
	if (!read_part(&p, 't', &bits) || !read_part(&p, 'a', &arrival) ||
	    !read_part(&p, 's', &store) || *p != '\0')
		goto bad;
	memcpy(&time, &bits, sizeof(time));
	if (!isfinite(time) || arrival > INT64_MAX)
		goto bad;
	*c = (struct cursor){ .time = time, .arrival = (int64_t)arrival, .store = store };
	return 0;
bad:
	return error_set(e, ERROR_INVALID, "'%.*s' is not a cursor", CURSOR_TEXT_SIZE, text);
}
