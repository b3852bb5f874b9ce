/*
 * request.h - what the command line asks for.
 */
#ifndef MONITOR_QUERY_REQUEST_H
#define MONITOR_QUERY_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "client.h"
#include "output.h"
#include "query.h"
#include "str.h"

enum action {
	ACTION_SHOW,        /* the records */
	ACTION_COUNT,
	ACTION_HISTOGRAM,
	ACTION_SENDERS,
	ACTION_WATCHDOGS,
	ACTION_STATS,
	ACTION_BACKUP,
	ACTION_VERIFY,
	ACTIONS
};

struct request {
	const char *store;             /* URL: of the store, or the daemon */
	char *shown;                   /* the same, for messages */
	struct client_settings remote; /* of the daemon; url NULL: there is none in between */
	enum action action;
	struct query query;            /* its strings are argv's, its arrays ours */
	struct match *match;           /* query.match points here */
	struct view view;
	const struct output *output;
	bool output_given;             /* with -o */
	bool pager;                    /* where the output is a terminal */
	bool quiet;
	bool follow;
	bool show_cursor;
	const char *cursor_file;       /* NULL: none */
	struct cursor cursor;          /* query.after points here */
	bool limited;                  /* -n was given */
	double interval;               /* of the histogram, seconds; 0: choose one */
	size_t top;                    /* 0: all, by name */
	const char *backup;
};

/* Read the command line; a mistake in it ends the program, status 2. */
void request_parse(struct request *r, int argc, char *argv[]);
void request_free(struct request *r);

#endif
