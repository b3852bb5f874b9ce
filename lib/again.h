/*
 * again.h - the wait before something is tried again.
 */
#ifndef MONITOR_AGAIN_H
#define MONITOR_AGAIN_H

#include "error.h"

/* After so many `failures` in a row (1 is the first): `first` seconds, twice as many each time,
 * `most` at most. Up to half of it is left out, as `chance` (from 0 to 1) will have it, so that those
 * who lost the same server do not come back to it at the same moment. */
double again_delay(unsigned failures, double first, double most, double chance);

/* Wait so long; a signal ends it early. 0; 1: `stop_fd` (-1: none) polls readable; -1: failed. */
int again_wait(unsigned failures, double first, double most, int stop_fd, struct error *e);

#endif
