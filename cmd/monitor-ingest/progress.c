#include "progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "when.h"

#define INTERVAL 0.2

static struct {
	bool on;
	bool drawn;            /* behind the lock of stderr */
	uint64_t total;
	double begun, last;    /* CLOCK_MONOTONIC */
} progress;

void
progress_begin(uint64_t total)
{
	if (!isatty(STDERR_FILENO))
		return;
	progress.on = true;
	progress.total = total;
	progress.begun = progress.last = when_ticks();
}

bool
progress_on(void)
{
	return progress.on;
}

/* 1.5k, 12M, ...: three figures are enough for the eye. */
static const char *
short_number(double n, char text[16])
{
	static const char units[] = " kMGTPE";
	size_t u = 0;

	while (n >= 999.5 && u < sizeof(units) - 2) {
		n /= 1000;
		u++;
	}
	snprintf(text, 16, "%.*f%.1s", u > 0 && n < 99.95 ? 1 : 0, n, u > 0 ? &units[u] : "");
	return text;
}

void
progress_show(uint64_t records, uint64_t bytes)
{
	char rate[16], size[16], left[WHEN_TEXT_SIZE];
	double now, share;

	if (!progress.on || (now = when_ticks()) < progress.last + INTERVAL)
		return;
	progress.last = now;
	now -= progress.begun;
	flockfile(stderr);
	progress.drawn = true;
	fprintf(stderr, "\r%" PRIu64 " records  %s/s  %sB", records,
	    short_number((double)records / now, rate), short_number((double)bytes, size));
	if (progress.total > 0 && bytes > 0) {
		share = fmin((double)bytes / (double)progress.total, 1);
		when_format_duration(ceil(now / share - now), left);
		fprintf(stderr, "  %.0f%%  ETA %s", share * 100, left);
	}
	fputs("\033[K", stderr);
	fflush(stderr);
	funlockfile(stderr);
}

void
progress_clear(void)
{
	flockfile(stderr);
	if (progress.drawn) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
		progress.drawn = false;
	}
	funlockfile(stderr);
}
