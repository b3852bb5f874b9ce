#include "service.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "log.h"
#include "notify.h"
#include "scrape.h"
#include "when.h"

#define LOG_INTERVAL 10    /* seconds */

struct service {
	struct service_settings settings;
	struct hub *hub;
	struct allow *allow;
	char secret_key[KEY_SIZE], server_key[KEY_SIZE];
	sigset_t blocked;
	int signals;           /* a descriptor */
	struct scrape *scrape;
	bool stopping;
	double end;            /* once stopping: when it must have ended */
};

/* ---- to begin ---- */

/* The signals that we take by a descriptor; one that was ignored before (nohup) stays so. */
static int
block_signals(struct service *s, struct error *e)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction was;

	sigemptyset(&s->blocked);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaddset(&s->blocked, signals[i]);
	sigprocmask(SIG_BLOCK, &s->blocked, NULL);
	signal(SIGPIPE, SIG_IGN);
	if ((s->signals = signalfd(-1, &s->blocked, SFD_CLOEXEC | SFD_NONBLOCK)) == -1)
		return error_errno(e, errno, "signalfd");
	return 0;
}

static int
read_keys(struct service *s, struct error *e)
{
	const struct common *c = s->settings.common;

	if (c->secret_key != NULL && key_read_secret(c->secret_key, s->secret_key, e) == -1)
		return -1;
	if (c->server_key != NULL && key_read_public(c->server_key, s->server_key, e) == -1)
		return -1;
	if (c->allow != NULL && (s->allow = allow_read(c->allow, e)) == NULL)
		return -1;
	return 0;
}

static int
answer_for_metrics(struct service *s, struct error *e)
{
	const char *where = s->settings.common->metrics;

	if (where == NULL)
		return 0;
	s->scrape = scrape_new(where, s->settings.metrics, s->settings.arg, e);
	if (s->scrape == NULL)
		return error_prefix(e, "--metrics");
	log_say(LOG_INFO, "figures are at http://%s/metrics", scrape_name(s->scrape));
	return 0;
}

struct service *
service_new(const struct service_settings *settings, struct error *e)
{
	struct service *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		error_memory(e);
		return NULL;
	}
	s->settings = *settings;
	s->signals = -1;
	log_open(settings->common->program, settings->common->quiet ? LOG_WARNING : LOG_INFO);
	cli_raise_files();
	/* Before libzmq's threads begin: they inherit what is blocked. */
	if (block_signals(s, e) == -1 || read_keys(s, e) == -1 || (s->hub = hub_new(e)) == NULL ||
	    answer_for_metrics(s, e) == -1)
		service_free(&s);
	return s;
}

void
service_free(struct service **sp)
{
	struct service *s = *sp;

	if (s == NULL)
		return;
	service_stop(s);
	scrape_free(&s->scrape);
	hub_free(&s->hub);
	allow_free(&s->allow);
	if (s->signals != -1)
		close(s->signals);
	log_rest(true);
	explicit_bzero(s->secret_key, sizeof(s->secret_key));
	free(s);
	*sp = NULL;
}

struct socket *
service_socket(struct service *s, enum socket_type type, const struct endpoint *endpoints,
    size_t count, size_t max_message, struct error *e)
{
	const struct common *c = s->settings.common;
	struct socket *socket = socket_new(s->hub, &(struct socket_settings){
		.type = type,
		.endpoints = endpoints,
		.endpoint_count = count,
		.high_water = c->high_water,
		.linger = c->linger,
		.retry_min = c->retry_min,
		.retry_max = c->retry_max,
		.heartbeat = c->heartbeat,
		.max_message = max_message,
		.secret_key = c->secret_key != NULL ? s->secret_key : NULL,
		.server_key = c->server_key != NULL ? s->server_key : NULL,
		.allow = s->allow,
	}, e);

	for (size_t i = 0; i < count && socket != NULL; i++)
		log_say(LOG_INFO, "%s %s", endpoints[i].bind ? "listening on" : "connecting to",
		    socket_bound(socket, i));
	return socket;
}

const struct allow *
service_allow(const struct service *s)
{
	return s->allow;
}

void
service_ready(struct service *s)
{
	(void)s;
	notify_send("READY=1");
}

/* ---- to go on ---- */

static int
reload(struct service *s, struct error *e)
{
	struct error why;
	int r = 0;

	if (s->allow == NULL)
		return 0;
	notify_reloading();
	if (allow_reload(s->allow, &why) == -1)
		log_say(LOG_ERR, "%s; the list stays as it was", why.text);
	else if ((r = hub_recheck(s->hub, e)) == 1)
		log_say(LOG_NOTICE, "the allow list is read again: a key is gone, everybody must connect again");
	else if (r == 0)
		log_say(LOG_INFO, "the allow list is read again");
	notify_send("READY=1");
	return r == -1 ? -1 : 0;
}

static int
take_signals(struct service *s, struct error *e)
{
	struct signalfd_siginfo info;
	bool hangup = false, stop = false;

	while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			hangup = true;
		else
			stop = true;
	}
	if (stop)
		service_stop(s);
	return hangup && !stop ? reload(s, e) : 0;
}

int
service_wait(struct service *s, struct hub_watch *watches, size_t n, double seconds,
    struct error *e)
{
	struct hub_watch all[SERVICE_WATCHES + 2];

	memcpy(all, watches, n * sizeof(*watches));
	all[n] = (struct hub_watch){ .fd = s->stopping ? -1 : s->signals, .events = HUB_READ };
	all[n + 1] = (struct hub_watch){
		.fd = s->scrape != NULL ? scrape_fd(s->scrape) : -1, .events = HUB_READ,
	};
	if (hub_wait(s->hub, all, n + 2, fmin(seconds, LOG_INTERVAL), e) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		watches[i].ready = all[i].ready;
	if (all[n].ready != 0 && take_signals(s, e) == -1)
		return -1;
	if (all[n + 1].ready != 0)
		scrape_work(s->scrape);
	log_rest(false);
	return 0;
}

/* ---- to end ---- */

bool
service_stopping(const struct service *s)
{
	return s->stopping;
}

void
service_stop(struct service *s)
{
	struct signalfd_siginfo info;

	if (s->stopping)
		return;
	s->stopping = true;
	s->end = when_ticks() + s->settings.common->stop_timeout;
	notify_send("STOPPING=1");
	/* What is pending must be taken, or it would strike. */
	while (s->signals != -1 && read(s->signals, &info, sizeof(info)) > 0)
		;
	signal(SIGHUP, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, &s->blocked, NULL);
}

double
service_patience(const struct service *s)
{
	return s->stopping ? fmax(s->end - when_ticks(), 0) : s->settings.common->stop_timeout;
}

int
service_status(int r, const struct error *e)
{
	if (r != -1)
		return EXIT_SUCCESS;
	log_say(LOG_ERR, "%s", e->text);
	return e->kind == ERROR_USAGE ? EXIT_USAGE : EXIT_ERROR;
}

/* ---- to be told ---- */

void
service_say(void *arg, int priority, const char *text)
{
	(void)arg;
	log_say(priority, "%s", text);
}
