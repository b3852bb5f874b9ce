#include "remote.h"

#include <getopt.h>
#include <stdlib.h>

bool
remote_take(struct client_settings *s, int key)
{
	switch (key) {
	case REMOTE_URL: s->url = optarg; break;
	case REMOTE_TOKEN_FILE: s->token_file = optarg; break;
	case REMOTE_CA: s->ca = optarg; break;
	case REMOTE_CERT: s->cert = optarg; break;
	case REMOTE_KEY: s->key = optarg; break;
	case REMOTE_INSECURE: s->insecure = true; break;
	default: return false;
	}
	return true;
}

void
remote_check(struct client_settings *s, const char *store)
{
	const char *token = getenv("MONITOR_TOKEN");

	if (s->url == NULL) {
		if (s->token_file != NULL || s->ca != NULL || s->cert != NULL || s->key != NULL ||
		    s->insecure)
			cli_usage("--token-file, --ca, --cert, --key and --insecure are for --url");
		return;
	}
	if (store != NULL)
		cli_usage("--store and --url are two places");
	if (s->token_file == NULL && token != NULL && *token != '\0')
		s->token = token;
}
