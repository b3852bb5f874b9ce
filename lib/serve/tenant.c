#include <stdlib.h>
#include <string.h>

#include "serve/internal.h"

#define CHAINS 1024   /* to begin with; doubled when there are as many tenants */

/* FNV-1a: who picks a code has proven that it is theirs. */
static size_t
hash(struct str code)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < code.len; i++)
		h = (h ^ (unsigned char)code.data[i]) * 1099511628211u;
	return (size_t)(h ^ h >> 32);
}

int
tenants_new(struct serve *s, struct error *e)
{
	s->chain_count = CHAINS;
	s->tenants = calloc(s->chain_count, sizeof(struct tenant *));
	return s->tenants != NULL ? 0 : error_memory(e);
}

void
tenants_free(struct serve *s)
{
	struct tenant *t;

	for (size_t i = 0; i < s->chain_count; i++) {
		while ((t = s->tenants[i]) != NULL) {
			s->tenants[i] = t->next;
			free(t);
		}
	}
	free(s->tenants);
}

static struct tenant **
chain_of(struct serve *s, struct str code)
{
	return &s->tenants[hash(code) & (s->chain_count - 1)];
}

/* Twice as many chains. Without memory they stay as they are. */
static void
grow(struct serve *s)
{
	struct tenant **old = s->tenants, **more = calloc(s->chain_count * 2, sizeof(*more));
	struct tenant *t, *next, **chain;
	size_t n = s->chain_count;

	if (more == NULL)
		return;
	s->tenants = more;
	s->chain_count *= 2;
	for (size_t i = 0; i < n; i++) {
		for (t = old[i]; t != NULL; t = next) {
			next = t->next;
			chain = chain_of(s, str_of(t->code));
			t->next = *chain;
			*chain = t;
		}
	}
	free(old);
}

struct tenant *
tenant_find(struct serve *s, struct str code)
{
	struct tenant *t = *chain_of(s, code);

	while (t != NULL && !str_equal(str_of(t->code), code))
		t = t->next;
	if (t != NULL)
		t->refs++;
	return t;
}

struct tenant *
tenant_get(struct serve *s, const char *code)
{
	struct tenant *t = tenant_find(s, str_of(code)), **chain;

	if (t != NULL || (t = calloc(1, sizeof(*t))) == NULL)
		return t;
	if (s->tenant_count == s->chain_count)
		grow(s);
	chain = chain_of(s, str_of(code));
	t->refs = 1;
	TAILQ_INIT(&t->sessions);
	TAILQ_INIT(&t->readers);
	t->tokens = s->settings.burst;
	t->filled_at = when_ticks();
	memcpy(t->code, code, strlen(code) + 1);
	t->next = *chain;
	*chain = t;
	s->tenant_count++;
	return t;
}

/* One that owes records stays, or who has sent too much need only connect anew. */
static bool
is_wanted(struct serve *s, const struct tenant *t)
{
	return t->refs > 0 || (s->settings.rate > 0 &&
	    t->tokens + (when_ticks() - t->filled_at) * s->settings.rate < s->settings.burst);
}

static void
unlink_tenant(struct serve *s, struct tenant *t)
{
	struct tenant **at = chain_of(s, str_of(t->code));

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	s->tenant_count--;
	free(t);
}

void
tenant_unref(struct serve *s, struct tenant *t)
{
	if (--t->refs == 0 && !is_wanted(s, t))
		unlink_tenant(s, t);
}

void
tenants_sweep(struct serve *s)
{
	struct tenant *t, *next;

	for (size_t i = 0; i < s->chain_count; i++) {
		for (t = s->tenants[i]; t != NULL; t = next) {
			next = t->next;
			if (!is_wanted(s, t))
				unlink_tenant(s, t);
		}
	}
}

bool
tenant_may_upload(struct serve *s, struct tenant *t)
{
	double now;

	if (s->settings.rate <= 0)
		return true;
	now = when_ticks();
	t->tokens += (now - t->filled_at) * s->settings.rate;
	if (t->tokens > s->settings.burst)
		t->tokens = s->settings.burst;
	t->filled_at = now;
	return t->tokens > 0;
}

void
tenant_charge(struct serve *s, struct tenant *t, size_t records)
{
	if (s->settings.rate > 0)
		t->tokens -= (double)records;
}
