/*
 * HTTP: one answer to a request, or an upgrade.
 */
#include "ws_inside.h"

#include <string.h>

#include "log.h"

#define PATH_SIZE 64

/* ---- answers ---- */

static const char *
status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 429:
		return "Too Many Requests";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

/* (A method and its path are a header to the library.) */
static bool
has_header(struct conn *c, enum lws_token_indexes header)
{
	return lws_hdr_total_length(c->wsi, header) > 0;
}

/* Answer, with `body` (NULL: the status in words), and close: always -1. Who asks by HEAD is
 * only told how long the body is. */
static int
respond(struct conn *c, int status, const struct buf *body)
{
	struct buf b = { 0 };
	const char *text = status_text(status);
	size_t len = body != NULL ? body->len : strlen(text) + 1;
	bool head = has_header(c, WSI_TOKEN_HEAD_URI);

	conn_grow_up(c);
	c->ws->stats.requests++;
	if (buf_reserve(&b, LWS_PRE) == -1)
		return -1;
	b.len = LWS_PRE;
	if (buf_printf(&b, "HTTP/1.1 %d %s\r\n"
	    "content-type: text/plain%s; charset=utf-8\r\n"
	    "content-length: %zu\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
	    status, text, c->kind == WS_METRICS ? "; version=0.0.4" : "", len) == 0 &&
	    (head || (body != NULL ? buf_add(&b, body->data, body->len) :
	    buf_printf(&b, "%s\n", text)) == 0))
		lws_write(c->wsi, (unsigned char *)b.data + LWS_PRE, b.len - LWS_PRE,
		    LWS_WRITE_HTTP_HEADERS);
	buf_free(&b);
	return -1;
}

/* The path that is asked for by this method. */
static bool
read_path(struct conn *c, char path[PATH_SIZE], enum lws_token_indexes method)
{
	return lws_hdr_copy(c->wsi, path, PATH_SIZE, method) > 0;
}

int
conn_request(struct conn *c)
{
	const struct ws_settings *s = &c->ws->settings;
	struct buf text = { 0 };
	char path[PATH_SIZE];
	int status = 404;

	if ((read_path(c, path, WSI_TOKEN_GET_URI) || read_path(c, path, WSI_TOKEN_HEAD_URI)) &&
	    (status = s->page(s->arg, path, c->kind == WS_METRICS, &text)) == -1) {
		status = 500;
		text.len = 0;
	}
	respond(c, status, text.len > 0 ? &text : NULL);
	buf_free(&text);
	return -1;
}

/* ---- upgrade ---- */

/* A client may ask for subprotocols. There are none, and it is served as if it had not
 * asked; but the library sends away whoever asks for what it does not know. So it
 * knows, for a moment, the first of those that are asked for, */
static void
pretend_subprotocol(struct conn *c)
{
	char *name = c->ws->subprotocol;

	if (lws_hdr_copy(c->wsi, name, WS_SUBPROTOCOL_SIZE, WSI_TOKEN_PROTOCOL) > 0)
		name[strcspn(name, ", \t")] = '\0';
}

/* and knows no name any more when it writes the answer. */
void
ws_forget_subprotocol(struct ws *ws)
{
	ws->subprotocol[0] = '\0';
}

/* Whose connection is it, as the proxy says? */
static bool
ask_proxy(struct conn *c)
{
	static const char name[] = "forwarded:";
	char for_[WS_HEADERS_MAX], forwarded[WS_HEADERS_MAX];
	struct str texts[2] = { { 0 } };

	if (!c->visitor.proxied)
		return true;
	if (lws_hdr_copy(c->wsi, for_, sizeof(for_), WSI_TOKEN_X_FORWARDED_FOR) > 0)
		texts[0] = str_of(for_);
	if (lws_hdr_custom_copy(c->wsi, forwarded, sizeof(forwarded), name, sizeof(name) - 1) > 0)
		texts[1] = str_of(forwarded);
	return admit_forwarded(c->admit, &c->visitor, texts[0], texts[1]);
}

static bool
has_origin(struct conn *c)
{
	return has_header(c, WSI_TOKEN_ORIGIN) || has_header(c, WSI_TOKEN_SWORIGIN);
}

/* A request to upgrade: 0 to let it happen, -1 once it was answered otherwise. */
int
conn_upgrade(struct conn *c, const char *to)
{
	struct ws *ws = c->ws;
	char path[PATH_SIZE], name[VISITOR_NAME_SIZE];

	if (strcasecmp(to, "websocket") != 0)
		return conn_request(c);   /* as anybody may who does not know what is asked for */
	if (c->kind == WS_METRICS || !read_path(c, path, WSI_TOKEN_GET_URI) ||
	    strcmp(path, "/ws") != 0)
		return respond(c, 404, NULL);
	if (ws->stopping) {
		admit_refuse(c->admit, REFUSED_STOPPING);
		return respond(c, 503, NULL);
	}
	if (ws->settings.no_origin && has_origin(c)) {
		admit_refuse(c->admit, REFUSED_ORIGIN);
		return respond(c, 403, NULL);
	}
	if (!ask_proxy(c)) {
		visitor_name(&c->visitor, name);
		log_limited("refused", LOG_WARNING, "%s: there are too many connections of it", name);
		return respond(c, 429, NULL);
	}
	pretend_subprotocol(c);
	return 0;
}
