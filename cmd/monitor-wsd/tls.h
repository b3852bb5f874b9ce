/*
 * tls.h - the server's certificate and key, and whose certificates are asked of clients:
 * from files. The only user of libssl.
 *
 * Files can be read again at any time. A connection goes on with what it began with.
 */
#ifndef MONITOR_WSD_TLS_H
#define MONITOR_WSD_TLS_H

#include "error.h"

struct tls_settings {
	const char *cert;        /* PEM: the certificate, then those that lead to its root */
	const char *key;         /* PEM, without a password */
	const char *client_ca;   /* PEM: who may vouch for clients, which then must show a
	                          * certificate; NULL: none is asked for */
};

struct tls;

/* Reads the files, and checks that the key is the certificate's. The settings' strings
 * must outlive it. */
struct tls *tls_new(const struct tls_settings *settings, struct error *e);
void tls_free(struct tls **t);

/* Read the files again, for connections from now on. -1: all stays as it was. */
int tls_reload(struct tls *t, struct error *e);

/* When the first of them expires, of the certificate and those above it: Unix seconds. */
double tls_expires(const struct tls *t);

/* Let connections of this SSL_CTX have it: TLS 1.2 at least, no sessions to be resumed
 * (they would outlive what they were proved with). `t` must outlive the SSL_CTX. */
int tls_attach(struct tls *t, void *ssl_ctx, struct error *e);

#endif
