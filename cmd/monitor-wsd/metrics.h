/*
 * metrics.h - the figures as text for Prometheus (text format, version 0.0.4).
 */
#ifndef MONITOR_WSD_METRICS_H
#define MONITOR_WSD_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "admit.h"
#include "buf.h"
#include "outlet.h"
#include "serve.h"
#include "sink.h"
#include "ws.h"

/* All of one moment. */
struct metrics {
	struct admit_stats admit;
	struct ws_stats ws;
	struct serve_stats serve;
	struct sink_stats sink;
	uint64_t sink_up, store_up, auth_up;   /* 1 or 0 */
	bool tls;
	double expires;                /* with TLS: when the certificate does, Unix seconds */
	struct outlet_stats outlet;
	uint64_t foreign, foreign_bad; /* lines from other instances; how often one was no use */
};

/* Append them. -1: no memory. */
int metrics_write(const struct metrics *m, struct buf *text);

#endif
