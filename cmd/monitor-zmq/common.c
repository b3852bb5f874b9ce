#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

#define HIGH_WATER_MAX 10000000

#define PORT_MAX 65535

static bool
is_tcp(const char *address)
{
	return strncmp(address, "tcp://", 6) == 0;
}

/* The port of a tcp endpoint, 0 for "*"; -1: it has none. libzmq takes 65536 for 0. */
static long
port_of(const char *address)
{
	const char *port = strrchr(address + strlen("tcp://"), ':');
	long n;

	if (port == NULL || *++port == '\0')
		return -1;
	if (strcmp(port, "*") == 0)
		return 0;
	n = port[strspn(port, "0123456789")] == '\0' ? strtol(port, NULL, 10) : -1;
	return n <= PORT_MAX ? n : -1;
}

static bool
is_ipc(const char *address)
{
	return strncmp(address, "ipc://", 6) == 0 && address[6] != '\0';
}

static void
add_endpoint(struct common *c, const char *address, bool bind)
{
	if (c->endpoint_count == COMMON_ENDPOINTS)
		cli_usage("%s: at most %d endpoints", address, COMMON_ENDPOINTS);
	if (is_ipc(address) ? address[6] == '@' : !is_tcp(address) || port_of(address) == -1)
		cli_usage("%s: neither tcp://HOST:PORT nor ipc://PATH%s", address, is_ipc(address) ?
		    " (an abstract socket has no mode: whoever is on this machine may use it)" : "");
	c->endpoints[c->endpoint_count++] = (struct endpoint){ address, bind };
}

/* "MIN", or "MIN..MAX". */
static void
set_retry(struct common *c, const char *text)
{
	const char *dots = strstr(text, "..");
	char *first = dots != NULL ? strndup(text, (size_t)(dots - text)) : strdup(text);

	if (first == NULL)
		cli_die(EXIT_ERROR, "out of memory");
	c->retry_min = cli_duration("--retry", first, 0.001, OPTIONS_LONGEST);
	c->retry_max = c->retry_min;
	if (dots != NULL)
		c->retry_max = cli_duration("--retry", dots + 2, c->retry_min, OPTIONS_LONGEST);
	free(first);
}

bool
common_option(struct common *c, int key)
{
	switch (key) {
	case COMMON_BIND:
	case COMMON_CONNECT:
		add_endpoint(c, optarg, key == COMMON_BIND);
		break;
	case COMMON_CURVE_KEY:
		c->secret_key = optarg;
		break;
	case COMMON_CURVE_SERVER_KEY:
		c->server_key = optarg;
		break;
	case COMMON_CURVE_ALLOW:
		c->allow = optarg;
		break;
	case COMMON_INSECURE:
		c->insecure = true;
		break;
	case COMMON_HIGH_WATER:
		c->high_water = (int)cli_count("--high-water", optarg, 1, HIGH_WATER_MAX);
		break;
	case COMMON_LINGER:
		c->linger = cli_duration("--linger", optarg, 0, OPTIONS_LONGEST);
		break;
	case COMMON_RETRY:
		set_retry(c, optarg);
		break;
	case COMMON_HEARTBEAT:
		c->heartbeat = cli_duration("--heartbeat", optarg, 0, OPTIONS_LONGEST);
		break;
	case COMMON_METRICS:
		c->metrics = optarg;
		break;
	case COMMON_STOP_TIMEOUT:
		c->stop_timeout = cli_duration("--stop-timeout", optarg, 0, OPTIONS_LONGEST);
		break;
	case 'q':
		c->quiet = true;
		break;
	default:
		return false;
	}
	return true;
}

/* Can only this machine be at the other end? A name that begins with 127. may be anybody's. */
static bool
is_local(const char *address)
{
	static const char *const hosts[] = { "localhost:", "lo:", "[::1]:" };
	const char *host = address + strlen("tcp://");

	if (strncmp(address, "ipc://", 6) == 0)
		return true;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (strncmp(host, hosts[i], strlen(hosts[i])) == 0)
			return strchr(host, ';') == NULL;
	return strncmp(host, "127.", 4) == 0 && host[strspn(host, "0123456789.")] == ':' &&
	    strchr(host, ';') == NULL;
}

static void
check(const struct common *c)
{
	bool connects = false, binds = false;

	for (size_t i = 0; i < c->endpoint_count; i++) {
		const struct endpoint *p = &c->endpoints[i];
		binds |= p->bind;
		connects |= !p->bind;
		if (c->secret_key == NULL && !c->insecure && !is_local(p->address))
			cli_usage("%s: not without CURVE: --curve-key; or, if that is meant: --insecure",
			    p->address);
		if (!p->bind && is_tcp(p->address) && port_of(p->address) == 0)
			cli_usage("%s: a port is needed to connect to", p->address);
	}
	if (c->secret_key == NULL && (c->server_key != NULL || c->allow != NULL))
		cli_usage("--%s goes with --curve-key",
		    c->server_key != NULL ? "curve-server-key" : "curve-allow");
	if (c->secret_key != NULL && connects && c->server_key == NULL)
		cli_usage("to connect with --curve-key, the other end's is needed: --curve-server-key");
	if (c->server_key != NULL && !connects)
		cli_usage("--curve-server-key is for connecting, and we only listen");
	if (c->allow != NULL && !binds)
		cli_usage("--curve-allow is for who connects to us, and we do not listen");
}

void
common_operands(struct common *c, const struct cli *cli, bool bind)
{
	c->program = cli->program;
	for (int i = optind; i < cli->argc; i++)
		add_endpoint(c, cli->argv[i], bind);
	if (c->endpoint_count == 0)
		cli_usage("no endpoint is given");
	check(c);
}
