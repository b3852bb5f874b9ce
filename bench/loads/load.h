/*
 * load.h - what the verbs of the load generator share. See load.c.
 */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "stream.h"

struct load {
	struct target *target;
	double seconds;            /* how long; 0: until standard input ends */
	size_t connections, active;
	size_t window;             /* requests of one connection under way */
	size_t records;            /* in an upload */
	double rate;               /* requests a second of a connection; 0: as fast as they are answered */
	double speed;              /* bytes a second, of a slow reader */
	const char *watchdog;      /* the code of all; NULL: each its own */
	const char *corpus;        /* file of records to repeat */
	const char *request;       /* what to ask */
	unsigned addresses;        /* to connect from */
	bool echo;                 /* the server only echoes: no authentication, any answer counts */
};

/* The verbs. */
void load_uploads(const struct load *l);
void load_ask(const struct load *l);
void load_hold(const struct load *l);
void load_forward(const struct load *l);
void load_slow(const struct load *l);

/* Is it over, by the clock or because standard input has ended? */
bool load_over(const struct load *l, double began);

/* Standard input has ended. Does not wait. */
bool load_input_ended(void);

#endif
