/* What is known of blocks: never that a watchdog is not there which is. */
#include "sqlite/known.h"

#include <stdlib.h>

#include "sqlite/block.h"
#include "tap.h"

enum { MANY = 20000 };   /* blocks, more than are remembered */

/* A list as it stands in an index: `n` watchdogs from `first` on, each so many behind the last. */
static struct str
list(uint32_t first, uint32_t step, size_t n)
{
	static unsigned char bytes[BLOCK_ROWS * BLOCK_WATCHDOG];

	for (size_t i = 0; i < n; i++) {
		uint32_t id = first + (uint32_t)i * step;
		unsigned char *p = bytes + i * BLOCK_WATCHDOG;

		for (int b = 0; b < 4; b++)
			p[b] = (unsigned char)(id >> 8 * b);
		p[4] = 1;
		p[5] = 0;
	}
	return (struct str){ (const char *)bytes, n * BLOCK_WATCHDOG };
}

static struct known_block
block(int64_t i)
{
	return (struct known_block){ 1 + i * BLOCK_ROWS, (double)i, (double)i + 1 };
}

/* Look into it as often as it takes to know it. */
static void
note(struct known **k, struct known_block b, struct str watchdogs)
{
	known_note(k, &b, watchdogs);
	known_note(k, &b, watchdogs);
}

static bool
without(const struct known *k, struct known_block b, uint32_t watchdog)
{
	return known_without(k, &b, &watchdog, 1);
}

static void
test_one_block(void)
{
	struct known *k = NULL;
	struct known_block b = block(3), other = b;
	uint32_t two[] = { 5, 7 };
	bool all = true;
	size_t passed = 0;

	tap_ok(!without(NULL, b, 1), "before anything was read nothing is known");
	known_note(&k, &b, list(7, 1000, 50));
	tap_ok(!without(k, b, 5), "nor when it was read once");
	known_note(&k, &b, list(7, 1000, 50));
	for (uint32_t i = 0; i < 50; i++)
		all = all && !without(k, b, 7 + i * 1000);
	tap_ok(all, "whoever is in the block is not passed over");
	for (uint32_t id = 1000000; id < 1001000; id++)
		passed += without(k, b, id);
	tap_ok(passed > 990, "nearly all others are (%zu of 1000)", passed);
	tap_ok(without(k, b, 5) && !known_without(k, &b, two, 2), "of several one is enough");
	tap_ok(!without(k, block(4), 5), "of its neighbour nothing is known");
	other.tmax += 0.5;
	tap_ok(!without(k, other, 5), "nor of what became of it when its range of times changed");
	note(&k, other, list(5, 1, 1));
	tap_ok(!without(k, other, 5) && without(k, other, 7) && !without(k, b, 6), "until it is read again");
	note(&k, b, list(1, 1, 0));
	tap_ok(without(k, b, 7), "a block without rows has nobody");
	note(&k, block(4), list(1, 1, 5000));
	tap_ok(!without(k, block(4), 9000000), "of a block of very many it is not known who is not there");
	known_free(&k);
}

static void
test_many_blocks(void)
{
	struct known *k = NULL;
	struct known_block old;
	bool wrong = false;
	size_t known = 0;

	for (int64_t i = 0; i < MANY; i++)
		note(&k, block(i), list((uint32_t)i + 1, 1, 1));
	for (int64_t i = 0; i < MANY; i++) {
		wrong = wrong || without(k, block(i), (uint32_t)i + 1);
		known += without(k, block(i), MANY + 1);
	}
	tap_ok(!wrong, "of more blocks than are remembered nobody is passed over");
	tap_ok(known > 8000 && known < 8300, "the newest are remembered (%zu)", known);
	tap_ok(without(k, block(MANY - 1), 1) && !without(k, block(0), MANY), "not the oldest");
	old = block(MANY - 1 - 8192);
	note(&k, old, list(1, 1, 1));
	tap_ok(without(k, block(MANY - 1), 1) && !without(k, old, MANY),
	    "an old one that is read again takes nobody's place");
	known_free(&k);
}

int
main(void)
{
	test_one_block();
	test_many_blocks();
	return tap_done();
}
