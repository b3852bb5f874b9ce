#include "rounds.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli.h"
#include "when.h"

/* Free pages are kept for the records of the next rounds: as many bytes as these
 * last rounds freed, but at least so many. */
enum { RECENT = 12, LEAST = 4 << 20 };

struct recent {
	uint64_t bytes[RECENT];
	size_t rounds;            /* so far; the first, which catches up, does not count */
};

struct state {
	const struct rounds *r;
	struct store *store;      /* NULL: not open */
	struct recent recent;
	char complaint[sizeof(((struct error *)0)->text)];   /* the last one, if it still holds */
};

static volatile int stop;
static int stop_fd = -1;   /* an eventfd: the same, for what waits */

static void
note(int signal)
{
	int saved = errno;
	uint64_t one = 1;
	ssize_t n;

	(void)signal;
	stop = 1;
	/* Fails only when it has been written to 2^64 times already. */
	n = write(stop_fd, &one, sizeof(one));
	(void)n;
	errno = saved;
}

static void
catch_signals(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction action = { .sa_handler = note, .sa_flags = SA_RESTART }, was;

	if ((stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
		cli_die(EXIT_ERROR, "eventfd: %s", strerror(errno));
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);   /* an error to report, as a full disk is */
}

/* ---- one round ------------------------------------------------------------- */

static uint64_t
spare_bytes(const struct state *s)
{
	uint64_t sum = 0;

	if (s->r->interval <= 0 || s->recent.rounds == 0)
		return 0;
	for (size_t i = 0; i < RECENT; i++)
		sum += s->recent.bytes[i];
	return sum > LEAST ? sum : LEAST;
}

static void
remember(struct recent *recent, const struct purged *out)
{
	if (recent->rounds > 0)
		recent->bytes[recent->rounds % RECENT] = out->bytes[RECORD_LOG] +
		    out->bytes[RECORD_NOTIFICATION];
	recent->rounds++;
}

static bool
did_anything(const struct purged *out)
{
	return out->rows[RECORD_LOG] + out->rows[RECORD_NOTIFICATION] + out->marks > 0;
}

/* A single run always says what it did. -1: what a service says cannot be
 * written, or nobody reads it. */
static int
report(const struct rounds *r, const struct purged *out, double now)
{
	if (r->report == NULL || (r->interval > 0 && !did_anything(out)))
		return 0;
	r->report(out, now, r->purge.dry_run);
	if (r->interval <= 0 || fflush(stdout) == 0)
		return 0;
	if (errno == EPIPE)
		clearerr(stdout);   /* not an error to cli_close_stdout() either */
	return -1;
}

static int
purge_once(struct state *s, struct purged *out, double now, struct error *e)
{
	struct purge p = s->r->purge;

	*out = (struct purged){ 0 };
	if (s->store == NULL && (s->store = store_open_until(s->r->store,
	    p.dry_run ? STORE_READ : STORE_PURGE, stop_fd, e)) == NULL)
		return e->kind == ERROR_NONE ? 0 : -1;
	p.now = now;
	p.spare = spare_bytes(s);
	return store_purge(s->store, &p, &stop, out, e);
}

static int
status_of(const struct error *e)
{
	return e->kind == ERROR_BUSY ? EXIT_TEMPFAIL : e->kind == ERROR_USAGE ? EXIT_USAGE :
	    EXIT_ERROR;
}

/* May it be gone by the next round? */
static bool
may_pass(const struct error *e)
{
	switch (e->kind) {
	case ERROR_ABSENT:
	case ERROR_GONE:
	case ERROR_BUSY:
	case ERROR_FULL:
	case ERROR_MEMORY:
	case ERROR_SYSTEM:
		return true;
	default:
		return false;
	}
}

/* Say it once, not at every round that it is so. */
static void
complain(struct state *s, const struct error *e)
{
	if (strcmp(s->complaint, e->text) != 0)
		cli_warn("%s", e->text);
	memcpy(s->complaint, e->text, sizeof(s->complaint));
}

/* A status to end with, or -1 to go on. */
static int
round_status(struct state *s)
{
	struct purged out;
	struct error e;
	double now = when_now();
	bool failed = purge_once(s, &out, now, &e) == -1;

	if (failed) {
		complain(s, &e);
		store_close(&s->store);
	} else {
		s->complaint[0] = '\0';
		remember(&s->recent, &out);
	}
	if ((!failed || did_anything(&out)) && report(s->r, &out, now) == -1)
		return EXIT_SUCCESS;   /* closing it will tell */
	if (failed && (s->r->interval <= 0 || !may_pass(&e)))
		return status_of(&e);
	return s->r->interval > 0 ? -1 : EXIT_SUCCESS;
}

/* ---- again and again ------------------------------------------------------- */

/* Wait until `*next`, or for a signal; then `*next` is an interval later, or as
 * many as have passed. */
static void
await_round(double *next, double interval)
{
	struct pollfd stopped = { .fd = stop_fd, .events = POLLIN };
	double left;

	while (!stop && (left = *next - when_ticks()) > 0)
		poll(&stopped, 1, (int)(fmin(left, 86400) * 1000) + 1);
	*next += interval * fmax(1, ceil((when_ticks() - *next) / interval));
}

int
rounds_run(const struct rounds *r)
{
	struct state s = { .r = r };
	double next = when_ticks() + r->interval;
	int status;

	catch_signals();
	while ((status = round_status(&s)) == -1 && !stop)
		await_round(&next, r->interval);
	store_close(&s.store);
	if (status == -1)
		status = EXIT_SUCCESS;
	if (cli_close_stdout() == -1 && status == EXIT_SUCCESS)
		status = EXIT_ERROR;
	return status;
}
