#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "store.h"
#include "when.h"

#ifndef MONITOR_VERSION
#define MONITOR_VERSION "0"
#endif

static const char *program = "monitor";

struct parsed {
	char letters[256];
	struct option longs[64];
};

/* The program's name without its verb, for printf's "%.*s". */
#define BARE_NAME(name) (int)strcspn(name, " "), name

static void
say_where_help_is(void)
{
	fprintf(stderr, "Try '%s --help' or 'man %.*s'.\n", program, BARE_NAME(program));
}

static void
warn_va(const char *fmt, va_list ap)
{
	flockfile(stderr);
	fprintf(stderr, "%s: ", program);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	funlockfile(stderr);
}

void
cli_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	warn_va(fmt, ap);
	va_end(ap);
}

void
cli_die(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	warn_va(fmt, ap);
	va_end(ap);
	exit(status);
}

void
cli_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	warn_va(fmt, ap);
	va_end(ap);
	say_where_help_is();
	exit(EXIT_USAGE);
}

/* The table as getopt_long(3) wants it. */
static struct parsed *
parse_table(const struct cli *cli)
{
	struct parsed *p = calloc(1, sizeof(*p));
	size_t n = 0, letters = 0;

	if (p == NULL)
		cli_die(EXIT_ERROR, "out of memory");
	if (cli->command)
		p->letters[letters++] = '+';
	for (const struct cli_option *o = cli->options; o->help != NULL; o++) {
		if (o->key == 0)
			continue;
		if (n == sizeof(p->longs) / sizeof(p->longs[0]) - 1 || letters > sizeof(p->letters) - 4)
			abort();
		int has = o->arg == NULL ? no_argument :
		    o->arg[0] == '[' ? optional_argument : required_argument;
		if (o->name != NULL)
			p->longs[n++] = (struct option){ o->name, has, NULL, o->key };
		if (o->key < 256) {
			p->letters[letters++] = (char)o->key;
			for (int i = 0; i < has; i++)
				p->letters[letters++] = ':';
		}
	}
	return p;
}

static bool
is_elsewhere(const struct cli_option *o)
{
	return o->arg != NULL && strcmp(o->arg, CLI_ELSEWHERE) == 0;
}

static void
refuse_elsewhere(const struct cli *cli, int key)
{
	for (const struct cli_option *o = cli->options; o->help != NULL; o++)
		if (o->key == key && is_elsewhere(o))
			cli_usage("there is no --%s: %s", o->name, o->help);
}

static void
print_help(const struct cli *cli)
{
	const struct cli_option *o;
	char left[64];
	int n;

	printf("usage: %s %s\n%s\n", cli->program, cli->synopsis, cli->about);
	for (o = cli->options; o->help != NULL; o++) {
		if (o->key == 0) {
			printf("\n%s:\n", o->help);
			continue;
		}
		if (is_elsewhere(o))
			continue;
		n = o->key < 256 ? snprintf(left, sizeof(left), "-%c", o->key) :
		    snprintf(left, sizeof(left), "  ");
		if (o->name != NULL)
			n += snprintf(left + n, sizeof(left) - (size_t)n, "%s --%s",
			    o->key < 256 ? "," : " ", o->name);
		if (o->arg != NULL)
			snprintf(left + n, sizeof(left) - (size_t)n, "%s%s%s",
			    o->arg[0] == '[' ? "[=" : o->name != NULL ? "=" : " ",
			    o->arg[0] == '[' ? o->arg + 1 : o->arg, "");
		printf("  %-32s %s\n", left, o->help);
	}
	printf("\nThe manual: man %.*s\n", BARE_NAME(cli->program));
	exit(cli_close_stdout() == 0 ? EXIT_SUCCESS : EXIT_ERROR);
}

int
cli_next(struct cli *cli)
{
	struct parsed *p = cli->parsed;
	int key;

	if (p == NULL) {
		program = cli->program;
		cli->argv[0] = (char *)(uintptr_t)program;
		p = cli->parsed = parse_table(cli);
	}
	switch (key = getopt_long(cli->argc, cli->argv, p->letters, p->longs, NULL)) {
	case CLI_HELP:
		print_help(cli);
		break;
	case CLI_VERSION:
		printf("%.*s %s\n", BARE_NAME(program), MONITOR_VERSION);
		exit(cli_close_stdout() == 0 ? EXIT_SUCCESS : EXIT_ERROR);
	case '?':
		say_where_help_is();
		exit(EXIT_USAGE);
	case -1:
		free(p);
		cli->parsed = NULL;
		break;
	default:
		refuse_elsewhere(cli, key);
	}
	return key;
}

uint64_t
cli_count(const char *name, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0')
		cli_usage("%s: '%s' is not a number", name, text);
	if (errno != 0 || n < min || n > max)
		cli_usage("%s: '%s' is out of range", name, text);
	return n;
}

uint64_t
cli_size(const char *name, const char *text, uint64_t min, uint64_t max)
{
	struct error e;
	uint64_t n;

	if (when_parse_size(text, &n, &e) == -1)
		cli_usage("%s: %s", name, e.text);
	if (n < min || n > max)
		cli_usage("%s: '%s' is out of range", name, text);
	return n;
}

double
cli_duration(const char *name, const char *text, double min, double max)
{
	struct error e;
	double seconds;

	if (when_parse_duration(text, &seconds, &e) == -1)
		cli_usage("%s: %s", name, e.text);
	if (seconds < min || seconds > max)
		cli_usage("%s: '%s' is out of range", name, text);
	return seconds;
}

enum record_kind
cli_kind(const char *text)
{
	enum record_kind kind;

	if (record_kind_parse(str_of(text), &kind) == -1)
		cli_usage("--kind: '%s' is neither log nor notification", text);
	return kind;
}

struct str
cli_watchdog(const char *text)
{
	if (!record_watchdog_valid(str_of(text)))
		cli_usage("--watchdog: '%s' is no watchdog code", text);
	return str_of(text);
}

const char *
cli_sink(const char *text)
{
	if (strncmp(text, "unix:", 5) != 0 || text[5] == '\0')
		cli_usage("--sink: '%s' is not unix:PATH", text);
	if (strlen(text + 5) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		cli_usage("--sink: '%s' is too long for the path of a socket", text);
	return text + 5;
}

bool
cli_label(int key, const char *text, struct ndjson_defaults *defaults)
{
	if (key == 'k')
		defaults->kind = cli_kind(text);
	else if (key == 'W')
		defaults->watchdog = cli_watchdog(text);
	else
		return false;
	return true;
}

void
cli_fill_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			(void)!open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

void
cli_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* From the first '@' to the last of those that may end a name and password: one that has an '@' or '/'
 * that is not written as %40 or %2F is hidden, too. */
static size_t
end_of_password(const char *user)
{
	size_t end = strcspn(user, "@"), n = end;

	while (user[n] == '@') {
		end = n;
		n += 1 + strcspn(user + n + 1, "@?");
	}
	return end;
}

/* Everyone may list a program's arguments: let them find no password there. */
static void
hide_password(char *url)
{
	char *user = strstr(url, "://"), *p = url;
	size_t n, name;

	if (user != NULL && user[3 + (n = end_of_password(user + 3))] == '@' &&
	    (name = strcspn(user + 3, ":")) < n)
		memset(user + 3 + name + 1, 'x', n - name - 1);
	while ((p = strcasestr(p, "password")) != NULL) {   /* PGPASSWORD=, too */
		p += strlen("password");
		if (p[n = strspn(p, " ")] == '=')
			memset(p + n + 1, 'x', strlen(p + n + 1));
	}
}

static char *
copy_of(const char *url)
{
	char *copy = strdup(url);

	if (copy == NULL)
		cli_die(EXIT_ERROR, "out of memory");
	return copy;
}

char *
cli_shown(const char *url)
{
	char *shown = copy_of(url);

	hide_password(shown);
	return shown;
}

/* The option's argument; a copy, which lasts as long as the program, if that had to be
 * overwritten. */
static const char *
take_url(char *option)
{
	static char *taken;

	free(taken);
	taken = copy_of(option);
	hide_password(option);
	return taken;
}

char *const *
cli_command(char **words)
{
	static char **command;
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	if ((command = calloc(n + 1, sizeof(*command))) == NULL)
		cli_die(EXIT_ERROR, "out of memory");
	for (size_t i = 0; i < n; i++) {
		command[i] = copy_of(words[i]);
		hide_password(words[i]);
	}
	return command;
}

/* NULL if it is not set, or empty. */
static const char *
from_environment(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

static const char *
checked_url(const char *from, const char *url)
{
	struct error e;

	if (store_check_url(url, &e) == -1)
		cli_usage("%s: %s", from, e.text);
	return url;
}

/* Where the environment names none, `otherwise`. */
static const char *
store_of(const char *name, const char *otherwise)
{
	const char *url = from_environment(name);

	return url != NULL ? checked_url(name, url) : otherwise;
}

const char *
cli_store(char *option)
{
	if (option != NULL)
		return checked_url("--store", take_url(option));
	return store_of("MONITOR_STORE", STORE_DEFAULT);
}

const char *
cli_read_store(const char *otherwise)
{
	const char *url = store_of("MONITOR_READ_STORE", NULL);

	return url != NULL ? url : store_of("MONITOR_STORE", otherwise);
}

int
cli_close_stdout(void)
{
	bool failed = ferror(stdout) != 0;

	errno = 0;
	if (fclose(stdout) == EOF)
		failed = true;
	if (!failed || errno == EPIPE)
		return 0;
	cli_warn("standard output: %s", errno != 0 ? strerror(errno) : "write error");
	return -1;
}
