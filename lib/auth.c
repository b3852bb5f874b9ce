#include "auth.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "auth_tokens.h"
#include "json.h"

struct auth {
	bool none;
	struct authkey *key;           /* NULL: no signed tokens */
	char *path;                    /* NULL: no opaque tokens */
	pthread_mutex_t lock;          /* of `tokens` */
	struct auth_tokens *tokens;
};

static const char *const role_names[AUTH_ROLES] = { "watchdog", "user" };

const char *
auth_role_name(enum auth_role role)
{
	return role_names[role];
}

int
auth_role_parse(struct str name, enum auth_role *role)
{
	for (unsigned i = 0; i < AUTH_ROLES; i++) {
		if (str_equal(name, str_of(role_names[i]))) {
			*role = i;
			return 0;
		}
	}
	return -1;
}

const char *
auth_comment(enum auth_result result)
{
	static const char *const comments[AUTH_RESULTS] = {
		[AUTH_EXPIRED] = "Expired",
		[AUTH_INVALID_TOKEN] = "Invalid token",
		[AUTH_INVALID_SIGNATURE] = "Invalid signature",
	};

	return comments[result];
}

/* ---- to begin and end --------------------------------------------------- */

static int
check_settings(const struct auth_settings *s, struct error *e)
{
	bool some = s->key.file != NULL || s->key.url != NULL || s->tokens != NULL;

	if (s->none && some)
		return error_set(e, ERROR_USAGE,
		    "no authentication at all, and a way to authenticate: only one can be meant");
	if (!s->none && !some)
		return error_set(e, ERROR_USAGE, "nothing says who may connect");
	if (s->key.file != NULL && s->key.url != NULL)
		return error_set(e, ERROR_USAGE,
		    "the key comes from a file or from the auth service, not from both");
	return 0;
}

struct auth *
auth_new(const struct auth_settings *settings, struct error *e)
{
	struct auth *a;

	if (check_settings(settings, e) == -1)
		return NULL;
	if ((a = calloc(1, sizeof(*a))) == NULL) {
		error_memory(e);
		return NULL;
	}
	a->none = settings->none;
	pthread_mutex_init(&a->lock, NULL);
	if (settings->key.file != NULL || settings->key.url != NULL) {
		if ((a->key = authkey_new(&settings->key, e)) == NULL)
			goto fail;
	}
	if (settings->tokens != NULL) {
		if ((a->path = strdup(settings->tokens)) == NULL) {
			error_memory(e);
			goto fail;
		}
		if ((a->tokens = auth_tokens_read(a->path, e)) == NULL)
			goto fail;
	}
	return a;
fail:
	auth_free(&a);
	return NULL;
}

void
auth_free(struct auth **ap)
{
	struct auth *a = *ap;

	if (a == NULL)
		return;
	authkey_free(&a->key);
	auth_tokens_free(&a->tokens);
	pthread_mutex_destroy(&a->lock);
	free(a->path);
	free(a);
	*ap = NULL;
}

/* ---- to check ----------------------------------------------------------- */

static enum auth_result
invalid(struct error *e, const char *why)
{
	error_set(e, ERROR_INVALID, "%s", why);
	return AUTH_INVALID_TOKEN;
}

static enum auth_result
result_of(enum token_result r)
{
	static const enum auth_result results[] = {
		[TOKEN_OK] = AUTH_OK,
		[TOKEN_EXPIRED] = AUTH_EXPIRED,
		[TOKEN_INVALID] = AUTH_INVALID_TOKEN,
		[TOKEN_UNSIGNED] = AUTH_INVALID_SIGNATURE,
		[TOKEN_FAILED] = AUTH_FAILED,
	};

	return results[r];
}

static enum token_result
verify_with(const struct token *t, const struct crypto_key *key, struct error *e)
{
	if (key != NULL)
		return token_verify(t, key, e);
	error_set(e, ERROR_ABSENT, "there is no key yet to verify signatures with");
	return TOKEN_UNSIGNED;
}

/* Verify with the key of the moment, and with the next one should another thread
 * bring it meanwhile: nobody would come back to this token for it. */
static enum auth_result
verify(struct auth *a, const struct token *t, struct identity *who, struct error *e)
{
	enum authkey_hope hope = AUTHKEY_NONE;
	struct crypto_key *key;
	enum token_result r;

	do {
		key = authkey_current(a->key);
		r = verify_with(t, key, e);
		if (r == TOKEN_OK)
			memcpy(who->proof, crypto_key_fingerprint(key), sizeof(who->proof));
		else if (r == TOKEN_UNSIGNED && t->signature.len > 0)
			hope = authkey_doubt(a->key, key);
		crypto_key_free(&key);
	} while (r == TOKEN_UNSIGNED && hope == AUTHKEY_CHANGED);
	return r == TOKEN_UNSIGNED && hope == AUTHKEY_SOON ? AUTH_LATER : result_of(r);
}

static enum auth_result
check_signed(struct auth *a, struct str token, double now, struct identity *who, struct error *e)
{
	struct token t;
	enum auth_result r;

	if ((r = result_of(token_read(&t, token, now, e))) != AUTH_OK)
		goto out;
	r = verify(a, &t, who, e);
	who->role = t.person ? AUTH_USER : AUTH_WATCHDOG;
	memcpy(who->watchdog, t.watchdog, sizeof(t.watchdog));
	memcpy(who->user, t.name, sizeof(t.name));
	who->expires = t.expires;
	who->by = AUTH_BY_KEY;
out:
	token_free(&t);
	return r;
}

static enum auth_result
check_opaque(struct auth *a, struct json *j, struct str value, struct identity *who,
    struct error *e)
{
	struct str secret;
	bool found;

	if (!json_string(j, value, &secret))
		return invalid(e, "not a token: must be a string");
	if (crypto_sha256(secret, who->proof, e) == -1)
		return AUTH_FAILED;
	pthread_mutex_lock(&a->lock);
	found = auth_tokens_find(a->tokens, who->proof, &who->role, who->watchdog);
	pthread_mutex_unlock(&a->lock);
	who->by = AUTH_BY_TOKEN;
	return found ? AUTH_OK : invalid(e, "an unknown token");
}

/* What anybody says of himself. */
static enum auth_result
believe(struct json *j, struct str value, struct identity *who, struct error *e)
{
	static const char *const names[] = { "code", "belongs" };
	struct str values[2], code, first;

	if (json_members(j, value, names, values, 2))
		value = values[0];
	else
		values[1] = (struct str){ 0 };
	if (!json_string(j, value, &code))
		return invalid(e, "no code: must be a string, or an object with a string \"code\"");
	if (token_email_valid(code)) {
		who->role = AUTH_USER;
		memcpy(who->user, code.data, code.len);
		if (!json_is_array(values[1]) || !json_next(j, &values[1], &first) ||
		    !json_string(j, first, &code))
			return invalid(e, "a user to whom no watchdog belongs");
	}
	if (!record_watchdog_valid(code))
		return invalid(e, "not a watchdog's code");
	memcpy(who->watchdog, code.data, code.len);
	return AUTH_OK;
}

enum auth_result
auth_check(struct auth *a, struct str token, double now, struct identity *who, struct error *e)
{
	struct json j = { 0 };
	struct error why = { .kind = ERROR_NONE };
	struct str value;
	enum auth_result r;

	*who = (struct identity){ .expires = INFINITY };
	if (json_open(&j, token, &value, &why) == -1) {
		error_set(e, why.kind, "%s", why.text);
		r = why.kind == ERROR_MEMORY ? AUTH_FAILED : AUTH_INVALID_TOKEN;
	} else if (a->none) {
		r = believe(&j, value, who, e);
	} else if (a->key != NULL && *value.data == '{') {
		r = check_signed(a, value, now, who, e);
	} else if (a->path != NULL) {
		r = check_opaque(a, &j, value, who, e);
	} else {
		r = invalid(e, "not a signed token: must be an object");
	}
	json_free(&j);
	return r;
}

bool
auth_local(const struct auth *a, struct identity *who)
{
	if (!a->none)
		return false;
	*who = (struct identity){ .role = AUTH_WATCHDOG, .watchdog = "local", .expires = INFINITY };
	return true;
}

/* ---- to go on ----------------------------------------------------------- */

static bool
key_holds(struct auth *a, const struct identity *who)
{
	struct crypto_key *key = a->key != NULL ? authkey_current(a->key) : NULL;
	bool same = key != NULL && crypto_same(crypto_key_fingerprint(key), who->proof);

	crypto_key_free(&key);
	return same;
}

static bool
token_holds(struct auth *a, const struct identity *who)
{
	char watchdog[AUTH_CODE_MAX + 1];
	enum auth_role role;
	bool found;

	if (a->path == NULL)
		return false;
	pthread_mutex_lock(&a->lock);
	found = auth_tokens_find(a->tokens, who->proof, &role, watchdog);
	pthread_mutex_unlock(&a->lock);
	return found && role == who->role && strcmp(watchdog, who->watchdog) == 0;
}

bool
auth_holds(struct auth *a, const struct identity *who)
{
	switch (who->by) {
	case AUTH_BY_KEY:
		return key_holds(a, who);
	case AUTH_BY_TOKEN:
		return token_holds(a, who);
	default:
		return a->none;
	}
}

bool
auth_due(struct auth *a)
{
	return a->key != NULL && authkey_due(a->key);
}

int
auth_refresh(struct auth *a, struct error *e)
{
	return a->key != NULL ? authkey_refresh(a->key, e) : 0;
}

void
auth_cancel(struct auth *a)
{
	if (a->key != NULL)
		authkey_cancel(a->key);
}

bool
auth_ready(struct auth *a)
{
	struct crypto_key *key;
	bool ready;

	if (a->key == NULL)
		return true;
	key = authkey_current(a->key);
	ready = key != NULL;
	crypto_key_free(&key);
	return ready;
}

int
auth_reload(struct auth *a, struct error *e)
{
	struct auth_tokens *tokens, *old;
	int r = 0;

	if (a->path != NULL) {
		if ((tokens = auth_tokens_read(a->path, e)) == NULL) {
			r = -1;
		} else {
			pthread_mutex_lock(&a->lock);
			old = a->tokens;
			a->tokens = tokens;
			pthread_mutex_unlock(&a->lock);
			auth_tokens_free(&old);
		}
	}
	if (auth_refresh(a, r == 0 ? e : NULL) == -1)
		r = -1;
	return r;
}
