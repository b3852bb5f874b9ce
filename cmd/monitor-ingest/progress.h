/*
 * progress.h - the line that a person sees while a long run goes on: on
 * standard error, if that is a terminal, and there is only one of it.
 */
#ifndef MONITOR_PROGRESS_H
#define MONITOR_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Show progress from now on. `total` bytes are expected; 0: nobody knows. */
void progress_begin(uint64_t total);

/* Is it shown? */
bool progress_on(void);

/* So far; drawn at most five times a second. */
void progress_show(uint64_t records, uint64_t bytes);

/* Take the line away: before a message, and at the end. From any thread. */
void progress_clear(void);

#endif
