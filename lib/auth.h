/*
 * auth.h - who is there, and for whom may they act?
 *
 * Whoever connects shows a token, and is a watchdog (may upload and read) or a
 * user (may read); both act for one watchdog code, the tenant. Tokens are
 *   - signed: a JSON object (token.h), by the key that authkey.h knows;
 *   - opaque: a JSON string, 52 random characters; a file has its SHA-256:
 *         # comments and empty lines are skipped
 *         SHA-256-IN-HEX CODE watchdog|user
 *     so that who reads the file cannot use what it lets in;
 *   - nothing (`none`): a string is the code, an object's "code" is believed, an
 *     address with the first of its "belongs"; who shows no token is "local".
 * Signed and opaque tokens may both be on. No message in here quotes a token.
 *
 * All functions but auth_free() may be called from any thread at any time. Only
 * auth_refresh() and auth_reload() block.
 */
#ifndef MONITOR_AUTH_H
#define MONITOR_AUTH_H

#include <stdbool.h>

#include "authkey.h"
#include "crypto.h"
#include "error.h"
#include "record.h"
#include "str.h"
#include "token.h"

#define AUTH_CODE_MAX 64   /* as record_watchdog_valid() has it */

enum auth_role { AUTH_WATCHDOG, AUTH_USER, AUTH_ROLES };

/* "watchdog" and "user", and back: -1 if it is neither. */
const char *auth_role_name(enum auth_role role);
int auth_role_parse(struct str name, enum auth_role *role);

/* Who somebody turned out to be. Owns nothing, points nowhere. */
struct identity {
	enum auth_role role;
	char watchdog[AUTH_CODE_MAX + 1];   /* the code acted for */
	char user[TOKEN_EMAIL_MAX + 1];     /* a user's address, to show and for nothing
	                                     * else (see token.h); "" if unknown */
	double expires;                     /* Unix seconds; INFINITY: never */
	enum { AUTH_BY_NOTHING, AUTH_BY_KEY, AUTH_BY_TOKEN } by;
	unsigned char proof[CRYPTO_SHA256_SIZE];   /* the key's fingerprint, or the
	                                            * token's SHA-256 */
};

struct auth_settings {
	struct authkey_settings key;   /* signed tokens, if it has a file or a URL */
	const char *tokens;            /* opaque tokens: the file */
	bool none;                     /* neither, and everybody may */
};

struct auth;

/* Read the files. ERROR_USAGE: nothing is on, or `none` beside something else, or
 * both a key's file and URL. The settings are copied. See authkey_new(). */
struct auth *auth_new(const struct auth_settings *settings, struct error *e);
void auth_free(struct auth **a);

enum auth_result {
	AUTH_OK,
	AUTH_EXPIRED,
	AUTH_INVALID_TOKEN,
	AUTH_INVALID_SIGNATURE,
	AUTH_FAILED,    /* our own fault (no memory): no verdict on the token */
	AUTH_LATER,     /* another key may be had: see that auth_refresh() is called off
	                 * the event loop, and when it has returned, whatever it said, check
	                 * again. With a `retry` above 0 this ends there. */
	AUTH_RESULTS
};

/* What the wire says to a result: "Expired", "Invalid token", "Invalid signature";
 * NULL for the others. */
const char *auth_comment(enum auth_result result);

/* Check a token, the JSON value that stood in the message, at the time `now` (Unix
 * seconds). Fills `who` if AUTH_OK, else `e`, for the log. */
enum auth_result auth_check(struct auth *a, struct str token, double now, struct identity *who,
    struct error *e);

/* Who is there without any token: true, and "local", only with `none`. */
bool auth_local(const struct auth *a, struct identity *who);

/* Is what let them in still good: the token in the file, with the same code and
 * role, or the key the current one? To be asked of every connection after
 * auth_reload(); times are not looked at. After a key was replaced by
 * auth_refresh() alone, as the service rotated it, nobody needs to go. */
bool auth_holds(struct auth *a, const struct identity *who);

/* The key's fetching: see authkey_due(), _refresh(), _cancel(). Without a URL
 * nothing is ever due. */
bool auth_due(struct auth *a);
int auth_refresh(struct auth *a, struct error *e);
void auth_cancel(struct auth *a);

/* Can signed tokens be verified yet (or are there none to be)? */
bool auth_ready(struct auth *a);

/* Read files again and fetch the key. What cannot be had stays as it was, and -1
 * with the first error; the others are tried all the same. */
int auth_reload(struct auth *a, struct error *e);

/* Make an opaque token, and append its line for the file to `line`. The token is
 * the caller's to show once and to wipe. */
#define AUTH_TOKEN_SIZE 53   /* with its NUL */
int auth_new_token(struct str code, enum auth_role role, char token[AUTH_TOKEN_SIZE],
    struct buf *line, struct error *e);

#endif
