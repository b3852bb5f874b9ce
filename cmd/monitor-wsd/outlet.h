/*
 * outlet.h - lines for whoever reads them, or not: never waits, keeps a bounded amount,
 * drops what is more.
 */
#ifndef MONITOR_WSD_OUTLET_H
#define MONITOR_WSD_OUTLET_H

#include <stdint.h>

#include "error.h"
#include "loop.h"
#include "str.h"

struct outlet;

/* Lines to a descriptor, the caller's to close. It may be shared, so it is not made
 * non-blocking: it is written to when it is ready, in pieces that a pipe then takes. */
struct outlet *outlet_new(struct loop *loop, int fd, size_t max, struct error *e);
void outlet_free(struct outlet **o);

/* Whole lines. */
void outlet_write(struct outlet *o, struct str lines);

struct outlet_stats {
	uint64_t lines, dropped;       /* ever */
	uint64_t waiting;              /* bytes, now */
};
void outlet_stats(const struct outlet *o, struct outlet_stats *out);

#endif
