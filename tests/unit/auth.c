/* auth.h and authkey.h: what needs no server and no signature; the rest is in
 * tests/auth.bats. */
#include "auth.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "tap.h"

static char path[] = "/tmp/auth-XXXXXX";

static void
words(void)
{
	enum auth_role role;

	tap_is(auth_comment(AUTH_EXPIRED), "Expired", "the wire's word for expired");
	tap_is(auth_comment(AUTH_INVALID_TOKEN), "Invalid token", "for a token that is none");
	tap_is(auth_comment(AUTH_INVALID_SIGNATURE), "Invalid signature", "for a bad signature");
	tap_ok(auth_comment(AUTH_OK) == NULL && auth_comment(AUTH_LATER) == NULL &&
	    auth_comment(AUTH_FAILED) == NULL, "and none for what is no verdict");
	for (unsigned i = 0; i < AUTH_ROLES; i++)
		tap_ok(auth_role_parse(str_of(auth_role_name(i)), &role) == 0 && role == i,
		    "a role by its name: %s", auth_role_name(i));
	tap_ok(auth_role_parse(str_of("admin"), &role) == -1, "there is no other role");
	tap_ok(sizeof(struct identity) <= 400, "ten thousand identities fit in 4 MB");
}

static void
new_tokens(void)
{
	char token[AUTH_TOKEN_SIZE] = "before";
	struct buf line = { 0 };
	struct error e;

	tap_ok(buf_add(&line, "kept\n", 5) == 0 &&
	    auth_new_token(str_of("a b"), AUTH_USER, token, &line, &e) == -1 &&
	    e.kind == ERROR_USAGE && line.len == 5, "no token for what is no code");
	tap_ok(auth_new_token(str_of("w"), AUTH_USER, token, &line, &e) == 0 &&
	    strlen(token) == AUTH_TOKEN_SIZE - 1 && line.len == 5 + 64 + 8 &&
	    memcmp(line.data + 5 + 64, " w user\n", 8) == 0, "its line goes behind what is there");
	buf_free(&line);
}

/* Nobody listens on port 1: a fetch fails at once. */
static struct authkey *
of_nobody(double retry)
{
	struct authkey_settings s = { .url = "http://127.0.0.1:1", .fresh = AUTHKEY_FRESH,
	    .retry = retry, .timeout = AUTHKEY_TIMEOUT };

	return authkey_new(&s, NULL);
}

static void
no_key_yet(void)
{
	struct authkey *k = of_nobody(1e9);
	struct error e = { .text = "" };

	if (!tap_ok(k != NULL, "no service is needed to begin"))
		return;
	tap_ok(authkey_current(k) == NULL, "there is no key yet");
	tap_ok(authkey_due(k) && authkey_doubt(k, NULL) == AUTHKEY_SOON, "one is to be fetched");
	tap_ok(authkey_refresh(k, &e) == -1, "which fails");
	tap_ok(strncmp(e.text, "http://127.0.0.1:1/requestPublicKey: ", 37) == 0,
	    "the error names the URL: %s", e.text);
	tap_ok(!authkey_due(k) && authkey_doubt(k, NULL) == AUTHKEY_NONE,
	    "and is not to be tried again before its time");
	tap_ok(authkey_refresh(k, NULL) == -1, "unless on request, with no error wanted");
	authkey_free(&k);
	tap_ok(k == NULL, "freed");
	if (!tap_ok((k = of_nobody(0)) != NULL, "another"))
		return;
	tap_ok(authkey_refresh(k, &e) == -1 && authkey_due(k) &&
	    authkey_doubt(k, NULL) == AUTHKEY_SOON, "that may be tried again at once");
	authkey_free(&k);
}

static void
service_down(void)
{
	struct auth_settings s = { .key = { .url = "http://127.0.0.1:1", .retry = 1e9, .timeout = 5 } };
	struct str token = str_of("{\"code\":\"0000000000000004\",\"id\":1,\"time\":1732280000,"
	    "\"belongs\":null,\"perm\":1,\"signature\":\"AAAA\"}");
	struct auth *a = auth_new(&s, NULL);
	struct identity who;
	struct error e;

	if (!tap_ok(a != NULL, "signed tokens, and no service"))
		return;
	tap_ok(!auth_ready(a) && auth_due(a), "not ready, and a key is due");
	tap_ok(auth_check(a, token, 1732280000, &who, &e) == AUTH_LATER, "a token waits for the key");
	tap_ok(auth_refresh(a, &e) == -1, "which is not to be had");
	tap_ok(auth_check(a, token, 1732280000, &who, &e) == AUTH_INVALID_SIGNATURE,
	    "then it does not wait again");
	who = (struct identity){ .by = AUTH_BY_KEY };
	tap_ok(!auth_holds(a, &who), "no key holds for nobody");
	who.by = AUTH_BY_NOTHING;
	tap_ok(!auth_holds(a, &who), "nor does nothing at all");
	who.by = AUTH_BY_TOKEN;
	tap_ok(!auth_holds(a, &who), "nor a token of another time");
	auth_free(&a);
}

/* ---- several threads ---------------------------------------------------- */

struct contest {
	struct auth *auth;
	struct str token;
	atomic_bool over;
	atomic_ulong right, wrong;
};

static void *
keep_checking(void *arg)
{
	struct contest *c = arg;
	struct identity who;
	struct error e;

	while (!atomic_load(&c->over)) {
		bool good = auth_check(c->auth, c->token, 0, &who, &e) == AUTH_OK &&
		    strcmp(who.watchdog, "w") == 0 && auth_holds(c->auth, &who);
		atomic_fetch_add(good ? &c->right : &c->wrong, 1);
	}
	return NULL;
}

static bool
write_file(const struct buf *b)
{
	FILE *f = fopen(path, "w");
	bool good = f != NULL && fwrite(b->data, 1, b->len, f) == b->len;

	return f != NULL && fclose(f) == 0 && good;
}

static void
reload_meanwhile(void)
{
	struct auth_settings s = { .tokens = path };
	char token[AUTH_TOKEN_SIZE], quoted[AUTH_TOKEN_SIZE + 2];
	struct contest c = { .right = 0 };
	struct buf line = { 0 };
	pthread_t threads[2];
	unsigned failed = 0, started = 0;
	struct error e;

	tap_ok(auth_new_token(str_of("w"), AUTH_WATCHDOG, token, &line, &e) == 0 && write_file(&line) &&
	    (c.auth = auth_new(&s, &e)) != NULL, "a token");
	snprintf(quoted, sizeof(quoted), "\"%s\"", token);
	c.token = str_of(quoted);
	while (c.auth != NULL && started < 2 &&
	    pthread_create(&threads[started], NULL, keep_checking, &c) == 0)
		started++;
	tap_ok(started == 2, "two threads that check it");
	for (unsigned n = 0; started == 2 && (n < 200 || atomic_load(&c.right) < 1000); n++)
		failed += auth_reload(c.auth, &e) == -1;
	atomic_store(&c.over, true);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	tap_ok(failed == 0 && c.wrong == 0, "while the file is read again and again it is good: %lu times",
	    (unsigned long)c.right);
	auth_free(&c.auth);
	buf_free(&line);
}

int
main(void)
{
	int fd = mkstemp(path);

	if (fd == -1 || close(fd) == -1) {
		perror(path);
		return 1;
	}
	words();
	new_tokens();
	no_key_yet();
	service_down();
	reload_meanwhile();
	unlink(path);
	return tap_done();
}
