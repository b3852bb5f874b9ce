/*
 * settings.h - what the command line says.
 */
#ifndef MONITOR_WSD_SETTINGS_H
#define MONITOR_WSD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "auth.h"
#include "tls.h"

#define SETTINGS_LISTEN_MAX 16
#define SETTINGS_PROXIES_MAX 64

struct settings {
	/* where to */
	const char *store;             /* NULL: nothing is read */
	const char *sink;              /* a socket's path, or */
	char *const *command;          /* argv, or neither: standard output */
	/* who may */
	struct auth_settings auth;
	bool insecure;
	const char *new_token;         /* the code of a token to be made, and no more */
	enum auth_role role;
	/* listen */
	const char *listen[SETTINGS_LISTEN_MAX];
	size_t listen_count;
	bool reuse_port;
	const char *metrics;
	struct tls_settings tls;
	struct network proxies[SETTINGS_PROXIES_MAX];
	size_t proxy_count;
	bool trust_unix;
	/* limits */
	size_t max_connections, max_per_address;
	size_t max_message, max_records, max_queue, max_unsettled;
	unsigned max_reads, readers;
	double auth_timeout, timeout, ping_interval, stop_timeout;
	double rate, burst;
	/* other */
	bool check, quiet;
};

/* Read them, or end with a message. What is right or wrong by itself is found here,
 * but no file is looked at. */
void settings_parse(struct settings *s, int argc, char **argv);

#endif
