/*
 * summary.h - counts instead of records. Each returns an exit status, or -1
 * (see show.h).
 */
#ifndef MONITOR_QUERY_SUMMARY_H
#define MONITOR_QUERY_SUMMARY_H

#include "error.h"
#include "request.h"
#include "store.h"

int summary_count(struct store *s, const struct request *r, struct error *e);
int summary_histogram(struct store *s, const struct request *r, struct error *e);
int summary_names(struct store *s, const struct request *r, struct error *e);

#endif
