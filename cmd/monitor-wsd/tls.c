#include "tls.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

/* What the files hold. */
struct credentials {
	STACK_OF(X509) *certs;             /* ours, then those above it */
	EVP_PKEY *key;
	X509_STORE *authorities;           /* NULL: no certificates are asked for */
	STACK_OF(X509_NAME) *names;        /* theirs, for clients to choose by */
};

struct tls {
	struct tls_settings settings;
	struct credentials now;
};

static void
clear(struct credentials *c)
{
	sk_X509_pop_free(c->certs, X509_free);
	EVP_PKEY_free(c->key);
	X509_STORE_free(c->authorities);
	sk_X509_NAME_pop_free(c->names, X509_NAME_free);
	*c = (struct credentials){ 0 };
}

/* What OpenSSL says went wrong. Its queue of errors is left empty, or the next
 * connection would trip over it. */
static int
fail(struct error *e, const char *path, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	if (reason != NULL)
		error_set(e, ERROR_INVALID, "%s: %s: %s", path, what, reason);
	else
		error_set(e, ERROR_INVALID, "%s: %s", path, what);
	ERR_clear_error();
	return -1;
}

/* ---- files ---- */

static STACK_OF(X509) *
read_certs(const char *path, struct error *e)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	FILE *f = fopen(path, "re");
	X509 *x = NULL;

	if (f == NULL) {
		error_errno(e, errno, "%s", path);
	} else {
		while (certs != NULL && (x = PEM_read_X509(f, NULL, NULL, NULL)) != NULL &&
		    sk_X509_push(certs, x) > 0)
			;
		fclose(f);
		/* The end of the file is an error, too. */
		if (sk_X509_num(certs) > 0 && x == NULL &&
		    ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
			ERR_clear_error();
			return certs;
		}
		fail(e, path, "no certificates in PEM form");
	}
	X509_free(x);
	sk_X509_pop_free(certs, X509_free);
	return NULL;
}

/* A password would be asked for on the terminal. */
static int
no_password(char *text, int size, int for_writing, void *arg)
{
	(void)text;
	(void)size;
	(void)for_writing;
	(void)arg;
	return -1;
}

static EVP_PKEY *
read_key(const char *path, struct error *e)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *key;

	if (f == NULL) {
		error_errno(e, errno, "%s", path);
		return NULL;
	}
	if ((key = PEM_read_PrivateKey(f, NULL, no_password, NULL)) == NULL)
		fail(e, path, "no private key in PEM form, without a password");
	fclose(f);
	return key;
}

static int
read_authorities(const char *path, struct credentials *c, struct error *e)
{
	STACK_OF(X509) *certs = read_certs(path, e);
	X509_NAME *name;
	int r = -1;

	if (certs == NULL)
		return -1;
	c->authorities = X509_STORE_new();
	c->names = sk_X509_NAME_new_null();
	if (c->authorities == NULL || c->names == NULL)
		goto out;
	for (int i = 0; i < sk_X509_num(certs); i++) {
		X509 *x = sk_X509_value(certs, i);

		if (X509_STORE_add_cert(c->authorities, x) != 1 ||
		    (name = X509_NAME_dup(X509_get_subject_name(x))) == NULL)
			goto out;
		if (sk_X509_NAME_push(c->names, name) <= 0) {
			X509_NAME_free(name);
			goto out;
		}
	}
	/* Whoever stands in the file is trusted, root or not. */
	X509_STORE_set_flags(c->authorities, X509_V_FLAG_PARTIAL_CHAIN);
	r = 0;
out:
	sk_X509_pop_free(certs, X509_free);
	return r == 0 ? 0 : fail(e, path, "cannot be used");
}

static int
read_all(const struct tls_settings *s, struct credentials *c, struct error *e)
{
	if ((c->certs = read_certs(s->cert, e)) == NULL || (c->key = read_key(s->key, e)) == NULL)
		return -1;
	if (X509_check_private_key(sk_X509_value(c->certs, 0), c->key) != 1)
		return fail(e, s->key, "not the key of the certificate");
	return s->client_ca != NULL ? read_authorities(s->client_ca, c, e) : 0;
}

struct tls *
tls_new(const struct tls_settings *settings, struct error *e)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		error_memory(e);
		return NULL;
	}
	t->settings = *settings;
	if (tls_reload(t, e) == -1)
		tls_free(&t);
	return t;
}

void
tls_free(struct tls **t)
{
	if (*t == NULL)
		return;
	clear(&(*t)->now);
	free(*t);
	*t = NULL;
}

int
tls_reload(struct tls *t, struct error *e)
{
	struct credentials c = { 0 };

	if (read_all(&t->settings, &c, e) == -1) {
		clear(&c);
		return -1;
	}
	clear(&t->now);
	t->now = c;
	return 0;
}

double
tls_expires(const struct tls *t)
{
	double first = INFINITY;
	struct tm tm;

	for (int i = 0; i < sk_X509_num(t->now.certs); i++)
		if (ASN1_TIME_to_tm(X509_get0_notAfter(sk_X509_value(t->now.certs, i)), &tm) == 1)
			first = fmin(first, (double)timegm(&tm));
	return first;
}

/* ---- connections ---- */

/* A connection wants a certificate: give it the one of now (each counts its own
 * references). */
static int
on_connection(SSL *ssl, void *arg)
{
	const struct credentials *c = &((struct tls *)arg)->now;
	STACK_OF(X509) *above = sk_X509_dup(c->certs);
	STACK_OF(X509_NAME) *names;
	int ok = 0;

	if (above == NULL)
		return 0;
	sk_X509_shift(above);
	SSL_certs_clear(ssl);
	if (SSL_use_cert_and_key(ssl, sk_X509_value(c->certs, 0), c->key, above, 1) != 1)
		goto out;
	if (c->authorities != NULL) {
		if (SSL_set1_verify_cert_store(ssl, c->authorities) != 1 ||
		    (names = SSL_dup_CA_list(c->names)) == NULL)
			goto out;
		SSL_set_client_CA_list(ssl, names);
	}
	ok = 1;
out:
	sk_X509_free(above);
	return ok;
}

/* The client has the last word of the handshake, and nothing of ours follows it. One that waits for
 * its acknowledgement before it asks (Nagle's algorithm) would lose the 40 ms for which the system
 * keeps that back: so it goes out at once. */
static void
on_progress(const SSL *ssl, int where, int result)
{
	int on = 1;

	(void)result;
	if ((where & SSL_CB_HANDSHAKE_DONE) != 0)
		setsockopt(SSL_get_fd(ssl), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

int
tls_attach(struct tls *t, void *ssl_ctx, struct error *e)
{
	SSL_CTX *ctx = ssl_ctx;

	/* No tickets, not even one that lets nobody in. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1)
		return fail(e, t->settings.cert, "TLS cannot be set up");
	SSL_CTX_set_cert_cb(ctx, on_connection, t);
	SSL_CTX_set_info_callback(ctx, on_progress);
	if (t->now.authorities != NULL)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}
