/*
 * monitor-wsd - the daemon that watchdogs and their owners' apps speak to, over WebSocket.
 */
#include <stdlib.h>

#include "cli.h"
#include "daemon.h"
#include "log.h"
#include "newtoken.h"
#include "settings.h"

int
main(int argc, char **argv)
{
	struct settings s;
	struct error e;
	int r;

	cli_fill_streams();
	settings_parse(&s, argc, argv);
	if (s.new_token != NULL)
		return newtoken_make(&s);
	log_open("monitor-wsd", s.quiet ? LOG_WARNING : LOG_INFO);
	r = s.check ? daemon_check(&s, &e) : daemon_run(&s, &e);
	if (r == 0)
		return EXIT_SUCCESS;
	log_say(LOG_ERR, "%s", e.text);
	return e.kind == ERROR_USAGE ? EXIT_USAGE : EXIT_ERROR;
}
