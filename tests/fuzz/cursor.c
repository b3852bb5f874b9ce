/*
 * Give the reader of cursors any text at all. A cursor is written in one way only, so what it
 * takes must be written again as the same text.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which mutates seeds of its own:
 *     fuzz-cursor [RUNS [SEED]]
 */
#include <math.h>

#include "query.h"
#include "target.h"

static unsigned long accepted;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = { .kind = ERROR_NONE };
	char again[CURSOR_TEXT_SIZE], *text = malloc(size + 1);
	struct cursor c;

	input = (struct str){ (const char *)data, size };
	require(text != NULL, "no memory");
	memcpy(text, data, size);
	text[size] = '\0';
	if (cursor_parse(text, &c, &e) == 0) {
		accepted++;
		require(isfinite(c.time) && c.arrival >= 0, "no place in any store");
		cursor_format(&c, again);
		require(strcmp(text, again) == 0, "written again it differs");
	} else {
		require(e.kind == ERROR_INVALID && e.text[0] != '\0', "no proper error");
	}
	free(text);
	return 0;
}

#ifdef FUZZ_STANDALONE

#include "mutate.h"

static const char *const seeds[] = {
	"c1;t=41d9d0000000199a;a=0000000000000001;s=0123456789abcdef",
	"c1;t=0000000000000000;a=7fffffffffffffff;s=0000000000000000",
	"c1;t=c1d9d00000000000;a=0006000000000000;s=ffffffffffffffff",
};

static const char *const pieces[] = {
	"c1", "c2", ";", "=", ";t=", ";a=", ";s=", "0", "8", "f", "F", "g", "7ff0000000000000", "fff8000000000000",
	"8000000000000000", " ", "\n",
};

int
main(int argc, char **argv)
{
	struct mutate m = { seeds, COUNT(seeds), pieces, COUNT(pieces), 0 };
	unsigned long runs = mutate_main(&m, argc, argv, 500000, mutate_seed);

	require(runs < 1000 || accepted > runs / 20, "hardly anything was a cursor");
	printf(", %lu of them cursors\n", accepted);
	return 0;
}

#endif
