/*
 * crypto.h - the little cryptography that telling who is there needs; the
 * library's only user of OpenSSL.
 *
 * All of it may be called from any thread. Failures leave nothing behind in
 * OpenSSL's queue of errors, which TLS in the same thread would trip over.
 */
#ifndef MONITOR_CRYPTO_H
#define MONITOR_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "str.h"

#define CRYPTO_SHA256_SIZE 32   /* bytes */

/* The SHA-256 (FIPS 180-4) of `data`. */
int crypto_sha256(struct str data, unsigned char hash[CRYPTO_SHA256_SIZE], struct error *e);

/* Fill `out` with bytes that nobody can guess (getrandom(2)). */
int crypto_random(void *out, size_t n, struct error *e);

/* `size` - 1 letters and digits that nobody can guess, of 5 bits each, and a NUL. */
int crypto_random_name(char *text, size_t size, struct error *e);

/* `n` bytes as 2 * n hexadecimal digits and a NUL. */
void crypto_hex(const void *bytes, size_t n, char *text);

/* Are these hashes the same? Takes as long whatever the answer. */
bool crypto_same(const unsigned char a[CRYPTO_SHA256_SIZE],
    const unsigned char b[CRYPTO_SHA256_SIZE]);

/* An RSA public key. It never changes; references to it are counted. */
struct crypto_key;

/* The first key in a PEM text (RFC 7468, section 13: "BEGIN PUBLIC KEY"); other
 * text around it is skipped. Anything but RSA of 1024 to 16384 bits is refused:
 * shorter ones can be factored, longer ones cost too much to be asked of us.
 * The caller owns a reference. */
struct crypto_key *crypto_key_read(struct str pem, struct error *e);
struct crypto_key *crypto_key_ref(struct crypto_key *k);
void crypto_key_free(struct crypto_key **k);

/* The SHA-256 of the key's DER form: the same for the same key however its PEM
 * was written. As good as the reference. */
const unsigned char *crypto_key_fingerprint(const struct crypto_key *k);

/* Is this the signature of `text`: RSASSA-PSS (RFC 8017, section 8.1.2) with
 * SHA-256, MGF1 with SHA-256, the length of the salt as the signature has it?
 * 1 or 0; -1 if OpenSSL could not find out (no memory). */
int crypto_key_verify(const struct crypto_key *k, struct str text, struct str signature,
    struct error *e);

/* What is wrong with a certificate, while it is verified: `store` is the X509_STORE_CTX
 * that the verification's callback is given. The text is static. */
const char *crypto_certificate_fault(void *store);

#endif
