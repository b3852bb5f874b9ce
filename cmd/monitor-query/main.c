/*
 * monitor-query: ask a store for its records.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "care.h"
#include "cli.h"
#include "ending.h"
#include "follow.h"
#include "out.h"
#include "pager.h"
#include "request.h"
#include "show.h"
#include "store.h"
#include "summary.h"

static int (*const actions[ACTIONS])(struct store *, const struct request *, struct error *) = {
	[ACTION_SHOW] = show_all,
	[ACTION_COUNT] = summary_count,
	[ACTION_HISTOGRAM] = summary_histogram,
	[ACTION_SENDERS] = summary_names,
	[ACTION_WATCHDOGS] = summary_names,
	[ACTION_STATS] = care_stats,
	[ACTION_BACKUP] = care_backup,
	[ACTION_VERIFY] = care_verify,
};

/* The store is mapped into memory: a disk that fails to read, or a file cut
 * short under us, comes as a signal. */
static void
disk_failed(int signal)
{
	static const char text[] = "monitor-query: the store can't be read: "
	    "its disk fails, or its file was cut short\n";
	ssize_t n;

	(void)signal;
	n = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)n;
	close(STDOUT_FILENO);
	pager_wait();
	_exit(EXIT_QUERY_ERROR);
}

static void
catch_disk_failure(void)
{
	struct sigaction action = { .sa_handler = disk_failed };

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
}

static int
open_remote(const struct request *r, int ending_fd, struct store **s, struct error *e)
{
	struct client_settings settings = r->remote;

	settings.stop_fd = ending_fd != -1 ? ending_fd : 0;
	return (*s = store_open_remote(&settings, STORE_READ, e)) != NULL ? 0 : -1;
}

/* Open the store: 0, an exit status where there is none, or -1. A follower
 * waits for one (`*fresh`). */
static int
open_store(const struct request *r, int ending_fd, struct store **s, bool *fresh, struct error *e)
{
	int rc;

	if (r->remote.url != NULL)
		return open_remote(r, ending_fd, s, e);
	while ((*s = store_open(r->store, STORE_READ, e)) == NULL && e->kind == ERROR_ABSENT) {
		if (!*fresh && !r->quiet)
			cli_warn("%s: no store there yet%s", r->shown,
			    r->follow ? "; waiting for it" : "");
		if (!r->follow)
			return r->action >= ACTION_BACKUP ? EXIT_QUERY_ERROR : EXIT_NOTHING;
		*fresh = true;
		if ((rc = store_await(r->store, ending_fd, e)) == 0)
			error_set(e, ERROR_NONE, "it is over before it began");
		if (rc != 1)
			return -1;
	}
	return *s != NULL ? 0 : -1;
}

static int
run(const struct request *r, struct error *e)
{
	bool follows = r->follow || r->cursor_file != NULL, fresh = false;
	struct store *s = NULL;
	int ending_fd = -1, status;

	if (follows && (ending_fd = ending_open(e)) == -1)
		return -1;
	if (out_open(follows ? ending_signalled() : NULL, e) == -1)
		return -1;
	if ((status = open_store(r, ending_fd, &s, &fresh, e)) != 0)
		return status;
	store_trouble(s, &(struct store_trouble){ .stop_fd = ending_fd });
	status = follows ? follow(s, r, ending_fd, fresh, e) : actions[r->action](s, r, e);
	store_close(&s);
	return status;
}

/* The exit status for a run that came back with -1. */
static int
failed(const struct error *e)
{
	if (e->kind == ERROR_NONE)
		return EXIT_SUCCESS;
	cli_warn("%s", e->text);
	return e->kind == ERROR_USAGE ? EXIT_USAGE : EXIT_QUERY_ERROR;
}

int
main(int argc, char *argv[])
{
	struct request r;
	struct error e = { .kind = ERROR_NONE };
	int status;

	setlocale(LC_CTYPE, "");
	request_parse(&r, argc, argv);
	/* Or the store's file would become it. */
	if (fcntl(STDOUT_FILENO, F_GETFD) == -1)
		cli_die(EXIT_QUERY_ERROR, "standard output: %s", strerror(errno));
	catch_disk_failure();
	if ((status = run(&r, &e)) == -1)
		status = failed(&e);
	switch (out_close()) {
	case OUT_OK:
	case OUT_CLOSED:
		break;
	case OUT_FAILED:
		if (status != EXIT_QUERY_ERROR) {
			out_error(&e);
			cli_warn("%s", e.text);
		}
		status = EXIT_QUERY_ERROR;
		break;
	}
	if (pager_wait() == -1)
		status = EXIT_QUERY_ERROR;
	request_free(&r);
	return status;
}
