#include "metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define NAME(what) "monitor_wsd_" what

enum type { COUNTER, GAUGE };

/* One figure, or one for each of `count` values of a label. */
static const struct figure {
	const char *name;
	enum type type;
	const char *help;
	size_t offset;                 /* in struct metrics: of the first uint64_t */
	const char *label;
	const char *const *values;
	size_t count;
} figures[] = {
#define ONE(name, type, help, member) \
	{ NAME(name), type, help, offsetof(struct metrics, member), NULL, NULL, 1 }
#define EACH(name, help, member, label, values, count) \
	{ NAME(name), COUNTER, help, offsetof(struct metrics, member), label, values, count }

	ONE("connections", GAUGE, "Connections that are open.", admit.now),
	ONE("connections_total", COUNTER, "Connections ever taken in.", admit.ever),
	EACH("connections_refused_total", "Connections sent away.", admit.refused, "reason",
	    refusal_names, REFUSALS),
	ONE("connections_unfinished_total", COUNTER,
	    "Connections that ended before they asked for anything.", ws.unfinished),
	ONE("upgrades_total", COUNTER, "WebSocket handshakes done.", ws.upgraded),
	ONE("http_requests_total", COUNTER, "HTTP requests answered.", ws.requests),

	ONE("sessions", GAUGE, "WebSocket sessions.", serve.sessions),
	ONE("sessions_total", COUNTER, "WebSocket sessions ever.", serve.sessions_ever),
	ONE("sessions_authenticated", GAUGE, "Sessions of which it is known whose they are.",
	    serve.authenticated),
	ONE("sessions_waiting", GAUGE, "Sessions that are not read from for now.", serve.waiting),
	EACH("sessions_ended_total", "Sessions ended by the server.", serve.ends, "reason",
	    serve_end_names, ENDS),
	ONE("subscriptions", GAUGE, "Subscriptions.", serve.subscriptions),

	ONE("messages_total", COUNTER, "Messages received.", serve.messages),
	ONE("received_bytes_total", COUNTER, "Bytes of messages received.", serve.bytes),
	ONE("held_bytes", GAUGE, "Bytes of messages not yet whole or not yet taken.",
	    serve.held_bytes),
	EACH("requests_failed_total", "Requests that failed.", serve.rejects, "reason",
	    serve_reject_names, REJECTS),
	ONE("logs_total", COUNTER, "Log records acknowledged.", serve.records[RECORD_LOG]),
	ONE("notifications_total", COUNTER, "Notifications acknowledged.",
	    serve.records[RECORD_NOTIFICATION]),
	ONE("forwarded_total", COUNTER, "Notifications sent on, counted for each receiver.",
	    serve.forwarded),
	ONE("queued_bytes", GAUGE, "Bytes of messages that wait for their receivers.",
	    serve.queued_bytes),
	ONE("reads_total", COUNTER, "Requests to read answered.", serve.reads),
	ONE("read_records_total", COUNTER, "Records in answers.", serve.read_records),

	ONE("sink_up", GAUGE, "Is the sink there?", sink_up),
	ONE("sink_lines_total", COUNTER, "Lines settled.", sink.lines),
	ONE("sink_bytes_total", COUNTER, "Bytes of lines settled.", sink.bytes),
	ONE("sink_rejected_total", COUNTER, "Lines that the sink refused.", sink.rejected),
	ONE("sink_resent_total", COUNTER, "Lines sent more than once.", sink.resent),
	ONE("sink_starts_total", COUNTER, "Times that the sink was started or connected to.",
	    sink.starts),
	ONE("sink_unsettled_bytes", GAUGE, "Bytes of lines not settled yet.", sink.unsettled_bytes),
	ONE("sink_unsettled_uploads", GAUGE, "Uploads not settled yet.", sink.unsettled_parcels),

	ONE("published_total", COUNTER, "Notifications written to standard output.", outlet.lines),
	ONE("published_dropped_total", COUNTER, "Notifications that nobody read in time.",
	    outlet.dropped),
	ONE("foreign_lines_total", COUNTER, "Lines from other instances.", foreign),
	ONE("foreign_bad_total", COUNTER, "Times that such a line was of no use.", foreign_bad),
};

static int
write_head(struct buf *b, const char *name, const char *help, const char *type)
{
	return buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static int
write_figure(const struct metrics *m, const struct figure *f, struct buf *b)
{
	const char *at = (const char *)m + f->offset;
	uint64_t value;

	if (write_head(b, f->name, f->help, f->type == COUNTER ? "counter" : "gauge") == -1)
		return -1;
	for (size_t i = 0; i < f->count; i++) {
		memcpy(&value, at + i * sizeof(value), sizeof(value));
		if (f->label != NULL &&
		    buf_printf(b, "%s{%s=\"%s\"} %" PRIu64 "\n", f->name, f->label, f->values[i],
		    value) == -1)
			return -1;
		if (f->label == NULL && buf_printf(b, "%s %" PRIu64 "\n", f->name, value) == -1)
			return -1;
	}
	return 0;
}

static int
write_lag(const struct metrics *m, struct buf *b)
{
	static const char name[] = NAME("sink_lag_seconds");

	if (write_head(b, name, "How long the oldest unsettled upload has waited.", "gauge") == -1)
		return -1;
	return buf_printf(b, "%s %.6f\n", name, m->sink.lag);
}

/* In this format a bucket has what is in those before it, too. */
static int
write_latency(const struct metrics *m, struct buf *b)
{
	static const char name[] = NAME("upload_seconds");
	uint64_t sum = 0;
	char bound[32];

	if (write_head(b, name, "Uploads, from received to answered.", "histogram") == -1)
		return -1;
	for (size_t i = 0; i < SERVE_LATENCIES; i++) {
		sum += m->serve.latency[i];
		if (isfinite(serve_latency_bounds[i]))
			snprintf(bound, sizeof(bound), "%g", serve_latency_bounds[i]);
		else
			snprintf(bound, sizeof(bound), "+Inf");
		if (buf_printf(b, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, bound, sum) == -1)
			return -1;
	}
	return buf_printf(b, "%s_sum %.6f\n%s_count %" PRIu64 "\n", name, m->serve.latency_sum, name,
	    sum);
}

int
metrics_write(const struct metrics *m, struct buf *text)
{
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (write_figure(m, &figures[i], text) == -1)
			return -1;
	return write_lag(m, text) == 0 ? write_latency(m, text) : -1;
}
