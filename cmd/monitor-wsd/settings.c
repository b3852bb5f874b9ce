#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "listen.h"
#include "store.h"

#define DURATION_MAX 1e9

enum {
	OPT_SINK = CLI_OWN,
	OPT_AUTH_URL, OPT_AUTH_CA, OPT_AUTH_KEY, OPT_TOKENS, OPT_NO_AUTH, OPT_INSECURE,
	OPT_NEW_TOKEN, OPT_ROLE,
	OPT_LISTEN, OPT_REUSE_PORT, OPT_CERT, OPT_KEY, OPT_CLIENT_CA, OPT_METRICS, OPT_PROXY,
	OPT_MAX_CONNECTIONS, OPT_MAX_PER_ADDRESS, OPT_AUTH_TIMEOUT, OPT_TIMEOUT, OPT_PING_INTERVAL,
	OPT_MAX_MESSAGE, OPT_MAX_RECORDS, OPT_RATE, OPT_BURST, OPT_MAX_QUEUE, OPT_MAX_READS,
	OPT_READERS, OPT_MAX_UNSETTLED, OPT_STOP_TIMEOUT, OPT_CHECK,
};

static const struct cli_option options[] = {
	{ 0, NULL, NULL, "Where to" },
	{ 'd', "store", "URL", "answer reads from this store (default: $MONITOR_READ_STORE, $MONITOR_STORE; else no reads)" },
	{ OPT_SINK, "sink", "unix:PATH", "give records to the sink on this socket" },
	{ 0, NULL, NULL, "Who may" },
	{ OPT_AUTH_URL, "auth-url", "URL", "signed tokens, with the key of this service" },
	{ OPT_AUTH_CA, "auth-ca", "FILE", "who vouches for it (default: as the system has it)" },
	{ OPT_AUTH_KEY, "auth-key", "FILE", "signed tokens, with this public key" },
	{ OPT_TOKENS, "tokens", "FILE", "opaque tokens, by their SHA-256 in this file" },
	{ OPT_NO_AUTH, "no-auth", NULL, "everybody, as whoever they say; on this machine only" },
	{ OPT_INSECURE, "insecure", NULL, "allow --no-auth, and http: in --auth-url, over a network" },
	{ OPT_NEW_TOKEN, "new-token", "CODE", "make an opaque token, show it, add its line to --tokens "
	    "(without: to standard error), and end" },
	{ OPT_ROLE, "role", "ROLE", "of that: watchdog (default) or user" },
	{ 0, NULL, NULL, "Listen" },
	{ OPT_LISTEN, "listen", "WHERE", "on ADDR:PORT, *:PORT, unix:PATH or systemd: (default: *:9000, "
	    "with --no-auth 127.0.0.1:9000)" },
	{ OPT_REUSE_PORT, "reuse-port", NULL, "share the port with other processes" },
	{ OPT_CERT, "cert", "FILE", "TLS, but on unix sockets: the certificate, and its chain" },
	{ OPT_KEY, "key", "FILE", "its key" },
	{ OPT_CLIENT_CA, "client-ca", "FILE", "clients must show a certificate of these authorities" },
	{ OPT_METRICS, "metrics", "WHERE", "show figures on http://WHERE/metrics" },
	{ OPT_PROXY, "trusted-proxy", "ADDR[/BITS]", "believe its X-Forwarded-For, or Forwarded; "
	    "\"unix\": that of unix sockets" },
	{ 0, NULL, NULL, "Limits" },
	{ OPT_MAX_CONNECTIONS, "max-connections", "N", "at once (default: 10000)" },
	{ OPT_MAX_PER_ADDRESS, "max-connections-per-address", "N", "(default: 2000; 0: no bound)" },
	{ OPT_AUTH_TIMEOUT, "auth-timeout", "DURATION", "until it is known who it is (default: 30s)" },
	{ OPT_TIMEOUT, "timeout", "DURATION", "without a message (default: 30s)" },
	{ OPT_PING_INTERVAL, "ping-interval", "DURATION", "of silence until a ping, and as much until "
	    "its answer (default: 20s)" },
	{ OPT_MAX_MESSAGE, "max-message", "SIZE", "of a message (default: 1M)" },
	{ OPT_MAX_RECORDS, "max-records", "N", "in an upload (default: 10000)" },
	{ OPT_RATE, "rate", "N", "records a second that a watchdog may upload (default: 0, no bound)" },
	{ OPT_BURST, "burst", "N", "and how many at once (default: ten seconds' worth)" },
	{ OPT_MAX_QUEUE, "max-queue", "SIZE", "that may wait for a slow receiver (default: 4M)" },
	{ OPT_MAX_READS, "max-reads", "N", "at once, of one watchdog (default: 4)" },
	{ OPT_READERS, "readers", "N", "threads that read the store (default: 2)" },
	{ OPT_MAX_UNSETTLED, "max-unsettled", "SIZE", "that the sink may have yet to store "
	    "(default: 64M)" },
	{ OPT_STOP_TIMEOUT, "stop-timeout", "DURATION", "to settle what is under way at the end "
	    "(default: 10s)" },
	{ 0, NULL, NULL, "Other" },
	{ OPT_CHECK, "check", NULL, "look at settings and files, and end" },
	{ 'q', "quiet", NULL, "only warnings and errors" },
	CLI_COMMON_OPTIONS,
	{ 0 },
};

/* ---- options ---- */

static void
add_listen(struct settings *s)
{
	if (s->listen_count == SETTINGS_LISTEN_MAX)
		cli_usage("--listen: at most %d", SETTINGS_LISTEN_MAX);
	s->listen[s->listen_count++] = optarg;
}

static void
add_proxy(struct settings *s)
{
	struct error e;

	if (strcmp(optarg, "unix") == 0) {
		s->trust_unix = true;
		return;
	}
	if (s->proxy_count == SETTINGS_PROXIES_MAX)
		cli_usage("--trusted-proxy: at most %d", SETTINGS_PROXIES_MAX);
	if (network_parse(optarg, &s->proxies[s->proxy_count++], &e) == -1)
		cli_usage("--trusted-proxy %s", e.text);
}

/* Who may: false where it is another option. */
static bool
parse_access(struct settings *s, int key)
{
	switch (key) {
	case OPT_AUTH_URL:
		s->auth.key.url = optarg;
		return true;
	case OPT_AUTH_CA:
		s->auth.key.ca = optarg;
		return true;
	case OPT_AUTH_KEY:
		s->auth.key.file = optarg;
		return true;
	case OPT_TOKENS:
		s->auth.tokens = optarg;
		return true;
	case OPT_NO_AUTH:
		s->auth.none = true;
		return true;
	case OPT_INSECURE:
		s->insecure = s->auth.key.insecure = true;
		return true;
	case OPT_NEW_TOKEN:
		s->new_token = optarg;
		return true;
	case OPT_ROLE:
		if (auth_role_parse(str_of(optarg), &s->role) == -1)
			cli_usage("--role: '%s' is neither watchdog nor user", optarg);
		return true;
	}
	return false;
}

/* Where records go, and where to listen: likewise. */
static bool
parse_place(struct settings *s, int key)
{
	switch (key) {
	case 'd':
		s->store = cli_store(optarg);
		return true;
	case OPT_SINK:
		s->sink = cli_sink(optarg);
		return true;
	case OPT_LISTEN:
		add_listen(s);
		return true;
	case OPT_REUSE_PORT:
		s->reuse_port = true;
		return true;
	case OPT_CERT:
		s->tls.cert = optarg;
		return true;
	case OPT_KEY:
		s->tls.key = optarg;
		return true;
	case OPT_CLIENT_CA:
		s->tls.client_ca = optarg;
		return true;
	case OPT_METRICS:
		s->metrics = optarg;
		return true;
	case OPT_PROXY:
		add_proxy(s);
		return true;
	}
	return false;
}

static void
parse_limit(struct settings *s, int key)
{
	switch (key) {
	case OPT_MAX_CONNECTIONS:
		s->max_connections = cli_count("--max-connections", optarg, 1, 1000000);
		break;
	case OPT_MAX_PER_ADDRESS:
		s->max_per_address = cli_count("--max-connections-per-address", optarg, 0, 1000000);
		break;
	case OPT_AUTH_TIMEOUT:
		s->auth_timeout = cli_duration("--auth-timeout", optarg, 0.1, DURATION_MAX);
		break;
	case OPT_TIMEOUT:
		s->timeout = cli_duration("--timeout", optarg, 0.1, DURATION_MAX);
		break;
	case OPT_PING_INTERVAL:
		s->ping_interval = cli_duration("--ping-interval", optarg, 0.1, DURATION_MAX);
		break;
	case OPT_STOP_TIMEOUT:
		s->stop_timeout = cli_duration("--stop-timeout", optarg, 0, DURATION_MAX);
		break;
	case OPT_MAX_MESSAGE:
		s->max_message = cli_size("--max-message", optarg, 1, STORE_LONGEST);
		break;
	case OPT_MAX_QUEUE:
		s->max_queue = cli_size("--max-queue", optarg, 1, SIZE_MAX / 4);
		break;
	case OPT_MAX_UNSETTLED:
		s->max_unsettled = cli_size("--max-unsettled", optarg, 1, SIZE_MAX / 4);
		break;
	case OPT_MAX_RECORDS:
		s->max_records = cli_count("--max-records", optarg, 1, UINT32_MAX);
		break;
	case OPT_RATE:
		s->rate = (double)cli_count("--rate", optarg, 0, UINT32_MAX);
		break;
	case OPT_BURST:
		s->burst = (double)cli_count("--burst", optarg, 1, UINT32_MAX);
		break;
	case OPT_MAX_READS:
		s->max_reads = (unsigned)cli_count("--max-reads", optarg, 1, 1000);
		break;
	case OPT_READERS:
		s->readers = (unsigned)cli_count("--readers", optarg, 1, 64);
		break;
	}
}

static void
parse_option(struct settings *s, int key)
{
	if (key == OPT_CHECK)
		s->check = true;
	else if (key == 'q')
		s->quiet = true;
	else if (!parse_access(s, key) && !parse_place(s, key))
		parse_limit(s, key);
}

/* ---- what goes together ---- */

static void
check_listen(struct settings *s)
{
	struct error e;
	bool local;

	if (s->listen_count == 0)
		s->listen[s->listen_count++] = s->auth.none ? "127.0.0.1:9000" : "*:9000";
	for (size_t i = 0; i < s->listen_count; i++) {
		if (listen_check(s->listen[i], LISTEN_IP | LISTEN_UNIX, &local, &e) == -1)
			cli_usage("--listen %s", e.text);
		if (!local && s->auth.none && !s->insecure)
			cli_usage("--listen %s: --no-auth would let in whoever reaches that; "
			    "if that is meant: --insecure", s->listen[i]);
	}
	if (s->metrics != NULL &&
	    listen_check(s->metrics, LISTEN_IP | LISTEN_UNIX, &local, &e) == -1)
		cli_usage("--metrics %s", e.text);
}

static void
check_settings(struct settings *s)
{
	const struct auth_settings *a = &s->auth;

	if (a->key.url == NULL && a->key.file == NULL && a->tokens == NULL && !a->none)
		cli_usage("nothing says who may connect: --auth-url, --auth-key, --tokens or --no-auth");
	if (a->key.ca != NULL && a->key.url == NULL)
		cli_usage("--auth-ca goes with --auth-url");
	if (s->sink != NULL && s->command != NULL)
		cli_usage("--sink and a command do not go together");
	if ((s->tls.cert != NULL) != (s->tls.key != NULL))
		cli_usage("--cert and --key go together");
	if (s->tls.client_ca != NULL && s->tls.cert == NULL)
		cli_usage("--client-ca goes with --cert");
	if (s->burst == 0)
		s->burst = 10 * s->rate;
	check_listen(s);
}

void
settings_parse(struct settings *s, int argc, char **argv)
{
	struct cli cli = {
		.program = "monitor-wsd",
		.synopsis = "[OPTION]... [-- SINK [ARG]...]",
		.about = "Serve watchdogs over WebSocket: their records go to the SINK, or standard output.",
		.options = options,
		.command = true,
		.argc = argc,
		.argv = argv,
	};
	int key;

	*s = (struct settings){
		.auth.key = { .fresh = AUTHKEY_FRESH, .retry = AUTHKEY_RETRY,
		    .timeout = AUTHKEY_TIMEOUT },
		.max_connections = 10000, .max_per_address = 2000,
		.max_message = (size_t)1 << 20, .max_records = 10000,
		.max_queue = (size_t)4 << 20, .max_unsettled = (size_t)64 << 20,
		.max_reads = 4, .readers = 2,
		.auth_timeout = 30, .timeout = 30, .ping_interval = 20, .stop_timeout = 10,
	};
	while ((key = cli_next(&cli)) != -1)
		parse_option(s, key);
	if (optind < argc) {
		if (strcmp(argv[optind - 1], "--") != 0)
			cli_usage("%s: a sink's command stands behind --", argv[optind]);
		s->command = cli_command(argv + optind);
	}
	if (s->store == NULL)
		s->store = cli_read_store(NULL);
	if (s->new_token == NULL)
		check_settings(s);
}
