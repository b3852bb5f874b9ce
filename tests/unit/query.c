/* query.h: the question that asks for all, and cursors as text. */
#include "query.h"

#include <math.h>
#include <string.h>

#include "tap.h"

static void
all(void)
{
	struct query q = query_all();

	tap_ok(q.kinds == RECORD_ALL_KINDS && q.watchdog_count == 0 && q.sender_count == 0,
	    "query_all() asks for every kind, watchdog and sender");
	tap_ok(q.level_min == INT64_MIN && q.level_max == INT64_MAX, "... every level");
	tap_ok(q.since == -INFINITY && q.until == INFINITY, "... all times");
	tap_ok(q.match == NULL && q.after == NULL && q.limit == SIZE_MAX,
	    "... from the beginning, without a bound");
	tap_ok(q.order == QUERY_BY_TIME && !q.reverse, "... oldest first");
}

static void
round_trip(void)
{
	static const struct cursor cursors[] = {
		{ 0, 0, 0 },
		{ 1732280000.123456, 1, UINT64_C(0xfedcba9876543210) },
		{ -0.0, INT64_MAX, UINT64_MAX },
		{ 5e-324, 77, 1 },
		{ -1.7976931348623157e308, 1234567890123, 42 },
	};
	char text[CURSOR_TEXT_SIZE];
	struct cursor c;
	struct error e;

	for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
		cursor_format(&cursors[i], text);
		tap_ok(cursor_parse(text, &c, &e) == 0 &&
		    memcmp(&c.time, &cursors[i].time, sizeof(c.time)) == 0 &&
		    c.arrival == cursors[i].arrival && c.store == cursors[i].store,
		    "%s comes back to the bit", text);
		tap_ok(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		    "0123456789=;.-") == strlen(text), "... in harmless characters");
	}
}

static void
malformed(void)
{
	static const char *const texts[] = {
		"", "c", "c1", "c2;t=0000000000000000;a=0000000000000000;s=0000000000000000",
		"c1;t=0000000000000000;a=0000000000000000",
		"c1;t=0000000000000000;a=0000000000000000;s=000000000000000",
		"c1;t=0000000000000000;a=0000000000000000;s=00000000000000000",
		"c1;t=0000000000000000;a=0000000000000000;s=0000000000000000 ",
		"c1;t=0000000000000000;a=0000000000000000;s=0000000000000000;x=0",
		"c1;t=000000000000000G;a=0000000000000000;s=0000000000000000",
		"c1;t=000000000000000A;a=0000000000000000;s=0000000000000000",
		"c1;a=0000000000000000;t=0000000000000000;s=0000000000000000",
		"c1;t=0000000000000000;a=8000000000000000;s=0000000000000000",
		"c1;t=7ff0000000000000;a=0000000000000000;s=0000000000000000",
		"c1;t=7ff8000000000000;a=0000000000000000;s=0000000000000000",
		" c1;t=0000000000000000;a=0000000000000000;s=0000000000000000",
		"c1;t=0x00000000000000;a=0000000000000000;s=0000000000000000",
	};
	struct cursor c = { 1, 2, 3 };
	struct error e;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		tap_ok(cursor_parse(texts[i], &c, &e) == -1 && e.kind == ERROR_INVALID,
		    "'%s' is refused", texts[i]);
	tap_ok(c.time == 1 && c.arrival == 2 && c.store == 3, "what is refused changes nothing");
}

int
main(void)
{
	all();
	round_trip();
	malformed();
	return tap_done();
}
