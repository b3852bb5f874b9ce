#include "options.h"

#include "cli.h"

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
