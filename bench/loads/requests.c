#include "requests.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE 60.0          /* seconds for an answer */

/* A connection that asks; `sent` is a ring of the times of what is under way, answers come
 * in the order of the requests. */
struct asker {
	double *sent;
	size_t first, flying;
	double due;                /* when to send the next */
	bool warm;                 /* has had an answer */
};

struct requests {
	const struct load *load;
	struct fleet *fleet;
	struct str (*next)(void *arg, size_t i);
	void *arg;
	struct asker *askers;
	size_t warm, flying;
	bool more;                 /* go on asking */
	struct requests_result result;
};

static void
ask(struct requests *r, size_t i)
{
	struct asker *a = &r->askers[i];
	struct str text = r->next(r->arg, i);

	a->sent[(a->first + a->flying++) % r->load->window] = monotonic();
	r->flying++;
	fleet_send(r->fleet, i, text);
}

/* Send what connection `i` may send now. When it may send the next, if that is not when an
 * answer comes. */
static double
go_on(struct requests *r, size_t i, double now)
{
	struct asker *a = &r->askers[i];

	while (r->more && a->flying < r->load->window && a->due <= now) {
		if (r->load->rate > 0)
			a->due = (a->due > now - 1 ? a->due : now) + 1 / r->load->rate;
		ask(r, i);
	}
	return a->flying < r->load->window ? a->due : INFINITY;
}

static void
answered(void *arg, size_t i, struct str head, size_t len)
{
	struct requests *r = arg;
	struct asker *a = &r->askers[i];
	double now = monotonic();

	if (i >= r->load->active || a->flying == 0)
		errx(1, "connection %zu: not asked for: %.*s", i, STR_ARGS(head));
	if (!r->load->echo && memmem(head.data, head.len, "\"success\":true", 14) == NULL)
		errx(1, "connection %zu: refused: %.*s", i, STR_ARGS(head));
	latencies_add(&r->result.took, now - a->sent[a->first]);
	r->result.bytes += (double)len;
	a->first = (a->first + 1) % r->load->window;
	a->flying--;
	r->flying--;
	r->warm += !a->warm;
	a->warm = true;
	go_on(r, i, now);
}

/* Those who go by the clock, and those who have been waited for too long. */
static void
turn(struct requests *r)
{
	double now = monotonic(), until = now + 0.1, next;

	for (size_t i = 0; i < r->load->active && r->load->rate > 0; i++)
		if ((next = go_on(r, i, now)) < until)
			until = next;
	fleet_turn(r->fleet, until);
	for (size_t i = 0; i < r->load->active; i++)
		if (r->askers[i].flying > 0 && now - r->askers[i].sent[r->askers[i].first] > PATIENCE)
			errx(1, "connection %zu: no answer in %.0f s", i, PATIENCE);
}

static void
prepare(struct requests *r)
{
	if ((r->askers = calloc(r->load->active, sizeof(*r->askers))) == NULL)
		err(1, NULL);
	for (size_t i = 0; i < r->load->active; i++)
		if ((r->askers[i].sent = calloc(r->load->window, sizeof(double))) == NULL)
			err(1, NULL);
	r->fleet = fleet_new(r->load, r->load->connections, answered, r);
	r->result.connect = fleet_connect(r->fleet);
	r->more = true;
	/* Not all at once, if they go by the clock. */
	for (size_t i = 0; i < r->load->active; i++) {
		r->askers[i].due = r->load->rate > 0 ?
		    monotonic() + (double)i / (double)r->load->active / r->load->rate : 0;
		go_on(r, i, monotonic());
	}
	while (r->warm < r->load->active)
		turn(r);
	r->result.took.count = 0;
	r->result.bytes = 0;
}

struct requests_result
requests_run(const struct load *l, struct str (*next)(void *arg, size_t i), void *arg)
{
	struct requests r = { .load = l, .next = next, .arg = arg };
	double start;

	prepare(&r);
	start = monotonic();
	while (!load_over(l, start))
		turn(&r);
	r.result.seconds = monotonic() - start;
	r.result.answers = r.result.took.count;
	r.more = false;
	while (r.flying > 0)
		turn(&r);
	fleet_free(&r.fleet);
	for (size_t i = 0; i < l->active; i++)
		free(r.askers[i].sent);
	free(r.askers);
	return r.result;
}
