#include "authkey.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <curl/curl.h>

#include "buf.h"
#include "json.h"
#include "when.h"

#define ANSWER_MAX 65536   /* bytes; a key of 16384 bits takes 3 kB */
#define ENDPOINT "/requestPublicKey"

struct authkey {
	struct authkey_settings settings;   /* its strings are the three below */
	char *file, *url, *ca;
	bool curl;                          /* libcurl is set up */
	atomic_bool cancelled;
	pthread_mutex_t turn;               /* one fetch at a time; taken before `lock` */
	pthread_mutex_t lock;               /* of all that follows; never held for long */
	struct crypto_key *key;
	double fetched, tried;              /* when that last succeeded, and ended at all */
	bool fetching, doubted;
};

/* ---- the URL ------------------------------------------------------------ */

static bool
is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;
	char literal[INET6_ADDRSTRLEN + 1];
	size_t len = strlen(host);

	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (len < 3 || len > sizeof(literal) || host[0] != '[' || host[len - 1] != ']')
		return false;
	memcpy(literal, host + 1, len - 2);
	literal[len - 2] = '\0';
	return inet_pton(AF_INET6, literal, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* A part of a URL, NULL if it has none (or no memory); to be freed with curl_free(). */
static char *
url_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;

	if (curl_url_get(u, part, &text, 0) != CURLUE_OK)
		return NULL;
	return text;
}

static int
check_url(CURLU *u, bool insecure, struct error *e)
{
	static const CURLUPart unwanted[] = {
		CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT,
	};
	char *scheme = url_part(u, CURLUPART_SCHEME), *host = url_part(u, CURLUPART_HOST), *part;
	bool plain = scheme != NULL && strcmp(scheme, "http") == 0, extra = false;
	int r = 0;

	for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++) {
		extra |= (part = url_part(u, unwanted[i])) != NULL;
		curl_free(part);
	}
	if (scheme == NULL || (!plain && strcmp(scheme, "https") != 0))
		r = error_set(e, ERROR_USAGE, "the auth service's URL must be https://");
	else if (host == NULL)
		r = error_set(e, ERROR_USAGE, "the auth service's URL names no host");
	else if (extra)
		r = error_set(e, ERROR_USAGE,
		    "the auth service's URL must be no more than https://HOST[:PORT][/PATH]");
	else if (plain && !insecure && !is_loopback(host))
		r = error_set(e, ERROR_USAGE, "the auth service's URL must be https://: whoever "
		    "can meddle with plain http:// could give us a key of his own");
	curl_free(scheme);
	curl_free(host);
	return r;
}

/* What to ask for: the caller's to free. NULL with an error. */
static char *
endpoint_of(const char *url, bool insecure, struct error *e)
{
	CURLU *u = curl_url();
	char *path = NULL, *whole = NULL, *longer = NULL, *copy = NULL;
	size_t len;

	if (u == NULL) {
		error_memory(e);
		return NULL;
	}
	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK) {
		error_set(e, ERROR_USAGE, "the auth service's URL must be https://HOST[:PORT][/PATH]");
		goto out;
	}
	if (check_url(u, insecure, e) == -1)
		goto out;
	if ((path = url_part(u, CURLUPART_PATH)) == NULL ||
	    (longer = malloc(strlen(path) + sizeof(ENDPOINT))) == NULL)
		goto memory;
	for (len = strlen(path); len > 0 && path[len - 1] == '/'; len--)
		;
	memcpy(longer, path, len);
	memcpy(longer + len, ENDPOINT, sizeof(ENDPOINT));
	if (curl_url_set(u, CURLUPART_PATH, longer, 0) == CURLUE_OK &&
	    (whole = url_part(u, CURLUPART_URL)) != NULL)
		copy = strdup(whole);
memory:
	if (copy == NULL)
		error_memory(e);
out:
	free(longer);
	curl_free(path);
	curl_free(whole);
	curl_url_cleanup(u);
	return copy;
}

/* ---- to begin and end --------------------------------------------------- */

static int
copy_string(char **copy, const char *text, struct error *e)
{
	if (text != NULL && (*copy = strdup(text)) == NULL)
		return error_memory(e);
	return 0;
}

static int
prepare_url(struct authkey *k, struct error *e)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(e, ERROR_SYSTEM, "libcurl cannot be set up");
	k->curl = true;
	k->url = endpoint_of(k->settings.url, k->settings.insecure, e);
	return k->url == NULL ? -1 : 0;
}

struct authkey *
authkey_new(const struct authkey_settings *settings, struct error *e)
{
	struct authkey *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		error_memory(e);
		return NULL;
	}
	k->settings = *settings;
	k->fetched = k->tried = -INFINITY;
	pthread_mutex_init(&k->turn, NULL);
	pthread_mutex_init(&k->lock, NULL);
	if (copy_string(&k->file, settings->file, e) == -1 ||
	    copy_string(&k->ca, settings->ca, e) == -1 ||
	    (k->file != NULL ? authkey_refresh(k, e) : prepare_url(k, e)) == -1)
		authkey_free(&k);
	return k;
}

void
authkey_free(struct authkey **kp)
{
	struct authkey *k = *kp;

	if (k == NULL)
		return;
	crypto_key_free(&k->key);
	pthread_mutex_destroy(&k->turn);
	pthread_mutex_destroy(&k->lock);
	if (k->curl)
		curl_global_cleanup();
	free(k->file);
	free(k->url);
	free(k->ca);
	free(k);
	*kp = NULL;
}

/* ---- to fetch ----------------------------------------------------------- */

struct fetch {
	struct buf answer;
	bool too_long;
	const atomic_bool *cancelled;
	char why[CURL_ERROR_SIZE];
};

static size_t
on_data(char *data, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;

	n *= size;
	if (n > ANSWER_MAX - f->answer.len) {
		f->too_long = true;
		return 0;
	}
	return buf_add(&f->answer, data, n) == 0 ? n : 0;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct fetch *f = arg;

	(void)a, (void)b, (void)c, (void)d;
	return atomic_load(f->cancelled);
}

static int
set_up(CURL *c, const struct authkey *k, struct fetch *f)
{
	const char *scheme = strncmp(k->url, "https:", 6) == 0 ? "https" : "http";
	long ms = (long)(k->settings.timeout * 1000);

	/* The first for what goes wrong in the others. No proxy: the library
	 * would take one from the environment. A slow name server is not given up
	 * by SIGALRM, which could hit any thread (NOSIGNAL), and not waited for
	 * once time is up (QUICK_EXIT). */
	return curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->why) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_URL, k->url) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, scheme) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_PROXY, "") != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, ms > 0 ? ms : 1) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_USERAGENT, "monitor/" MONITOR_VERSION) != CURLE_OK ||
	    (k->ca != NULL && curl_easy_setopt(c, CURLOPT_CAINFO, k->ca) != CURLE_OK) ||
	    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_WRITEDATA, f) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_XFERINFODATA, f) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) != CURLE_OK ? -1 : 0;
}

/* The key out of {"publickey":PEM}. */
static struct crypto_key *
key_of(struct str answer, struct error *e)
{
	static const char *const names[] = { "publickey" };
	struct crypto_key *key = NULL;
	struct json j = { 0 };
	struct str value, pem;

	if (json_open(&j, answer, &value, e) == 0) {
		if (json_members(&j, value, names, &value, 1) && json_string(&j, value, &pem))
			key = crypto_key_read(pem, e);
		else
			error_set(e, ERROR_INVALID, "no \"publickey\" in the answer");
	}
	json_free(&j);
	return key;
}

static struct crypto_key *
fetch(const struct authkey *k, struct error *e)
{
	struct fetch f = { .cancelled = &k->cancelled };
	struct crypto_key *key = NULL;
	CURL *c = curl_easy_init();
	CURLcode r;
	long status = 0;

	if (c == NULL || set_up(c, k, &f) == -1) {
		error_set(e, ERROR_SYSTEM, "%s", f.why[0] != '\0' ? f.why : "libcurl fails");
		goto out;
	}
	if ((r = curl_easy_perform(c)) != CURLE_OK) {
		if (f.too_long)
			error_set(e, ERROR_INVALID, "an answer of more than %d bytes", ANSWER_MAX);
		else
			error_set(e, ERROR_SYSTEM, "%s",
			    f.why[0] != '\0' ? f.why : curl_easy_strerror(r));
		goto out;
	}
	if (curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status != 200)
		error_set(e, ERROR_INVALID, "HTTP status %ld%s", status,
		    status / 100 == 3 ? " (redirects are not followed)" : "");
	else
		key = key_of((struct str){ f.answer.data, f.answer.len }, e);
out:
	buf_free(&f.answer);
	curl_easy_cleanup(c);
	return key;
}

static struct crypto_key *
read_file(const char *path, struct error *e)
{
	struct crypto_key *key = NULL;
	char text[ANSWER_MAX];
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL) {
		error_errno(e, errno, "cannot be opened");
		return NULL;
	}
	errno = 0;
	n = fread(text, 1, sizeof(text), f);
	if (ferror(f))
		error_errno(e, errno, "cannot be read");
	else if (n == sizeof(text))
		error_set(e, ERROR_INVALID, "is too long to be a public key");
	else
		key = crypto_key_read((struct str){ text, n }, e);
	fclose(f);
	return key;
}

int
authkey_refresh(struct authkey *k, struct error *e)
{
	struct crypto_key *key, *old = NULL;

	pthread_mutex_lock(&k->turn);
	pthread_mutex_lock(&k->lock);
	k->fetching = true;
	k->doubted = false;
	pthread_mutex_unlock(&k->lock);
	key = k->file != NULL ? read_file(k->file, e) : fetch(k, e);
	pthread_mutex_lock(&k->lock);
	k->tried = when_ticks();
	k->fetching = false;
	if (key != NULL) {
		old = k->key;
		k->key = key;
		k->fetched = k->tried;
	}
	pthread_mutex_unlock(&k->lock);
	pthread_mutex_unlock(&k->turn);
	crypto_key_free(&old);
	return key != NULL ? 0 : error_prefix(e, "%s", k->file != NULL ? k->file : k->url);
}

void
authkey_cancel(struct authkey *k)
{
	atomic_store(&k->cancelled, true);
}

/* ---- to look ------------------------------------------------------------ */

struct crypto_key *
authkey_current(struct authkey *k)
{
	struct crypto_key *key;

	pthread_mutex_lock(&k->lock);
	key = k->key != NULL ? crypto_key_ref(k->key) : NULL;
	pthread_mutex_unlock(&k->lock);
	return key;
}

/* With the lock held: may a fetch begin now? */
static bool
may_fetch(const struct authkey *k)
{
	return k->file == NULL && !k->fetching && when_ticks() - k->tried >= k->settings.retry;
}

bool
authkey_due(struct authkey *k)
{
	bool due;

	pthread_mutex_lock(&k->lock);
	due = may_fetch(k) &&
	    (k->key == NULL || k->doubted || when_ticks() - k->fetched >= k->settings.fresh);
	pthread_mutex_unlock(&k->lock);
	return due;
}

enum authkey_hope
authkey_doubt(struct authkey *k, const struct crypto_key *key)
{
	enum authkey_hope hope;

	pthread_mutex_lock(&k->lock);
	if (k->key != key) {
		hope = AUTHKEY_CHANGED;
	} else {
		k->doubted |= may_fetch(k);
		hope = k->fetching || k->doubted ? AUTHKEY_SOON : AUTHKEY_NONE;
	}
	pthread_mutex_unlock(&k->lock);
	return hope;
}
