/* The index of a block: what goes in comes out, whatever it is. */
#include "sqlite/block.h"

#include <math.h>
#include <stdlib.h>

#include "tap.h"

static uint64_t state = 88172645463325252u;

static uint64_t
roll(uint64_t sides)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % sides;
}

/* n rows that arrived at `first` and after, in odd steps, of `watchdogs`. */
static struct entry *
make(size_t n, int64_t first, uint64_t watchdogs)
{
	struct entry *en = calloc(n + 1, sizeof(*en));

	if (en == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		en[i] = (struct entry){
			.arrival = first + (int64_t)(i * BLOCK_SPAN / (n > 1 ? n - 1 : 1)),
			.time = 1.7e9 + (double)i / 7,
			.level = (int64_t)roll(256) - 128,
			.watchdog = (uint32_t)(UINT32_MAX - roll(watchdogs)),
			.sender = (uint32_t)roll(UINT32_MAX) + 1,
		};
	return en;
}

static int
by_watchdog(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->watchdog != y->watchdog)
		return x->watchdog < y->watchdog ? -1 : 1;
	return x->arrival < y->arrival ? -1 : x->arrival > y->arrival;
}

static bool
same(const struct entry *a, const struct entry *b)
{
	return a->arrival == b->arrival && memcmp(&a->time, &b->time, sizeof(a->time)) == 0 &&
	    a->level == b->level && a->watchdog == b->watchdog && a->sender == b->sender;
}

/* Encode, and read back by every way there is. */
static void
round_trip(struct entry *en, size_t n, int64_t first, const char *what)
{
	struct entry *want = calloc(n, sizeof(*want)), got;
	struct buf watchdogs = { 0 }, blob = { 0 };
	size_t before, count, at = 0, wrong = 0, lost = 0;
	uint32_t id;

	if (want == NULL)
		abort();
	memcpy(want, en, n * sizeof(*want));
	qsort(want, n, sizeof(*want), by_watchdog);
	tap_ok(block_encode(en, n, first, &watchdogs, &blob) == 0, "%s: is encoded", what);
	tap_ok(blob.len == n * BLOCK_ENTRY, "%s: takes %d bytes a row", what, BLOCK_ENTRY);
	for (size_t i = 0; block_watchdog((struct str){ watchdogs.data, watchdogs.len }, i, &id,
	    &count); i++) {
		size_t found;
		lost += !block_find((struct str){ watchdogs.data, watchdogs.len }, id, &before, &found) ||
		    before != at || found != count;
		for (size_t j = 0; j < count && at < n; j++, at++) {
			block_entry(blob.data + at * BLOCK_ENTRY, first, &got);
			got.watchdog = id;
			wrong += !same(&got, &want[at]);
		}
	}
	tap_ok(at == n, "%s: every row is of some watchdog", what);
	tap_ok(wrong == 0, "%s: every row comes back as it was, sorted by watchdog", what);
	tap_ok(lost == 0, "%s: every watchdog's slice is found", what);
	buf_free(&watchdogs);
	buf_free(&blob);
	free(want);
}

static void
round_trips(void)
{
	struct entry *en = make(1, 1, 1);

	en[0].time = -0.0;
	round_trip(en, 1, 1, "one row");
	free(en);
	en = make(BLOCK_ROWS, INT64_C(1) << 40, 1);
	round_trip(en, BLOCK_ROWS, INT64_C(1) << 40, "a full block of one watchdog");
	free(en);
	en = make(BLOCK_ROWS, 77, BLOCK_ROWS * 4);
	round_trip(en, BLOCK_ROWS, 77, "a full block of thousands of watchdogs");
	free(en);
	en = make(300, 5, 3);
	for (size_t i = 0; i < 300; i++)
		en[i].watchdog = i % 3 == 0 ? UINT32_MAX : i % 3 == 1 ? 1 : 0x01000000;
	round_trip(en, 300, 5, "watchdogs that differ in one byte");
	free(en);
}

static void
finding(void)
{
	struct entry *en = make(50, 1, 1);
	struct buf watchdogs = { 0 }, blob = { 0 };
	struct str head;
	size_t before, count;
	uint32_t id;

	for (size_t i = 0; i < 50; i++)
		en[i].watchdog = i < 20 ? 10 : 30;
	tap_ok(block_encode(en, 50, 1, &watchdogs, &blob) == 0, "two watchdogs are encoded");
	head = (struct str){ watchdogs.data, watchdogs.len };
	tap_ok(block_find(head, 30, &before, &count) && before == 20 && count == 30,
	    "the second one's rows stand behind the first one's");
	tap_ok(!block_find(head, 9, &before, &count) && !block_find(head, 20, &before, &count) &&
	    !block_find(head, 31, &before, &count), "one that is not there is not found");
	tap_ok(!block_watchdog(head, 2, &id, &count), "there are two, not three");
	head.len--;
	tap_ok(!block_watchdog(head, 1, &id, &count), "one that is cut off is none");
	tap_ok(!block_find((struct str){ NULL, 0 }, 10, &before, &count),
	    "in an empty index nothing is found");
	buf_free(&watchdogs);
	buf_free(&blob);
	free(en);
}

/* Split, and count how many of the strays are not those that `stray` names. */
static bool
splits(struct entry *en, size_t n, size_t strays, bool (*stray)(const struct entry *))
{
	int64_t kept = block_split(en, n), last = -1;

	if (kept != (int64_t)(n - strays))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (stray(&en[i]) != ((int64_t)i >= kept))
			return false;
		if ((int64_t)i == kept)
			last = -1;
		if (en[i].arrival <= last)   /* each part in its old order */
			return false;
		last = en[i].arrival;
	}
	return true;
}

static bool
none(const struct entry *en)
{
	(void)en;
	return false;
}

static bool
odd_time(const struct entry *en)
{
	return en->time < 1e9 || en->time > 2e9;
}

static bool
odd_level(const struct entry *en)
{
	return en->level < INT8_MIN || en->level > INT8_MAX;
}

static void
strays(void)
{
	struct entry *en = make(1000, 1, 5);
	double tmin, tmax;

	tap_ok(block_split(en, 0) == 0, "no rows: none are kept");
	tap_ok(splits(en, 1000, 0, none), "rows that follow one another have no strays");
	en[0].time = 0;
	en[500].time = -1e300;
	en[999].time = 1e300;
	tap_ok(splits(en, 1000, 3, odd_time), "times far out are strays, first and last row too");
	block_range(en, 997, &tmin, &tmax);
	tap_ok(tmin >= 1.7e9 && tmax < 1.7e9 + 143, "the others' range is not widened by them");
	free(en);
	en = make(1000, 1, 5);
	en[3].level = INT64_MIN;
	en[4].level = 128;
	en[5].level = -129;
	en[6].level = 127;
	en[7].level = -128;
	tap_ok(splits(en, 1000, 3, odd_level), "levels beyond a byte are strays, its own ends are not");
	for (size_t i = 0; i < 1000; i++)
		en[i].level = 1000;
	tap_ok(block_split(en, 1000) == 0, "all may be strays");
	free(en);
	en = make(1000, 1, 5);
	for (size_t i = 0; i < 1000; i++)
		en[i].time = i % 2 == 0 ? 0 : 1.7e9;
	tap_ok(block_split(en, 1000) == 1000, "where half the clocks are wrong none is a stray");
	for (size_t i = 0; i < 1000; i++)
		en[i].time = 5 + (double)(i % 60);
	en[40].time = 5 + 60 + 200;
	tap_ok(block_split(en, 1000) == 999, "minutes are far from rows of one minute");
	free(en);
}

int
main(void)
{
	round_trips();
	finding();
	strays();
	return tap_done();
}
