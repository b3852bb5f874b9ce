/*
 * sink_figures.h - the figures of a sink, as rows of a table (figures.h).
 */
#ifndef MONITOR_ZMQ_SINK_FIGURES_H
#define MONITOR_ZMQ_SINK_FIGURES_H

#include "figures.h"
#include "sink.h"

struct sink_figures {
	struct sink_stats stats;
	uint64_t up;
};

static inline void
sink_figures_take(struct sink_figures *f, const struct sink *s)
{
	sink_stats(s, &f->stats);
	f->up = sink_up(s);
}

/* `member` of `type` is a struct sink_figures. */
#define SINK_FIGURE(name, kind, help, type, what) \
	{ "monitor_zmq_sink_" name, kind, help, FIGURE_AT(type, what) }
#define SINK_FIGURES(type, member) \
	SINK_FIGURE("up", FIGURE_GAUGE, "Is the sink there?", type, member.up), \
	SINK_FIGURE("lines_total", FIGURE_COUNTER, "Lines settled.", type, member.stats.lines), \
	SINK_FIGURE("bytes_total", FIGURE_COUNTER, "Bytes of lines settled.", type, member.stats.bytes), \
	SINK_FIGURE("rejected_total", FIGURE_COUNTER, "Lines that the sink refused.", type, \
	    member.stats.rejected), \
	SINK_FIGURE("resent_total", FIGURE_COUNTER, "Lines sent more than once.", type, \
	    member.stats.resent), \
	SINK_FIGURE("starts_total", FIGURE_COUNTER, "Times that the sink was started or connected to.", \
	    type, member.stats.starts), \
	SINK_FIGURE("unsettled_bytes", FIGURE_GAUGE, "Bytes of lines not settled yet.", type, \
	    member.stats.unsettled_bytes), \
	SINK_FIGURE("lag_seconds", FIGURE_SECONDS, "Age of the oldest lines not settled yet.", type, \
	    member.stats.lag)

#endif
