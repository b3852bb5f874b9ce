/*
 * care.h - the store as a whole. Each returns an exit status, or -1 (see
 * show.h).
 */
#ifndef MONITOR_QUERY_CARE_H
#define MONITOR_QUERY_CARE_H

#include "error.h"
#include "request.h"
#include "store.h"

int care_stats(struct store *s, const struct request *r, struct error *e);
int care_backup(struct store *s, const struct request *r, struct error *e);
int care_verify(struct store *s, const struct request *r, struct error *e);

#endif
