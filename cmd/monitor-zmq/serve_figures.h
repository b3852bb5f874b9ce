/*
 * serve_figures.h - the figures of lib/serve.h, as rows of a table (figures.h).
 */
#ifndef MONITOR_ZMQ_SERVE_FIGURES_H
#define MONITOR_ZMQ_SERVE_FIGURES_H

#include "figures.h"
#include "serve.h"

#define SERVE_FIGURE(name, kind, help, type, what) \
	{ "monitor_zmq_" name, kind, help, FIGURE_AT(type, what) }

/* `member` of `type` is a struct serve_stats. */
#define SERVE_FIGURES(type, member) \
	SERVE_FIGURE("sessions", FIGURE_GAUGE, "Sessions, one a peer and watchdog.", type, member.sessions), \
	SERVE_FIGURE("sessions_total", FIGURE_COUNTER, "Sessions ever.", type, member.sessions_ever), \
	SERVE_FIGURE("sessions_waiting", FIGURE_GAUGE, "Sessions that take no requests for now.", type, \
	    member.waiting), \
	SERVE_FIGURE("subscriptions", FIGURE_GAUGE, "Subscriptions.", type, member.subscriptions), \
	SERVE_FIGURE("logs_total", FIGURE_COUNTER, "Log records acknowledged.", type, \
	    member.records[RECORD_LOG]), \
	SERVE_FIGURE("notifications_total", FIGURE_COUNTER, "Notifications acknowledged.", type, \
	    member.records[RECORD_NOTIFICATION]), \
	SERVE_FIGURE("reads_total", FIGURE_COUNTER, "Requests to read answered.", type, member.reads), \
	SERVE_FIGURE("read_records_total", FIGURE_COUNTER, "Records in answers.", type, \
	    member.read_records), \
	SERVE_FIGURE("failed_reads_total", FIGURE_COUNTER, "Requests to read that failed.", type, \
	    member.rejects[REJECT_STORE]), \
	SERVE_FIGURE("failed_uploads_total", FIGURE_COUNTER, "Uploads that the sink refused.", type, \
	    member.rejects[REJECT_SINK]), \
	SERVE_FIGURE("queued_bytes", FIGURE_GAUGE, "Bytes of messages that wait for their receivers.", \
	    type, member.queued_bytes)

#endif
