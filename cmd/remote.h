/*
 * remote.h - the options of a command that can go through the daemon instead of to a store
 * at hand.
 */
#ifndef MONITOR_CMD_REMOTE_H
#define MONITOR_CMD_REMOTE_H

#include <stdbool.h>

#include "cli.h"
#include "client.h"

/* Keys of their own, below those of the commands. */
enum {
	REMOTE_URL = 1050, REMOTE_TOKEN_FILE, REMOTE_CA, REMOTE_CERT, REMOTE_KEY, REMOTE_INSECURE
};

#define REMOTE_OPTIONS \
	{ REMOTE_URL, "url", "URL", "a daemon instead of a store: ws://HOST[:PORT], wss://..." }, \
	{ REMOTE_TOKEN_FILE, "token-file", "FILE", "the token that it is shown (or $MONITOR_TOKEN)" }, \
	{ REMOTE_CA, "ca", "FILE", "who vouches for its certificate (default: the system's)" }, \
	{ REMOTE_CERT, "cert", "FILE", "our own certificate" }, \
	{ REMOTE_KEY, "key", "FILE", "the key of that certificate" }, \
	{ REMOTE_INSECURE, "insecure", NULL, "show the token to another host without TLS" }

/* Take an option, if it is one of these. */
bool remote_take(struct client_settings *s, int key);

/* When all options are read: `store` is what -d gave, NULL if it was not there. A mistake
 * ends the program, status 2. Reads the environment. */
void remote_check(struct client_settings *s, const char *store);

#endif
