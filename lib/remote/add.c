/*
 * Uploads. Offers become requests, each with a source and the number of its first record, so
 * that the daemon stores them once, however often they are sent. Many are on their way at once.
 */
#include <stdlib.h>

#include "crypto.h"
#include "ndjson.h"
#include "proto.h"
#include "remote/remote.h"

enum {
	REQUEST_RECORDS = 1000,
	REQUEST_BYTES = 512 << 10,   /* one record may be longer: then it goes alone */
	FLYING = 16,                 /* requests on their way */
	FLYING_BYTES = 4 << 20,
};

/* The request that is being made. */
struct upload {
	struct remote *r;
	struct buf text;
	int64_t id;                  /* 0: none has begun */
	enum record_kind kind;
	struct str source;           /* as the offer has it */
	int64_t next;                /* the number that the next record must have */
	size_t count;
};

/* A source's name on the wire: what is too long there goes by its hash. */
static int
wire_source(struct str source, char text[REMOTE_SOURCE_SIZE], struct str *out, struct error *e)
{
	unsigned char hash[CRYPTO_SHA256_SIZE];

	*out = source;
	if (source.len <= PROTO_SOURCE_MAX)
		return 0;
	if (crypto_sha256(source, hash, e) == -1)
		return -1;
	crypto_hex(hash, sizeof(hash), text);
	*out = str_of(text);
	return 0;
}

static int
begin(struct upload *u, enum record_kind kind, struct str source, int64_t seq, struct error *e)
{
	bool log = kind == RECORD_LOG;
	char text[REMOTE_SOURCE_SIZE];
	struct str name;

	if (wire_source(source, text, &name, e) == -1 ||
	    (u->id = talk_begin(u->r->talk, &u->text, log ? "uploadLogs" : "uploadNotifications",
	    e)) == -1)
		return -1;
	u->kind = kind;
	u->source = source;
	u->next = seq;
	u->count = 0;
	if (buf_add_str(&u->text, str_of(",\"source\":")) == -1 ||
	    ndjson_write_string(&u->text, name) == -1 ||
	    buf_printf(&u->text, ",\"seq\":%lld,\"%s\":[", (long long)seq,
	    log ? "logs" : "notifications") == -1)
		return error_memory(e);
	return 0;
}

/* Send it, once there is room for it on the way. */
static int
finish(struct upload *u, struct error *e)
{
	int64_t id = u->id;
	struct talk_answer a;
	size_t bytes;

	if (id == 0)
		return 0;
	u->id = 0;
	if (buf_add_str(&u->text, str_of("]}")) == -1)
		return error_memory(e);
	while (talk_open(u->r->talk, &bytes) >= FLYING || bytes >= FLYING_BYTES)
		if (talk_answer(u->r->talk, &a, e) == -1)
			return -1;
	return talk_send(u->r->talk, id, &u->text, e);
}

/* Does a record of this kind and number go on with the request? */
static bool
goes_on(const struct upload *u, enum record_kind kind, struct str source, int64_t seq)
{
	return u->id != 0 && u->kind == kind && u->next == seq && str_equal(u->source, source) &&
	    u->count < REQUEST_RECORDS && u->text.len < REQUEST_BYTES;
}

static int
put(struct upload *u, const struct store_offer *o, struct error *e)
{
	const struct record *r = &o->record;
	struct str source = o->source.data != NULL ? o->source : str_of(u->r->source);
	int64_t seq = o->source.data != NULL ? o->seq : ++u->r->seq;
	size_t had;

	/* A long one behind others would make the request too long. */
	if (!goes_on(u, r->kind, source, seq) ||
	    u->text.len + r->message.len + r->sender.len + r->extra.len > REQUEST_BYTES) {
		if (finish(u, e) == -1 || begin(u, r->kind, source, seq, e) == -1)
			return -1;
	}
	had = u->text.len;
	if (buf_add_str(&u->text, str_of(u->count > 0 ? ",{" : "{")) == -1 ||
	    ndjson_write_members(&u->text, r, false) == -1 || buf_add(&u->text, "}", 1) == -1) {
		u->text.len = had;
		return error_memory(e);
	}
	u->count++;
	u->next = seq < INT64_MAX ? seq + 1 : -1;
	return 0;
}

int
remote_add(void *impl, const struct store_offer *offers, size_t n, struct store_added *added,
    struct error *e)
{
	struct remote *r = impl;
	struct upload u = { .r = r };
	struct talk_answer a;
	size_t bytes;
	int rc = 0;

	*added = (struct store_added){ 0 };
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (offers[i].refused)
			continue;
		rc = put(&u, &offers[i], e);
		added->stored++;
	}
	if (rc == 0)
		rc = finish(&u, e);
	while (rc == 0 && talk_open(r->talk, &bytes) > 0)
		rc = talk_answer(r->talk, &a, e);
	buf_free(&u.text);
	if (rc == -1)
		talk_forget(r->talk);
	return rc;
}
