/*
 * Notifications, from one connection to all others of its watchdog: how long after it was sent
 * each copy came, and how long after the uploader's reply.
 */
#include "fleet.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "percentile.h"

#define PATIENCE 60.0          /* seconds for the last copy */

struct forward {
	size_t listeners;          /* the uploader is the connection behind them */
	size_t copies;             /* of the notification that is under way */
	double *came;              /* when each of these did */
	double acknowledged;       /* when the reply did; 0: not yet */
	size_t sent;
	struct latencies took;     /* from when it was sent */
	struct latencies reply;    /* so did the replies */
	struct latencies behind;   /* the copies, behind the reply */
};

static void
copy_came(void *arg, size_t i, struct str head, size_t len)
{
	struct forward *f = arg;

	(void)len;
	if (memmem(head.data, head.len, "\"success\":true", 14) == NULL &&
	    memmem(head.data, head.len, "\"notifications\":", 16) == NULL)
		errx(1, "connection %zu: %.*s", i, STR_ARGS(head));
	if (i == f->listeners)
		f->acknowledged = monotonic();
	else if (f->copies < f->listeners)
		f->came[f->copies++] = monotonic();
	else
		errx(1, "connection %zu: one copy too many: %.*s", i, STR_ARGS(head));
}

static void
upload(struct forward *f, struct fleet *fleet)
{
	char text[256];
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	snprintf(text, sizeof(text), "{\"action\":\"uploadNotifications\",\"notifications\":[{\"level\":10,"
	    "\"time\":%jd.%06ld,\"sender\":\"load\",\"message\":\"Notification number %zu\"}]}",
	    (intmax_t)t.tv_sec, t.tv_nsec / 1000, ++f->sent);
	f->copies = 0;
	f->acknowledged = 0;
	fleet_send(fleet, f->listeners, str_of(text));
}

/* One notification to all. */
static void
one_round(struct forward *f, struct fleet *fleet)
{
	double start = monotonic();

	upload(f, fleet);
	while (f->copies < f->listeners || f->acknowledged == 0) {
		fleet_turn(fleet, start + PATIENCE);
		if (monotonic() > start + PATIENCE)
			errx(1, "%zu of %zu copies in %.0f s", f->copies, f->listeners, PATIENCE);
	}
	latencies_add(&f->reply, f->acknowledged - start);
	for (size_t i = 0; i < f->copies; i++) {
		latencies_add(&f->took, f->came[i] - start);
		latencies_add(&f->behind, f->came[i] - f->acknowledged);
	}
}

static void
print(struct latencies *l)
{
	printf(" %.6f", latencies_at(l, 0.5));
	printf(" %.6f", latencies_at(l, 0.99));
	printf(" %.6f", latencies_at(l, 1));
	free(l->seconds);
}

void
load_forward(const struct load *l)
{
	struct forward f = { .listeners = l->connections };
	struct fleet *fleet = fleet_new(l, l->connections + 1, copy_came, &f);
	double start, next;

	if ((f.came = calloc(f.listeners, sizeof(double))) == NULL)
		err(1, NULL);
	fleet_connect(fleet);
	one_round(&f, fleet);
	f.took.count = f.reply.count = f.behind.count = 0;
	start = monotonic();
	while (!load_over(l, start)) {
		next = monotonic() + (l->rate > 0 ? 1 / l->rate : 0);
		one_round(&f, fleet);
		while (monotonic() < next)
			fleet_turn(fleet, next);
	}
	printf("%zu", f.took.count);
	print(&f.took);
	print(&f.reply);
	print(&f.behind);
	putchar('\n');
	fleet_free(&fleet);
	free(f.came);
}
