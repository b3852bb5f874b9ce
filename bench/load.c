/*
 * load - a load generator for the daemon, and whatever speaks its protocol: one process, one
 * event loop, nothing of the product's client.
 *
 *   load uploads [OPTION]... URL SECONDS    records, each connection sends the next message when one
 *                                   was answered. Prints "MESSAGES/S RECORDS/S P50 P99 MAX
 *                                   CONNECT": latencies until the answer, and the time until
 *                                   all were connected and authenticated
 *   load ask [OPTION]... URL SECONDS        the same with a question: prints "ANSWERS/S BYTES P50 P99
 *                                   MAX", BYTES of the average answer
 *   load hold [OPTION]... URL SECONDS       connections that only keep alive: prints CONNECT once
 *                                   all are there
 *   load forward [OPTION]... URL SECONDS    one connection uploads notifications, one after the other,
 *                                   to -c others of the same watchdog: prints "COPIES" and three
 *                                   times "P50 P99 MAX": until the copies came, until the reply
 *                                   did, and the copies behind the reply (or before it: negative)
 *   load slow [OPTION]... URL SECONDS       a question whose answer is read slowly: prints "begun", and
 *                                   "BYTES SECONDS" when it has come or the time is over
 *
 * URL is ws://, wss:// (whoever answers) or ws+unix:PATH. All times are seconds. SECONDS 0: until standard
 * input ends.
 *
 *   -c CONNECTIONS (1)     -a ACTIVE   so many of them ask or upload (all)
 *   -w WINDOW (1)          so many requests of a connection are under way
 *   -R RECORDS (1)         in a message    -f CORPUS   file of records to repeat
 *   -r RATE                requests a second of a connection (as often as they are answered)
 *   -q REQUEST             what to ask ({"action":"getLogs","timewindow":60})
 *   -W CODE                the watchdog of all (w000001 is the first one's, w000002 ...): the token
 *                          is the code, as under --no-auth
 *   -B BYTES               a second, of the slow reader (1000000)
 *   -A ADDRESSES           connect from so many, 127.1.0.1 and up (from any)
 *   -e                     the server only echoes: no authentication, any answer counts
 *
 * A connection that is refused or closed, and a request that fails, end it with status 1.
 */
#include <err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "loads/load.h"
#include "percentile.h"

static const struct verb {
	const char *name;
	void (*run)(const struct load *l);
} verbs[] = {
	{ "uploads", load_uploads },
	{ "ask", load_ask },
	{ "hold", load_hold },
	{ "forward", load_forward },
	{ "slow", load_slow },
};

bool
load_input_ended(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char piece[512];

	return poll(&in, 1, 0) == 1 && read(STDIN_FILENO, piece, sizeof(piece)) <= 0;
}

bool
load_over(const struct load *l, double began)
{
	return l->seconds > 0 ? monotonic() - began >= l->seconds : load_input_ended();
}

/* As many connections as the machine allows. */
static void
raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		err(1, "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		err(1, "setrlimit");
}

static size_t
number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end != '\0' || n == 0)
		errx(2, "%s: not a number", text);
	return n;
}

static void
options(struct load *l, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "c:a:w:R:f:r:q:W:B:A:e")) != -1) {
		switch (option) {
		case 'c': l->connections = number(optarg); break;
		case 'a': l->active = number(optarg); break;
		case 'w': l->window = number(optarg); break;
		case 'R': l->records = number(optarg); break;
		case 'f': l->corpus = optarg; break;
		case 'r': l->rate = atof(optarg); break;
		case 'q': l->request = optarg; break;
		case 'W': l->watchdog = optarg; break;
		case 'B': l->speed = atof(optarg); break;
		case 'A': l->addresses = (unsigned)number(optarg); break;
		case 'e': l->echo = true; break;
		default: exit(2);
		}
	}
	if (argc - optind != 2)
		errx(2, "usage: load VERB [OPTION]... URL SECONDS");
	if (l->active == 0 || l->active > l->connections)
		l->active = l->connections;
	l->seconds = atof(argv[optind + 1]);
}

int
main(int argc, char **argv)
{
	struct load l = { .connections = 1, .window = 1, .records = 1, .speed = 1e6,
	    .request = "{\"action\":\"getLogs\",\"timewindow\":60}" };
	struct target_settings where = { 0 };
	struct error e;

	signal(SIGPIPE, SIG_IGN);
	raise_limit();
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		options(&l, argc - 1, argv + 1);
		where.url = argv[1 + optind];
		if ((l.target = target_new(&where, &e)) == NULL)
			errx(1, "%s", e.text);
		verbs[i].run(&l);
		target_free(&l.target);
		return 0;
	}
	errx(2, "usage: load uploads|ask|hold|forward|slow [OPTION]... URL SECONDS");
}
