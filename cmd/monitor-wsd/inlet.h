/*
 * inlet.h - lines that come in: handed on a read at a time, whole lines only.
 */
#ifndef MONITOR_WSD_INLET_H
#define MONITOR_WSD_INLET_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "loop.h"
#include "str.h"

struct inlet;

/* Lines from a descriptor, the caller's to close, until it ends. Those longer than `max`
 * are skipped. `take` gets one or more. */
struct inlet *inlet_new(struct loop *loop, int fd, size_t max,
    void (*take)(void *arg, struct str lines), void *arg, struct error *e);
void inlet_free(struct inlet **i);

/* How many lines were too long. */
uint64_t inlet_skipped(const struct inlet *i);

#endif
