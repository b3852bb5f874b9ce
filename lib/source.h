/*
 * source.h - names of sources (monitor-record(5)) that nobody else can have.
 */
#ifndef MONITOR_SOURCE_H
#define MONITOR_SOURCE_H

#include "buf.h"
#include "error.h"
#include "str.h"

#define SOURCE_MAX 255   /* bytes of a name */

/* Append the name under which a sink counts what `owner` (of at most SOURCE_MAX - 72 bytes)
 * calls `source`: OWNER/SOURCE. If that would be too long, what stands behind the slash is
 * "sha256-", and the hash of the source. */
int source_under(struct buf *name, struct str owner, struct str source, struct error *e);

#endif
