#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "when.h"

#define SECONDS_MAX 1e6

double
options_duration(const char *name, const char *text, double min)
{
	struct error e;
	double seconds;

	if (when_parse_duration(text, &seconds, &e) == -1)
		cli_usage("--%s: %s", name, e.text);
	if (seconds < min || seconds > SECONDS_MAX)
		cli_usage("--%s %s: out of range", name, text);
	return seconds;
}

uint64_t
options_size(const char *name, const char *text)
{
	struct error e;
	uint64_t size;

	if (when_parse_size(text, &size, &e) == -1)
		cli_usage("--%s: %s", name, e.text);
	if (size == 0 || size > SIZE_MAX / 8)
		cli_usage("--%s %s: out of range", name, text);
	return size;
}

unsigned
options_count(const char *name, const char *text, unsigned max)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0')
		cli_usage("--%s %s: not a number", name, text);
	if (errno != 0 || n < 1 || n > max)
		cli_usage("--%s %s: out of range", name, text);
	return (unsigned)n;
}

bool
options_label(int key, const char *text, struct ndjson_defaults *defaults)
{
	if (key == 'k' && record_kind_parse(str_of(text), &defaults->kind) == -1)
		cli_usage("--kind: '%s' is neither log nor notification", text);
	if (key == 'W') {
		defaults->watchdog = str_of(text);
		if (!record_watchdog_valid(defaults->watchdog))
			cli_usage("--watchdog: '%s' is no watchdog code", text);
	}
	return key == 'k' || key == 'W';
}

const char *
options_sink(const char *text)
{
	if (strncmp(text, "unix:", 5) != 0 || text[5] == '\0')
		cli_usage("--sink: '%s' is not unix:PATH", text);
	return text + 5;
}

void
options_check_sink(const char *path, char *const *command, bool must)
{
	if (command != NULL && *command == NULL)
		cli_usage("behind -- a command is needed");
	if (command != NULL && path != NULL)
		cli_usage("--sink and a command do not go together");
	if (must && command == NULL && path == NULL)
		cli_usage("a sink is needed: --sink unix:PATH, or a command behind --");
}
