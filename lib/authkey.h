/*
 * authkey.h - where the key that tokens are signed with comes from: a file, or the
 * fleet's auth service. The only user of libcurl.
 *
 * The service is asked `GET {url}/requestPublicKey` and answers
 * {"publickey":"-----BEGIN PUBLIC KEY-----..."}. A key is good until another one has
 * been fetched: a service that is down, slow or talks nonsense takes nothing away.
 *
 * Fetching blocks, so it belongs on a thread of its own:
 *     event loop                              worker
 *     authkey_current(), does not block
 *     authkey_due(), or authkey_doubt(): soon
 *         hand over                           authkey_refresh(), seconds at worst
 *     look at authkey_current() again         done (or failed)
 * All functions but authkey_free() may be called from any thread at any time.
 */
#ifndef MONITOR_AUTHKEY_H
#define MONITOR_AUTHKEY_H

#include <stdbool.h>

#include "crypto.h"
#include "error.h"

struct authkey_settings {
	const char *file;    /* the key in PEM form; or else */
	const char *url;     /* the service: https://HOST[:PORT][/PATH]; http:// too,
	                      * if HOST is loopback's or with `insecure` */
	const char *ca;      /* certificates that vouch for the service's (a PEM file);
	                      * NULL: those of the system */
	bool insecure;
	double fresh;        /* seconds until a key is fetched anew */
	double retry;        /* seconds from the end of one fetch to the next, however
	                      * many signatures do not verify in between */
	double timeout;      /* seconds that one fetch may take */
};

#define AUTHKEY_FRESH 3600
#define AUTHKEY_RETRY 10
#define AUTHKEY_TIMEOUT 10

struct authkey;

/* A file is read here and now. Of a URL only the form is checked (ERROR_USAGE; a
 * password in it is refused: command lines are public); nothing is fetched yet, so
 * there is no current key, and one is due. The settings are copied. Not while
 * other threads start up: libcurl's own set-up may not like it. */
struct authkey *authkey_new(const struct authkey_settings *settings, struct error *e);
void authkey_free(struct authkey **k);

/* A reference to the key of this moment, the caller's to free; NULL if there is
 * none yet. */
struct crypto_key *authkey_current(struct authkey *k);

/* Is it time to fetch? There is no key, or not a fresh one, nobody is fetching, and
 * the last try is `retry` ago. Never true of a file. */
bool authkey_due(struct authkey *k);

/* A signature does not verify with `key`, the current one a moment ago (or there was
 * none: NULL). May another key be expected? */
enum authkey_hope {
	AUTHKEY_NONE,       /* no: there has just been a fetch (see `retry`), or it is a
	                     * file. The signature is no good. */
	AUTHKEY_CHANGED,    /* it is there: look at authkey_current() again now */
	AUTHKEY_SOON,       /* a fetch is on its way, or due from now on: look again when
	                     * the next authkey_refresh() has returned */
};
enum authkey_hope authkey_doubt(struct authkey *k, const struct crypto_key *key);

/* Fetch now, or read the file again, and replace the key. Blocks. -1: it could not
 * be had, and the key stays what it was. The message names the URL or file. Never
 * waits longer than `timeout` (but for another thread in here); a redirect is not
 * followed, no proxy asked, at most 64 KiB are read. */
int authkey_refresh(struct authkey *k, struct error *e);

/* Let an authkey_refresh() that is on its way, and all later ones, fail within a
 * second or so: for shutting down. */
void authkey_cancel(struct authkey *k);

#endif
