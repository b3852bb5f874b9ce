/*
 * cli.h - what every command does alike: options from one table, messages,
 * exit codes, the store's URL, a checked standard output.
 */
#ifndef MONITOR_CLI_H
#define MONITOR_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "ndjson.h"

/* Exit codes; 0 is done. */
enum {
	EXIT_ERROR = 1,       /* but monitor-query: EXIT_QUERY_ERROR */
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3,     /* monitor-ingest: done, but some lines were refused */
	EXIT_NOTHING = 1,     /* monitor-query: nothing matched */
	EXIT_QUERY_ERROR = 3,
	EXIT_TEMPFAIL = 75,   /* monitor-purge: locked; try again (sysexits.h) */
};

/* One option: it makes the getopt_long(3) tables, and --help. A key below 256
 * is its letter. A table ends with a zeroed entry; one that has only `help`
 * is a heading. */
struct cli_option {
	int key;
	const char *name;   /* the long name */
	const char *arg;    /* what it takes ("DURATION"; "[WHEN]" if it may be left out), or NULL */
	const char *help;
};

/* As `arg`: an option of other tools, which users will try. It ends the program, with what
 * there is in its place (`help`), rather than be taken for the beginning of another's name.
 * --help does not show it. */
#define CLI_ELSEWHERE "[elsewhere]"

/* Keys of the options that every table has (CLI_COMMON_OPTIONS), which
 * cli_next() acts on by itself. */
enum { CLI_HELP = 'h', CLI_VERSION = 1000, CLI_OWN = 1100 /* first free key */ };
#define CLI_COMMON_OPTIONS \
	{ CLI_HELP, "help", NULL, "show this help" }, \
	{ CLI_VERSION, "version", NULL, "show the version" }

/* What stands in for a label that a line lacks: see cli_label(). */
#define CLI_LABELS \
	{ 'k', "kind", "KIND", "of records without one: log (default) or notification" }, \
	{ 'W', "watchdog", "CODE", "of records without one (default: local)" }

struct cli {
	const char *program;    /* "monitor-query"; with a verb, "monitor-zmq pub" */
	const char *synopsis;   /* "[OPTION]... [FILE]..." */
	const char *about;      /* one sentence */
	const struct cli_option *options;
	bool command;           /* operands are a command with its own: options end there */
	int argc;
	char **argv;
	void *parsed;           /* getopt's tables, made at the first cli_next() */
};

/* The next option's key, its argument in `optarg`; -1 at the end (operands from
 * `optind` on). An unknown or incomplete option ends the program, status 2. */
int cli_next(struct cli *cli);

/* Messages on standard error: "monitor-query: ...". */
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void cli_die(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "monitor-query: try 'monitor-query --help'" behind the message; status 2. */
_Noreturn void cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What `text`, given to the option (or the variable) `name`, means: a number, bytes, seconds. If it
 * is none, or out of bounds, that ends the program, status 2. */
uint64_t cli_count(const char *name, const char *text, uint64_t min, uint64_t max);
uint64_t cli_size(const char *name, const char *text, uint64_t min, uint64_t max);
double cli_duration(const char *name, const char *text, double min, double max);

/* Likewise: what is given to --kind, --watchdog and (the path of unix:PATH) --sink. */
enum record_kind cli_kind(const char *text);
struct str cli_watchdog(const char *text);
const char *cli_sink(const char *text);

/* Is it one of CLI_LABELS? Then its text goes to `defaults`. */
bool cli_label(int key, const char *text, struct ndjson_defaults *defaults);

/* Open what is closed of the standard streams, so that nothing that is opened later is
 * taken for one of them. There is nothing to be read there, messages are lost, and to write
 * to standard output fails, as nobody has it. */
void cli_fill_streams(void);

/* As many open files as the system lets us have: a connection is one, or two, and the default
 * limit is for programs that use select(2). */
void cli_raise_files(void);

/* The store's URL: the option's argument if it was given (where that stands for all to
 * see, a password in it is overwritten), else MONITOR_STORE, else STORE_DEFAULT. One that
 * no engine takes ends the program, status 2; so with the next. */
const char *cli_store(char *option);

/* For those who only read, without the option: MONITOR_READ_STORE (a replica), else
 * MONITOR_STORE, else `otherwise`. */
const char *cli_read_store(const char *otherwise);

/* A command that stands in the arguments: a copy, which lasts as long as the program. Where it stands
 * for all to see, passwords are overwritten. */
char *const *cli_command(char **words);

/* A URL for messages: without the password that may be in it. Caller frees. */
char *cli_shown(const char *url);

/* Flush and close standard output. -1 with a message if what was written did
 * not all get out, 0 else; a closed pipe is not an error. */
int cli_close_stdout(void);

#endif
