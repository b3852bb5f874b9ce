/*
 * monitor-purge - retention: forget what is too old, or too much.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "record.h"
#include "rounds.h"

enum {
	OPT_LOGS = CLI_OWN, OPT_NOTIFICATIONS, OPT_MARKS, OPT_MAX_SIZE, OPT_KEEP_FREE, OPT_INTERVAL,
	OPT_WHOLE,
};

static const struct cli_option options[] = {
	{ 0, NULL, NULL, "What goes" },
	{ OPT_LOGS, "logs-timewindow", "DURATION", "logs older than this (default: $LOGS_TIMEWINDOW)" },
	{ OPT_NOTIFICATIONS, "notifications-timewindow", "DURATION",
	    "notifications older than this" },
	{ OPT_MAX_SIZE, "max-size", "SIZE", "the oldest logs, until the store is no larger" },
	{ OPT_KEEP_FREE, "keep-free", "SIZE", "the oldest logs, until so much is free on its disk" },
	{ OPT_MARKS, "marks-timewindow", "DURATION", "marks of sources silent for longer (default: 90d)" },
	{ 0, NULL, NULL, "Of these only" },
	{ 'W', "watchdog", "CODE", "records of this watchdog; may be repeated" },
	{ 'l', "level", "LEVEL", "records of this level and the less severe" },
	{ OPT_WHOLE, "whole-partitions", NULL, "partitions (PostgreSQL) of which all goes" },
	{ 0, NULL, NULL, "How" },
	{ 'd', "store", "URL", "the store (default: $MONITOR_STORE, " STORE_DEFAULT ")" },
	{ OPT_INTERVAL, "interval", "DURATION", "stay and repeat (default: $CLEANUP_INTERVAL, or once)" },
	{ 'n', "dry-run", NULL, "only say what would go" },
	{ 'o', "output", "FORMAT", "text (default) or ndjson" },
	{ 'q', "quiet", NULL, "only errors" },
	CLI_COMMON_OPTIONS,
	{ 0 },
};

struct settings {
	struct rounds rounds;
	struct str *watchdogs;
	const char *windows[RECORD_KINDS];   /* as options gave them; NULL: not */
	bool interval, marks;
};

static void
add_watchdog(struct settings *s, const char *code)
{
	struct purge *p = &s->rounds.purge;
	struct str watchdog = cli_watchdog(code);

	s->watchdogs = realloc(s->watchdogs, (p->watchdog_count + 1) * sizeof(*s->watchdogs));
	if (s->watchdogs == NULL)
		cli_die(EXIT_ERROR, "out of memory");
	s->watchdogs[p->watchdog_count++] = watchdog;
	p->watchdogs = s->watchdogs;
}

static void
set_window(struct settings *s, enum record_kind kind, const char *name)
{
	s->windows[kind] = optarg;
	s->rounds.purge.window[kind] = cli_duration(name, optarg, 0, INFINITY);
}

static void
parse_option(struct settings *s, int key)
{
	struct purge *p = &s->rounds.purge;
	struct error e;

	switch (key) {
	case 'd':
		s->rounds.store = cli_store(optarg);
		break;
	case 'l':
		if (record_level_parse(optarg, &p->level_min, &e) == -1)
			cli_usage("--level: %s", e.text);
		break;
	case 'n':
		p->dry_run = true;
		break;
	case 'o':
		if ((s->rounds.report = report_find(optarg)) == NULL)
			cli_usage("--output: '%s' is neither text nor ndjson", optarg);
		break;
	case 'W':
		add_watchdog(s, optarg);
		break;
	case OPT_LOGS:
		set_window(s, RECORD_LOG, "--logs-timewindow");
		break;
	case OPT_NOTIFICATIONS:
		set_window(s, RECORD_NOTIFICATION, "--notifications-timewindow");
		break;
	case OPT_MARKS:
		s->marks = true;
		p->marks_window = cli_duration("--marks-timewindow", optarg, 0, INFINITY);
		break;
	case OPT_MAX_SIZE:
		p->max_size = cli_size("--max-size", optarg, 0, INT64_MAX);
		break;
	case OPT_KEEP_FREE:
		p->keep_free = cli_size("--keep-free", optarg, 0, INT64_MAX);
		break;
	case OPT_WHOLE:
		p->whole = true;
		break;
	case OPT_INTERVAL:
		s->interval = true;
		s->rounds.interval = cli_duration("--interval", optarg, 0, INFINITY);
		break;
	}
}

/* What no option has said. */
static void
parse_environment(struct settings *s)
{
	const char *window = getenv("LOGS_TIMEWINDOW"), *interval = getenv("CLEANUP_INTERVAL");

	if (s->windows[RECORD_LOG] == NULL && window != NULL && *window != '\0')
		s->rounds.purge.window[RECORD_LOG] = cli_duration("LOGS_TIMEWINDOW", window, 0, INFINITY);
	if (!s->interval && interval != NULL && *interval != '\0')
		s->rounds.interval = cli_duration("CLEANUP_INTERVAL", interval, 0, INFINITY);
}

/* Somebody relies on this to purge: nothing to do is a mistake. */
static void
check(const struct settings *s)
{
	const struct purge *p = &s->rounds.purge;

	if (p->window[RECORD_LOG] <= 0 && p->window[RECORD_NOTIFICATION] <= 0 && p->max_size == 0 &&
	    p->keep_free == 0 && !(s->marks && p->marks_window > 0))
		cli_usage("nothing to purge: neither a time window nor a size is given");
}

/* Who types 30 may mean days. That cannot be known, and nothing is asked; but it is said. */
static void
warn_of_seconds(const struct settings *s)
{
	static const char *const names[RECORD_KINDS] = { "logs", "notifications" };

	for (int k = 0; k < RECORD_KINDS; k++) {
		const char *text = s->windows[k];
		double window = s->rounds.purge.window[k];

		if (text != NULL && window > 0 && window < 3600 &&
		    text[strspn(text, "0123456789. \t")] == '\0')
			cli_warn("--%s-timewindow: %s is %s seconds; days are %sd", names[k], text, text, text);
	}
}

int
main(int argc, char **argv)
{
	struct settings s = { .rounds = {
		.purge = { .marks_window = 90 * 86400.0, .level_min = INT64_MIN, .shrink = true },
		.report = report_text,
	} };
	struct cli cli = {
		.program = "monitor-purge",
		.synopsis = "[OPTION]...",
		.about = "Forget the records that are too old, or too many, and give the space back.",
		.options = options,
		.argc = argc,
		.argv = argv,
	};
	bool quiet = false;
	int key, status;

	while ((key = cli_next(&cli)) != -1) {
		if (key == 'q')
			quiet = true;
		parse_option(&s, key);
	}
	if (optind < argc)
		cli_usage("'%s': there are no operands; -d names a store", argv[optind]);
	parse_environment(&s);
	check(&s);
	if (s.rounds.store == NULL)
		s.rounds.store = cli_store(NULL);
	if (s.rounds.purge.dry_run)
		s.rounds.interval = 0;
	if (quiet)
		s.rounds.report = NULL;
	else if (isatty(STDERR_FILENO))
		warn_of_seconds(&s);
	status = rounds_run(&s.rounds);
	free(s.watchdogs);
	return status;
}
