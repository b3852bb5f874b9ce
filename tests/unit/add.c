/*
 * Adding, whatever the engine: what is new, and what has been settled before.
 *
 *	add [MAKER]   a command that makes an empty store and prints its URL; else it is a file
 */
#include <inttypes.h>

#include "fixture.h"

enum { BIG = 270000 };   /* more than PostgreSQL's engine reserves places for at once */

static struct store_offer
offer(const char *source, int64_t seq)
{
	return (struct store_offer){
		.record = { .time = fixture_time, .level = 30, .watchdog = str_of("w"),
		    .sender = str_of("s"), .message = str_of("m") },
		.source = source != NULL ? str_of(source) : (struct str){ 0 },
		.seq = seq,
	};
}

/* Does adding these store so many, and find so many settled? */
static bool
adds(struct store *s, const struct store_offer *o, size_t n, uint64_t stored, uint64_t duplicates)
{
	struct store_added added;
	struct error e;

	if (store_add(s, o, n, &added, &e) == -1)
		fixture_fail("store_add", e.text);
	if (added.stored == stored && added.duplicates == duplicates)
		return true;
	printf("# %" PRIu64 " stored, %" PRIu64 " duplicates\n", added.stored, added.duplicates);
	return false;
}

static int
add_up(void *arg, const struct tally *t)
{
	*(uint64_t *)arg += t->count;
	return 0;
}

static uint64_t
count(struct store *s)
{
	struct query q = query_all();
	struct error e;
	uint64_t n = 0;

	if (store_tally(s, &q, TALLY_BY_KIND, 0, 0, add_up, &n, &e) == -1)
		fixture_fail("store_tally", e.text);
	return n;
}

static void
test_numbers(struct store *s, struct store *other)
{
	struct store_offer o[] = { offer("a", 1), offer("a", 2), offer("b", 7), offer(NULL, 0),
		offer("a", 20), offer("a", 21), offer("a", 22) };
	struct store_offer again[] = { offer("a", 2), offer("a", 1), offer("a", 3), offer("a", 3) };
	struct store_offer refused[] = { offer("a", 9) }, behind[] = { offer("a", 9), offer("a", 10) };
	struct store_offer odd[] = { offer("", 1), { .record = o[0].record, .source = { "a\0", 2 }, .seq = 1 } };

	refused[0].refused = true;
	tap_ok(adds(s, o, 4, 4, 0), "numbered and plain records are stored");
	tap_ok(adds(s, o, 4, 1, 3), "the numbered ones once only");
	tap_ok(adds(other, o, 3, 0, 3), "whoever adds them");
	tap_ok(adds(other, again, 4, 1, 3), "a batch that repeats itself counts each number once");
	tap_ok(adds(s, refused, 1, 0, 0), "a refused line moves the mark");
	tap_ok(adds(s, behind, 2, 1, 1), "and settles its number");
	tap_ok(adds(s, o + 4, 1, 1, 0) && adds(other, o + 5, 1, 1, 0) && adds(s, o + 5, 2, 1, 1),
	    "who added the last of a source does not take its own for the last of all");
	tap_ok(adds(s, odd, 2, 2, 0) && adds(other, odd, 2, 0, 2), "sources' names are bytes");
	tap_ok(adds(s, NULL, 0, 0, 0), "nothing is nothing");
	tap_ok(count(other) == 12, "that many are there");
}

static void
test_big(struct store *s)
{
	struct store_offer *o = calloc(BIG, sizeof(*o));
	struct cursor before, end;
	uint64_t had = count(s);
	struct error e;

	if (o == NULL)
		fixture_fail("calloc", "out of memory");
	for (int i = 0; i < BIG; i++)
		o[i] = offer(i % 2 == 0 ? "big" : NULL, i);
	store_end(s, &before, &e);
	tap_ok(adds(s, o, BIG, BIG, 0) && count(s) == had + BIG, "a batch may be of any size");
	tap_ok(store_end(s, &end, &e) == 0 && end.arrival >= before.arrival + BIG, "its records arrive one by one");
	tap_ok(adds(s, o, BIG, BIG / 2, BIG / 2), "the numbered half of it is not stored again");
	free(o);
}

int
main(int argc, char **argv)
{
	struct store *s, *other;

	fixture_begin_on(argc > 1 ? argv[1] : NULL);
	s = fixture_open(fixture_url("m.db"), STORE_WRITE);
	other = fixture_open(fixture_url("m.db"), STORE_WRITE);
	test_numbers(s, other);
	test_big(s);
	store_close(&other);
	store_close(&s);
	return tap_done();
}
