#include "metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "figures.h"

#define NAME(what) "monitor_wsd_" what

static const struct figure figures[] = {
#define ONE(name, type, help, member) \
	{ NAME(name), FIGURE_##type, help, FIGURE_AT(struct metrics, member) }
#define EACH(name, help, member, label, values, count) \
	{ NAME(name), FIGURE_COUNTER, help, offsetof(struct metrics, member), label, values, count }

	ONE("connections", GAUGE, "Connections that are open.", admit.now),
	ONE("connections_max", GAUGE, "As many may be open.", admit.max),
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
	EACH("auth_failed_total", "Tokens that were not taken.", serve.denials[AUTH_EXPIRED], "reason",
	    &serve_denial_names[AUTH_EXPIRED], AUTH_LATER - AUTH_EXPIRED),
	ONE("auth_up", GAUGE, "Can tokens be checked?", auth_up),
	ONE("logs_total", COUNTER, "Log records acknowledged.", serve.records[RECORD_LOG]),
	ONE("notifications_total", COUNTER, "Notifications acknowledged.",
	    serve.records[RECORD_NOTIFICATION]),
	ONE("forwarded_total", COUNTER, "Messages of notifications sent on, counted for each receiver.",
	    serve.forwarded),
	ONE("queued_bytes", GAUGE, "Bytes of messages that wait for their receivers.",
	    serve.queued_bytes),
	ONE("store_up", GAUGE, "Can the store be read, if it is there?", store_up),
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
	ONE("sink_lag_seconds", SECONDS, "How long the oldest unsettled upload has waited.", sink.lag),

	ONE("published_total", COUNTER, "Notifications written to standard output.", outlet.lines),
	ONE("published_dropped_total", COUNTER, "Notifications that nobody read in time.",
	    outlet.dropped),
	ONE("foreign_lines_total", COUNTER, "Lines from other instances.", foreign),
	ONE("foreign_bad_total", COUNTER, "Times that such a line was of no use.", foreign_bad),
};

/* Those that there are with TLS only. */
static const struct figure tls_figures[] = {
	ONE("certificate_expires_timestamp_seconds", SECONDS,
	    "When the certificate expires, or one above it that does so before.", expires),
};

/* In this format a bucket has what is in those before it, too. */
static int
write_latency(const struct metrics *m, struct buf *b)
{
	static const char name[] = NAME("upload_seconds");
	uint64_t sum = 0;
	char bound[32];

	if (figures_head(name, "Uploads, from received to answered.", "histogram", b) == -1)
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
	if (figures_write(figures, FIGURE_COUNT(figures), m, text) == -1 ||
	    (m->tls && figures_write(tls_figures, FIGURE_COUNT(tls_figures), m, text) == -1))
		return -1;
	return write_latency(m, text);
}
