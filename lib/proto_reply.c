#include "proto.h"

#include <stdio.h>

#include "decimal.h"
#include "ndjson.h"

#define ADD(b, text) buf_add(b, text, sizeof(text) - 1)

/* What cannot be written whole is not begun: the end of a function that appends. */
static int
whole(struct buf *out, size_t had, bool written)
{
	if (written)
		return 0;
	out->len = had;
	return -1;
}

static bool
add_id(struct buf *out, struct str id)
{
	return id.data == NULL || (ADD(out, ",\"id\":") == 0 && buf_add_str(out, id) == 0);
}

static bool
add_head(struct buf *out, bool success, struct str action, struct str id)
{
	return (success ? ADD(out, "{\"success\":true,\"action\":") :
	    ADD(out, "{\"success\":false,\"action\":")) == 0 &&
	    ndjson_write_string(out, action) == 0 && add_id(out, id);
}

int
proto_reply(struct buf *out, const struct proto_request *r, bool success, const char *comment)
{
	size_t had = out->len;
	struct str action = r->name;

	if (r->action != PROTO_UNKNOWN)
		action = str_of(proto_action_name(r->action));
	return whole(out, had, add_head(out, success, action, r->id) &&
	    (comment == NULL || (ADD(out, ",\"comment\":") == 0 &&
	    ndjson_write_string(out, str_of(comment)) == 0)) && ADD(out, "}") == 0);
}

int
proto_reply_auth(struct buf *out, const struct proto_request *r, double timeout)
{
	size_t had = out->len;
	int64_t seconds;

	return whole(out, had, add_head(out, true, str_of("auth"), r->id) &&
	    ADD(out, ",\"timeout\":") == 0 && (decimal_whole(timeout, &seconds) ?
	    ndjson_write_integer(out, seconds) : ndjson_write_double(out, timeout)) == 0 &&
	    ADD(out, "}") == 0);
}

void
proto_inserted(enum proto_action action, size_t count, char comment[PROTO_COMMENT_SIZE])
{
	snprintf(comment, PROTO_COMMENT_SIZE, "Inserted %zu %s(s) into db.", count,
	    record_kind_name(action == PROTO_UPLOAD_LOGS ? RECORD_LOG : RECORD_NOTIFICATION));
}

/* ---- answers ------------------------------------------------------------ */

int
proto_answer_begin(struct buf *out, enum proto_action action, struct str id)
{
	const char *list = action == PROTO_GET_LOGS ? "logs" :
	    action == PROTO_GET_NOTIFICATIONS ? "notifications" : "records";
	size_t had = out->len;

	return whole(out, had, add_head(out, true, str_of(proto_action_name(action)), id) &&
	    buf_printf(out, ",\"%s\":[", list) == 0);
}

/* [sender, message, level], and the time where it is wanted. */
static bool
add_row(struct buf *out, const struct record *r, bool time)
{
	return ADD(out, "[") == 0 && ndjson_write_string(out, r->sender) == 0 &&
	    ADD(out, ",") == 0 && ndjson_write_string(out, r->message) == 0 &&
	    ADD(out, ",") == 0 && ndjson_write_integer(out, r->level) == 0 &&
	    (!time || (ADD(out, ",") == 0 && ndjson_write_double(out, r->time) == 0)) &&
	    ADD(out, "]") == 0;
}

static bool
add_cursor(struct buf *out, const struct cursor *at)
{
	char text[CURSOR_TEXT_SIZE];

	cursor_format(at, text);
	return ADD(out, ",\"cursor\":\"") == 0 && buf_add_str(out, str_of(text)) == 0 &&
	    ADD(out, "\"") == 0;
}

static bool
add_object(struct buf *out, const struct record *r, const struct cursor *at)
{
	return ADD(out, "{") == 0 && ndjson_write_members(out, r, true) == 0 &&
	    (at == NULL || add_cursor(out, at)) && ADD(out, "}") == 0;
}

int
proto_answer_record(struct buf *out, enum proto_shape shape, const struct record *r,
    const struct cursor *at, size_t nth)
{
	bool rows = shape == PROTO_LOG_ROWS || shape == PROTO_NOTIFICATION_ROWS;
	size_t had = out->len;

	if (shape == PROTO_NEWS)
		return 0;
	return whole(out, had, (nth == 0 || ADD(out, ",") == 0) &&
	    (rows ? add_row(out, r, shape == PROTO_NOTIFICATION_ROWS) :
	    add_object(out, r, shape == PROTO_OBJECTS_CURSORS ? at : NULL)));
}

int
proto_answer_end(struct buf *out, enum proto_shape shape, const struct cursor *at)
{
	bool objects = shape == PROTO_OBJECTS || shape == PROTO_OBJECTS_CURSORS;
	size_t had = out->len;

	return whole(out, had, ADD(out, "]") == 0 &&
	    (!objects || at == NULL || add_cursor(out, at)) && ADD(out, "}") == 0);
}

int
proto_records_begin(struct buf *out, enum proto_shape shape)
{
	return shape == PROTO_NEWS ? ADD(out, "{\"action\":\"records\"") :
	    ADD(out, "{\"action\":\"records\",\"records\":[");
}

int
proto_records_end(struct buf *out, enum proto_shape shape, const struct cursor *at)
{
	size_t had = out->len;

	return whole(out, had, (shape == PROTO_NEWS || ADD(out, "]") == 0) &&
	    (at == NULL || add_cursor(out, at)) && ADD(out, "}") == 0);
}
