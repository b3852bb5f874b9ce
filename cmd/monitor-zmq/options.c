#include "options.h"

#include <string.h>

#include "cli.h"

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
