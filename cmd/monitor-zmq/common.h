/*
 * common.h - the options that all verbs take that open sockets.
 */
#ifndef MONITOR_ZMQ_COMMON_H
#define MONITOR_ZMQ_COMMON_H

#include <stdbool.h>
#include <stddef.h>

#include "cli.h"
#include "socket.h"

#define COMMON_ENDPOINTS 32

struct common {
	const char *program;       /* for messages: "monitor-zmq pub" */
	struct endpoint endpoints[COMMON_ENDPOINTS];
	size_t endpoint_count;
	const char *secret_key;    /* a file */
	const char *server_key;    /* a key, or a file */
	const char *allow;         /* a file */
	bool insecure;
	int high_water;
	double linger, retry_min, retry_max, heartbeat;
	double stop_timeout;       /* of verbs whose own table has that option */
	const char *metrics;       /* ADDR:PORT */
	bool quiet;
};

#define COMMON_DEFAULTS { \
	.high_water = 1000, .linger = 5, .retry_min = 0.1, .retry_max = 5, .heartbeat = 5, \
	.stop_timeout = 10, \
}

/* Keys of these options; the first free one. */
enum {
	COMMON_BIND = CLI_OWN, COMMON_CONNECT, COMMON_CURVE_KEY, COMMON_CURVE_SERVER_KEY,
	COMMON_CURVE_ALLOW, COMMON_INSECURE, COMMON_HIGH_WATER, COMMON_LINGER, COMMON_RETRY,
	COMMON_HEARTBEAT, COMMON_METRICS, COMMON_STOP_TIMEOUT, COMMON_OWN,
};

/* They end a verb's table. */
#define COMMON_OPTIONS \
	{ 0, NULL, NULL, "Endpoints (tcp://HOST:PORT, ipc://PATH)" }, \
	{ COMMON_BIND, "bind", "ENDPOINT", "listen there; may be repeated" }, \
	{ COMMON_CONNECT, "connect", "ENDPOINT", "connect there; may be repeated" }, \
	{ COMMON_HIGH_WATER, "high-water", "N", "messages that may wait for a peer (default: 1000)" }, \
	{ COMMON_LINGER, "linger", "DURATION", "what is unsent at the end may take so long (default: 5s)" }, \
	{ COMMON_RETRY, "retry", "MIN[..MAX]", "between attempts to connect (default: 100ms..5s)" }, \
	{ COMMON_HEARTBEAT, "heartbeat", "DURATION", "between pings, 0: none (default: 5s)" }, \
	{ 0, NULL, NULL, "Who is at the other end" }, \
	{ COMMON_CURVE_KEY, "curve-key", "FILE", "our own secret key: encrypt, and prove who we are" }, \
	{ COMMON_CURVE_SERVER_KEY, "curve-server-key", "KEY", "the public key of whom we connect to, or a file" }, \
	{ COMMON_CURVE_ALLOW, "curve-allow", "FILE", "the public keys of who may connect to us" }, \
	{ COMMON_INSECURE, "insecure", NULL, "leave this machine without any of these" }, \
	{ 0, NULL, NULL, "Other" }, \
	{ COMMON_METRICS, "metrics", "ADDR:PORT", "figures for Prometheus over HTTP" }, \
	{ 'q', "quiet", NULL, "only warnings and errors" }, \
	CLI_COMMON_OPTIONS, \
	{ 0 }

/* Take the option that cli_next() came to; false: it is not one of these. What is wrong with it
 * ends the program, status 2. */
bool common_option(struct common *c, int key);

/* After the last option: the operands are endpoints, to be bound or connected to. Then all
 * that has been said must fit together, or it ends the program, status 2. */
void common_operands(struct common *c, const struct cli *cli, bool bind);

#endif
