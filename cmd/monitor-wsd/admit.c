#include "admit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "forwarded.h"

const char *const refusal_names[REFUSALS] = {
	[REFUSED_FULL] = "full", [REFUSED_ADDRESS] = "address",
	[REFUSED_DESCRIPTORS] = "descriptors", [REFUSED_ORIGIN] = "origin",
	[REFUSED_STOPPING] = "stopping",
};

/* The connections of one address. */
struct admit_count {
	struct address key;
	size_t count;
	struct admit_count *next;      /* in its chain */
};

struct admit {
	struct admit_settings settings;
	struct admit_stats stats;
	struct admit_count **chains;
	size_t chain_count;            /* a power of two */
	uint64_t seed[2];              /* so that nobody chooses who shares a chain */
};

struct admit *
admit_new(const struct admit_settings *settings, struct error *e)
{
	struct admit *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		error_memory(e);
		return NULL;
	}
	a->settings = *settings;
	a->stats.max = settings->max;
	for (a->chain_count = 64; a->chain_count < settings->max && a->chain_count < 1 << 20;)
		a->chain_count *= 2;
	if ((a->chains = calloc(a->chain_count, sizeof(*a->chains))) == NULL) {
		error_memory(e);
		admit_free(&a);
	} else if (crypto_random(a->seed, sizeof(a->seed), e) == -1) {
		admit_free(&a);
	}
	return a;
}

void
admit_free(struct admit **ap)
{
	if (*ap == NULL)
		return;
	free((*ap)->chains);
	free(*ap);
	*ap = NULL;
}

void
admit_refuse(struct admit *a, enum refusal why)
{
	a->stats.refused[why]++;
}

/* ---- counting by address ---- */

/* What an address counts as. */
static struct address
key_of(const struct address *a)
{
	struct address key = *a;

	if (!address_is_ip4(a))
		memset(key.bytes + 8, 0, 8);
	return key;
}

static struct admit_count **
chain_of(struct admit *a, const struct address *key)
{
	uint64_t half[2], hash;

	memcpy(half, key->bytes, sizeof(half));
	hash = (half[0] ^ a->seed[0]) * 0x9e3779b97f4a7c15u;
	hash = (hash ^ hash >> 32 ^ half[1] ^ a->seed[1]) * 0xd6e8feb86659fd93u;
	return &a->chains[(hash ^ hash >> 32) & (a->chain_count - 1)];
}

static struct admit_count *
find_count(struct admit *a, const struct address *key)
{
	struct admit_count **chain = chain_of(a, key), *c;

	for (c = *chain; c != NULL; c = c->next)
		if (memcmp(&c->key, key, sizeof(*key)) == 0)
			return c;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->key = *key;
	c->next = *chain;
	return *chain = c;
}

static void
drop_count(struct admit *a, struct admit_count *c)
{
	struct admit_count **at = chain_of(a, &c->key);

	if (--c->count > 0)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c);
}

/* Count a visitor for its address, if there is room. */
static bool
count(struct admit *a, struct visitor *v)
{
	struct address key = key_of(&v->address);
	size_t max = a->settings.max_per_address;
	struct admit_count *c;

	if (max == 0)
		return true;
	if ((c = find_count(a, &key)) == NULL) {
		admit_refuse(a, REFUSED_DESCRIPTORS);
		return false;
	}
	if (c->count >= max) {
		admit_refuse(a, REFUSED_ADDRESS);
		return false;
	}
	c->count++;
	v->count = c;
	return true;
}

/* ---- coming and going ---- */

bool
admit_enter(struct admit *a, struct visitor *v, const struct sockaddr *sa)
{
	const struct admit_settings *s = &a->settings;

	v->known = address_of(sa, &v->address);
	if (v->known) {
		v->port = ntohs(((const struct sockaddr_in *)(const void *)sa)->sin_port);
		v->proxied = network_any_has(s->proxies, s->proxy_count, &v->address);
	} else {
		v->proxied = s->trust_unix;
	}
	if (a->stats.now >= s->max) {
		admit_refuse(a, REFUSED_FULL);
		return false;
	}
	if (v->known && !v->proxied && !count(a, v))
		return false;
	v->inside = true;
	a->stats.now++;
	a->stats.ever++;
	return true;
}

bool
admit_forwarded(struct admit *a, struct visitor *v, struct str for_, struct str forwarded)
{
	const struct admit_settings *s = &a->settings;
	struct address client;
	bool found;

	/* A proxy sets one of them, and lets a client's other one pass. */
	if (for_.data != NULL)
		found = forwarded_x_for(for_, s->proxies, s->proxy_count, &client);
	else
		found = forwarded.data != NULL &&
		    forwarded_standard(forwarded, s->proxies, s->proxy_count, &client);
	if (!found)
		return true;
	v->address = client;
	v->known = true;
	v->port = 0;
	return v->count != NULL || count(a, v);
}

void
admit_leave(struct admit *a, struct visitor *v)
{
	if (!v->inside)
		return;
	if (v->count != NULL)
		drop_count(a, v->count);
	a->stats.now--;
	*v = (struct visitor){ .known = false };
}

void
visitor_name(const struct visitor *v, char name[VISITOR_NAME_SIZE])
{
	char text[ADDRESS_TEXT_SIZE];

	if (!v->known) {
		snprintf(name, VISITOR_NAME_SIZE, "unix");
		return;
	}
	address_format(&v->address, text);
	if (v->port == 0)
		snprintf(name, VISITOR_NAME_SIZE, "%s", text);
	else
		snprintf(name, VISITOR_NAME_SIZE, address_is_ip4(&v->address) ? "%s:%u" : "[%s]:%u",
		    text, v->port);
}

void
admit_stats(const struct admit *a, struct admit_stats *out)
{
	*out = a->stats;
}
