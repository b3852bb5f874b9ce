/*
 * Give the readers of times, durations and sizes any text at all. What they take must be a number
 * that can be used, and what is written of it must read as the same.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which mutates seeds of its own:
 *     fuzz-when [RUNS [SEED]]
 */
#include <math.h>
#include <time.h>

#include "target.h"
#include "when.h"

#define NOW 1732280000.25

static unsigned long accepted;

static void
proper_error(const struct error *e)
{
	require(e->kind == ERROR_INVALID && e->text[0] != '\0', "no proper error");
}

static void
try_duration(const char *text)
{
	char again[WHEN_TEXT_SIZE];
	struct error e = { .kind = ERROR_NONE };
	double seconds, back;

	if (when_parse_duration(text, &seconds, &e) == -1) {
		proper_error(&e);
		return;
	}
	accepted++;
	require(isfinite(seconds) && seconds >= 0, "no length of time");
	require(when_format_duration(seconds, again) == strlen(again), "another length of text");
	if (seconds >= 0.001 && seconds < 1e15)
		require(when_parse_duration(again, &back, NULL) == 0 &&
		    fabs(back - seconds) <= fmax(0.001, seconds / 86400), "the duration reads differently");
}

static void
try_size(const char *text)
{
	struct error e = { .kind = ERROR_NONE };
	char again[32];
	uint64_t bytes, back;

	if (when_parse_size(text, &bytes, &e) == -1) {
		proper_error(&e);
		return;
	}
	accepted++;
	require(bytes <= INT64_MAX, "too large a size");
	snprintf(again, sizeof(again), "%llu", (unsigned long long)bytes);
	require(when_parse_size(again, &back, NULL) == 0 && back == bytes, "the size reads differently");
}

/* A time as it is written, with a resolution. */
static void
read_again(const char *text, double time, bool utc, double resolution)
{
	double back;

	if (text[0] == '@' && strchr(text, 'e') != NULL)
		return;   /* 1e+300: nobody is asked to read that */
	require(when_parse(text, NOW, utc, &back, NULL) == 0 && fabs(back - time) <= resolution,
	    "the time reads differently");
}

static void
try_time(const char *text, bool utc)
{
	char again[WHEN_TEXT_SIZE];
	struct error e = { .kind = ERROR_NONE };
	double time;

	if (when_parse(text, NOW, utc, &time, &e) == -1) {
		proper_error(&e);
		return;
	}
	accepted++;
	require(isfinite(time), "no time");
	require(when_rfc3339(time, utc, again) == strlen(again), "another length of text");
	read_again(again, time, utc, 2e-6 + fabs(time) * 1e-15);
	require(when_format(time, true, again) == strlen(again), "another length of text");
	read_again(again, time, true, 0.001 + fabs(time) * 1e-15);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	input = (struct str){ (const char *)data, size };
	require(text != NULL, "no memory");
	memcpy(text, data, size);
	text[size] = '\0';
	setenv("TZ", "Europe/Berlin", 1);
	try_duration(text);
	try_size(text);
	try_time(text, true);
	try_time(text, false);
	free(text);
	return 0;
}

#ifdef FUZZ_STANDALONE

#include "mutate.h"

static const char *const seeds[] = {
	"2024-11-22", "2024-11-22 13:33", "13:33:20", "2024-11-22T13:33:20.125Z", "2024-03-31 02:30:00",
	"2024-10-27 02:30", "0000-01-01", "9999-12-31T23:59:60.999999+14:00", "today", "yesterday", "now",
	"3 hours ago", "-3h", "+5m", "@1732280000.5", "@-1", "90", "1h30m", "2 months", "250ms", "1.5k", "64KiB",
	"9223372036854775807", "8T", "0.5 GB",
};

static const char *const pieces[] = {
	"-", ":", ".", "T", " ", "Z", "+", "@", "0", "9", "60", "1e3", "inf", "ms", "s", "m", "h", "d", "w", "y", "month",
	" ago", "today", "UTC", "+01:00", "-2359", "k", "M", "G", "T", "iB", "B", "99999999999999999999",
	"0.000000001", "\t", "\xff",
};

int
main(int argc, char **argv)
{
	struct mutate m = { seeds, COUNT(seeds), pieces, COUNT(pieces), 0 };
	unsigned long runs = mutate_main(&m, argc, argv, 300000, mutate_seed);

	require(runs < 1000 || accepted > runs / 20, "hardly anything was taken");
	printf(", %lu readings taken\n", accepted);
	return 0;
}

#endif
