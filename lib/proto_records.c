#include "proto.h"

#include "proto_reader.h"

#define ADD(b, text) buf_add(b, text, sizeof(text) - 1)

/* Members that are between a client and us: no part of a single record ... */
static const char *const envelope[] = { "action", "id", "source", "seq", "success", NULL };
/* ... nor of what is forwarded as it came (what we write ourselves among them). */
static const char *const rewritten[] = { "action", "notifications", "id", "source", "seq",
	"success", NULL };

static bool
is_one_of(struct str name, const char *const list[])
{
	for (; *list != NULL; list++) {
		if (str_equal(name, str_of(*list)))
			return true;
	}
	return false;
}

/* Append the members of an object, behind others or behind the brace that is the
 * last there, but for those with a name in `drop`. */
static int
copy_members(struct json *j, struct str object, const char *const drop[], struct buf *b)
{
	struct str name, value;

	while (json_next_member(j, &object, &name, &value)) {
		if (is_one_of(name, drop))
			continue;
		if ((b->data[b->len - 1] != '{' && ADD(b, ",") == -1) ||
		    ndjson_write_string(b, name) == -1 || ADD(b, ":") == -1 ||
		    scan_compact(value, b) == -1)
			return -1;
	}
	return 0;
}

/* ---- lines for a sink --------------------------------------------------- */

/* Append the record that `rest` begins with, number `nth` of an upload, as a line. */
static int
add_line(struct proto *p, struct str *rest, const struct proto_labels *labels, size_t nth,
    struct buf *lines, struct error *e)
{
	struct ndjson_line l;

	if (labels->source.data != NULL && nth > (uint64_t)(INT64_MAX - labels->seq))
		return error_set(e, ERROR_INVALID, "seq: out of range");
	if (ndjson_read_next(p->records, rest, &l, e) == -1)
		return error_prefix(e, "record %zu", nth);
	l.record.kind = labels->kind;
	l.record.watchdog = labels->watchdog;
	l.source = labels->source;
	l.seq = labels->seq + (int64_t)nth;
	return ndjson_write_line(lines, &l, labels->origin) == -1 ? error_memory(e) : 0;
}

/* The record whose members stand in the request itself. */
static int
add_single(struct proto *p, struct str message, const struct proto_labels *labels,
    struct buf *lines, struct error *e)
{
	struct buf *b = &p->rest;
	struct str record;

	b->len = 0;
	if (ADD(b, "{") == -1 || copy_members(&p->json, message, envelope, b) == -1 ||
	    ADD(b, "}") == -1)
		return error_memory(e);
	record = (struct str){ b->data, b->len };
	return add_line(p, &record, labels, 0, lines, e);
}

static int
add_list(struct proto *p, struct str list, const struct proto_labels *labels, size_t max,
    struct buf *lines, size_t *count, struct error *e)
{
	for (*count = 0; json_step(&p->json, &list); ++*count) {
		if (*count == max)
			return error_set(e, ERROR_INVALID, "more than %zu records", max);
		if (add_line(p, &list, labels, *count, lines, e) == -1)
			return -1;
	}
	return 0;
}

int
proto_lines(struct proto *p, const struct proto_request *r, const struct proto_labels *labels,
    size_t max, struct buf *lines, size_t *count, struct error *e)
{
	size_t had = lines->len;
	int rc;

	if (r->records.data == NULL) {
		*count = 1;
		rc = add_single(p, r->message, labels, lines, e);
	} else {
		rc = add_list(p, r->records, labels, max, lines, count, e);
	}
	if (rc == -1)
		lines->len = had;
	return rc;
}

/* ---- notifications for the other connections ---------------------------- */

#define FORWARD_BEGIN "{\"action\":\"uploadNotifications\",\"notifications\":"
#define FORWARD_END ",\"success\":true}"

/* The list as it was given and what stood beside it, or a list of one. */
static int
copy_upload(struct json *j, const struct proto_request *r, struct buf *b)
{
	if (r->records.data != NULL)
		return scan_compact(r->records, b) == -1 ? -1 :
		    copy_members(j, r->message, rewritten, b);
	return ADD(b, "[{") == -1 || copy_members(j, r->message, envelope, b) == -1 ? -1 :
	    ADD(b, "}]");
}

int
proto_forward(struct proto *p, const struct proto_request *r, struct buf *out, struct error *e)
{
	size_t had = out->len;

	/* All of it, unless names of members have to be escaped. */
	if (buf_reserve(out, r->message.len + 64) == 0 && ADD(out, FORWARD_BEGIN) == 0 &&
	    copy_upload(&p->json, r, out) == 0 && ADD(out, FORWARD_END) == 0)
		return 0;
	out->len = had;
	return error_memory(e);
}

int
proto_forward_begin(struct buf *out)
{
	return ADD(out, FORWARD_BEGIN "[");
}

int
proto_forward_record(struct buf *out, const struct record *r, size_t count)
{
	size_t had = out->len;

	if ((count == 0 || ADD(out, ",") == 0) && ADD(out, "{") == 0 &&
	    ndjson_write_members(out, r, false) == 0 && ADD(out, "}") == 0)
		return 0;
	out->len = had;
	return -1;
}

int
proto_forward_end(struct buf *out)
{
	return ADD(out, "]" FORWARD_END);
}

int
proto_take_origin(struct proto *p, struct record *r, struct str *origin, struct error *e)
{
	static const char *const name[] = { "origin", NULL };
	struct buf *b = &p->rest;
	struct str object, value, text;

	*origin = (struct str){ NULL, 0 };
	if (r->extra.len == 0)
		return 0;
	if (json_open(&p->json, r->extra, &object, e) == -1)
		return -1;
	json_members(&p->json, object, name, &value, 1);
	if (!json_string(&p->json, value, &text))
		return 0;
	b->len = 0;
	if (ADD(b, "{") == -1 || copy_members(&p->json, object, name, b) == -1 || ADD(b, "}") == -1)
		return error_memory(e);
	r->extra = (struct str){ b->data, b->len > 2 ? b->len : 0 };
	*origin = text;
	return 0;
}
