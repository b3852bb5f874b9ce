#include "remote/remote.h"

#include <stdlib.h>

#include "crypto.h"

/* A name for this run that nobody else has. */
static int
name_source(struct remote *r, struct error *e)
{
	unsigned char random[16];

	if (crypto_random(random, sizeof(random), e) == -1)
		return -1;
	crypto_hex(random, sizeof(random), r->source);
	return 0;
}

static void
remote_close(void *impl)
{
	struct remote *r = impl;

	talk_free(&r->talk);
	ndjson_free(&r->reader);
	free(r);
}

void *
remote_open(const struct client_settings *settings, enum store_mode mode, struct error *e)
{
	static const struct ndjson_defaults defaults = { .kind = RECORD_LOG };
	struct remote *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		error_memory(e);
		return NULL;
	}
	if ((r->reader = ndjson_new(&defaults, e)) == NULL || name_source(r, e) == -1 ||
	    (r->talk = talk_new(settings, mode == STORE_READ ? TALK_A_WHILE : TALK_FOR_EVER, e)) ==
	    NULL)
		goto fail;
	/* Who uploads is told at once whether it may. */
	if (mode == STORE_READ || talk_connect(r->talk, e) == 0)
		return r;
fail:
	remote_close(r);
	return NULL;
}

/* ---- news ------------------------------------------------------------------- */

static int
remote_watch(void *impl, struct error *e)
{
	return talk_watch(((struct remote *)impl)->talk, e);
}

static void
remote_watched(void *impl)
{
	talk_watched(((struct remote *)impl)->talk);
}

/* ---- what only a store at hand can do ----------------------------------------- */

static int
only_local(const char *what, struct error *e)
{
	return error_set(e, ERROR_USAGE, "only a local store can be %s", what);
}

static int
remote_stats(void *impl, struct store_stats *st, struct error *e)
{
	(void)impl;
	(void)st;
	return only_local("measured", e);
}

static int
remote_backup(void *impl, const char *path, struct error *e)
{
	(void)impl;
	(void)path;
	return only_local("backed up", e);
}

static int64_t
remote_verify(void *impl, void (*found)(void *arg, const char *text), void *arg, struct error *e)
{
	(void)impl;
	(void)found;
	(void)arg;
	return only_local("verified", e);
}

static int
remote_salvage(void *impl, const char *path, struct store_salvaged *out, struct error *e)
{
	(void)impl;
	(void)path;
	(void)out;
	return only_local("salvaged into", e);
}

static int
remote_purge(void *impl, const struct purge *p, const volatile int *stop, struct purged *out,
    struct error *e)
{
	(void)impl;
	(void)p;
	(void)stop;
	(void)out;
	return only_local("purged", e);
}

const struct store_backend store_remote = {
	.name = "remote",
	.distant = true,
	.batch = 8192,
	.close = remote_close,
	.add = remote_add,
	.ask = remote_ask,
	.next = remote_next,
	.position = remote_position,
	.end_ask = remote_end_ask,
	.end = remote_end,
	.watch = remote_watch,
	.watched = remote_watched,
	.tally = remote_tally,
	.span = remote_span,
	.stats = remote_stats,
	.backup = remote_backup,
	.verify = remote_verify,
	.salvage = remote_salvage,
	.purge = remote_purge,
};
