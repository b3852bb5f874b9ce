#include <string.h>

#include "metrics.h"
#include "parts.h"

static bool
store_good(struct parts *p, struct error *e)
{
	if (p->reads == NULL || reads_ok(p->reads, e))
		return true;
	reads_watched(p->reads);   /* it may be good by the next time */
	return false;
}

static int
write_ready(struct parts *p, struct buf *text)
{
	struct error e;
	int r = 0;

	if (p->stopping)
		r |= buf_printf(text, "stopping\n");
	if (!sink_up(p->sink))
		r |= buf_printf(text, "sink: down\n");
	if (!store_good(p, &e))
		r |= buf_printf(text, "store: %s\n", read_comment(&e));
	if (!auth_ready(p->auth))
		r |= buf_printf(text, "auth: no key yet\n");
	if (r == 0 && text->len > 0)
		return 503;
	return r == 0 && buf_printf(text, "ok\n") == 0 ? 200 : -1;
}

static int
write_figures(struct parts *p, struct buf *text)
{
	struct error e;
	struct metrics m = {
		.sink_up = sink_up(p->sink), .store_up = store_good(p, &e), .auth_up = auth_ready(p->auth),
		.tls = p->tls != NULL, .expires = p->tls != NULL ? tls_expires(p->tls) : 0,
		.foreign = p->foreign, .foreign_bad = p->foreign_bad,
	};

	admit_stats(p->admit, &m.admit);
	ws_stats(p->ws, &m.ws);
	serve_stats(p->serve, &m.serve);
	sink_stats(p->sink, &m.sink);
	if (p->outlet != NULL)
		outlet_stats(p->outlet, &m.outlet);
	if (p->inlet != NULL)
		m.foreign_bad += inlet_skipped(p->inlet);
	return metrics_write(&m, text) == 0 ? 200 : -1;
}

static int
write_health(struct parts *p, struct buf *text)
{
	(void)p;
	return buf_printf(text, "ok\n") == 0 ? 200 : -1;
}

int
pages_show(void *arg, const char *path, bool metrics, struct buf *text)
{
	static const struct {
		const char *path;
		bool metrics;
		int (*write)(struct parts *p, struct buf *text);
	} pages[] = {
		{ "/healthz", false, write_health },
		{ "/readyz", false, write_ready },
		{ "/metrics", true, write_figures },
	};

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (pages[i].metrics == metrics && strcmp(pages[i].path, path) == 0)
			return pages[i].write(arg, text);
	return 404;
}
