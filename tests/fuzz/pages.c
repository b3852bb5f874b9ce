/*
 * Read a store page by page whose bytes say anything at all: it must end, and
 * stay inside its memory (which the sanitizers see).
 *
 * The input is what becomes of a store that is whole: 4 bytes where, 1 what is
 * written there, and so on; what is left over at the end says where the file is
 * cut off. Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself:
 *     fuzz-pages [RUNS [SEED]]
 */
#include <fcntl.h>

#include "../unit/fixture.h"
#include "sqlite/wreck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS = 300 };

static char *seed, *work;     /* the store: as it was, and as it is tried */
static size_t seed_size;
static struct sqlite *like;
static size_t rows, most;     /* of the last one, and of any damaged one */

static void
make_seed(void)
{
	static char text[20000];
	struct sample *samples = fixture_samples(0, RECORDS);
	struct store *s;
	struct error e;

	fixture_begin();
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < RECORDS; i += 20)
		samples[i].record.message = (struct str){ text, i * 50 };
	s = fixture_open("seed.db", STORE_WRITE);
	fixture_add(s, samples, RECORDS, 50);
	store_close(&s);
	free(samples);
	seed = fixture_read("seed.db", &seed_size);
	work = malloc(seed_size);
	like = store_sqlite.open("seed.db", STORE_READ, -1, &e);
	if (work == NULL || like == NULL)
		fixture_fail("seed.db", "cannot be used");
}

static int
count_row(void *arg, const struct pages_record *r)
{
	(void)arg;
	rows += wreck_is_row(r);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t length;
	struct wreck w;
	struct error e;

	if (seed == NULL)
		make_seed();
	memcpy(work, seed, seed_size);
	length = seed_size;
	for (; size >= 5; data += 5, size -= 5) {
		uint32_t at;
		memcpy(&at, data, sizeof(at));
		work[at % seed_size] = (char)data[4];
	}
	if (size > 0)
		length = seed_size * data[0] / 256;
	fixture_write("work.db", work, length);
	rows = 0;
	if (wreck_survey(&w, "work.db", like, &e) == 0)
		for (size_t i = 0; i < w.leaf_count; i++)
			pages_records(w.pages, w.leaves[i].page, count_row, NULL);
	wreck_free(&w);
	most = rows > most ? rows : most;
	return 0;
}

#ifdef FUZZ_STANDALONE
static uint64_t state = 88172645463325252u;

static uint64_t
roll(uint64_t sides)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % sides;
}

/* Where pages begin, and their headers and pointers are, it hurts most. */
static size_t
change(uint8_t *input)
{
	static const uint8_t favourites[] = { 0, 1, 2, 5, 10, 13, 0x7f, 0x80, 0xff };
	size_t n = 5 * (1 + roll((uint64_t)1 << roll(7)));

	for (size_t i = 0; i < n; i += 5) {
		uint32_t page = (uint32_t)roll(seed_size / 4096) * 4096;
		uint32_t at = roll(3) == 0 ? (uint32_t)roll(seed_size) :
		    page + (uint32_t)roll(roll(2) == 0 ? 16 : 300);
		memcpy(input + i, &at, sizeof(at));
		input[i + 4] = roll(2) == 0 ? favourites[roll(sizeof(favourites))] : (uint8_t)roll(256);
	}
	if (roll(20) == 0)
		input[n++] = (uint8_t)roll(256);
	return n;
}

int
main(int argc, char **argv)
{
	unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
	uint8_t input[5 * 64 + 1] = { 0 };

	if (argc > 2)
		state ^= strtoul(argv[2], NULL, 10) * 0x9e3779b97f4a7c15u;
	LLVMFuzzerTestOneInput(input, 0);
	tap_ok(rows == RECORDS, "a store that is whole gives all its rows");
	most = 0;
	for (unsigned long i = 0; i < runs; i++)
		LLVMFuzzerTestOneInput(input, change(input));
	tap_ok(most >= RECORDS - 1, "%lu damaged ones are read to their end", runs);
	store_sqlite.close(like);
	free(seed);
	free(work);
	return tap_done();
}
#endif
