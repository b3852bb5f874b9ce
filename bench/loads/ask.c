/*
 * Asking the same again and again; and holding connections that ask nothing.
 */
#include "requests.h"

#include <stdio.h>

static struct str
next_question(void *arg, size_t i)
{
	const struct load *l = arg;

	(void)i;
	return str_of(l->request);
}

void
load_ask(const struct load *l)
{
	struct load copy = *l;
	struct requests_result result = requests_run(l, next_question, &copy);

	printf("%.1f %.0f ", (double)result.answers / result.seconds,
	    result.bytes / (double)result.took.count);
	printf("%.6f ", latencies_at(&result.took, 0.5));
	printf("%.6f ", latencies_at(&result.took, 0.99));
	printf("%.6f\n", latencies_at(&result.took, 1));
	free(result.took.seconds);
}

static void
nothing_asked(void *arg, size_t i, struct str head, size_t len)
{
	(void)arg;
	errx(1, "connection %zu: not asked for (%zu bytes): %.*s", i, len, STR_ARGS(head));
}

void
load_hold(const struct load *l)
{
	struct fleet *fleet = fleet_new(l, l->connections, nothing_asked, NULL);
	double start = monotonic();

	printf("%.3f\n", fleet_connect(fleet));
	fflush(stdout);
	while (!load_over(l, start))
		fleet_turn(fleet, monotonic() + 0.1);
	fleet_free(&fleet);
}
