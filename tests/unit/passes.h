/*
 * passes.h - does a record answer a question? As query.h says it, without a store; but for what
 * depends on its arrival.
 */
#ifndef MONITOR_TEST_PASSES_H
#define MONITOR_TEST_PASSES_H

#include "match.h"
#include "query.h"

static bool
is_among(const struct str *list, size_t n, struct str s)
{
	for (size_t i = 0; i < n; i++)
		if (str_equal(list[i], s))
			return true;
	return n == 0;
}

static bool
passes(const struct query *q, const struct record *r)
{
	return (q->kinds & RECORD_KIND_BIT(r->kind)) != 0 && r->time >= q->since &&
	    r->time < q->until && r->level >= q->level_min && r->level <= q->level_max &&
	    is_among(q->watchdogs, q->watchdog_count, r->watchdog) &&
	    is_among(q->senders, q->sender_count, r->sender) &&
	    (q->match == NULL || match_test(q->match, r->message));
}

#endif
