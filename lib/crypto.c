#include "crypto.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#define KEY_BITS_MIN 1024
#define KEY_BITS_MAX 16384

struct crypto_key {
	EVP_PKEY *pkey;
	unsigned char fingerprint[CRYPTO_SHA256_SIZE];
	atomic_uint references;
};

/* Empty OpenSSL's queue of errors. What stood in it? */
struct queued {
	bool memory;   /* memory was lacking */
	bool rsa;      /* RSA's arithmetic has looked at a signature, and refused it */
};

static struct queued
empty_queue(void)
{
	struct queued q = { .memory = false };
	unsigned long code;

	while ((code = ERR_get_error()) != 0) {
		q.memory |= ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
		q.rsa |= ERR_GET_LIB(code) == ERR_LIB_RSA;
	}
	return q;
}

int
crypto_sha256(struct str data, unsigned char hash[CRYPTO_SHA256_SIZE], struct error *e)
{
	if (EVP_Digest(data.data, data.len, hash, NULL, EVP_sha256(), NULL) == 1)
		return 0;
	return empty_queue().memory ? error_memory(e) :
	    error_set(e, ERROR_SYSTEM, "OpenSSL has no SHA-256");
}

int
crypto_random(void *out, size_t n, struct error *e)
{
	char *p = out;
	ssize_t got;

	while (n > 0) {
		if ((got = getrandom(p, n, 0)) == -1) {
			if (errno == EINTR)
				continue;
			return error_errno(e, errno, "getrandom");
		}
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int
crypto_random_name(char *text, size_t size, struct error *e)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

	if (crypto_random(text, size - 1, e) == -1)
		return -1;
	for (size_t i = 0; i < size - 1; i++)
		text[i] = alphabet[(unsigned char)text[i] % 32];
	text[size - 1] = '\0';
	return 0;
}

void
crypto_hex(const void *bytes, size_t n, char *text)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++) {
		*text++ = digits[p[i] >> 4];
		*text++ = digits[p[i] & 15];
	}
	*text = '\0';
}

bool
crypto_same(const unsigned char a[CRYPTO_SHA256_SIZE], const unsigned char b[CRYPTO_SHA256_SIZE])
{
	return CRYPTO_memcmp(a, b, CRYPTO_SHA256_SIZE) == 0;
}

/* ---- keys --------------------------------------------------------------- */

/* An encrypted PEM: without this OpenSSL asks for the password on the terminal. */
static int
no_password(char *out, int size, int writing, void *arg)
{
	(void)out, (void)size, (void)writing, (void)arg;
	return -1;
}

static int
check_kind(const EVP_PKEY *pkey, struct error *e)
{
	int bits = EVP_PKEY_get_bits(pkey);

	if (!EVP_PKEY_is_a(pkey, "RSA"))
		return error_set(e, ERROR_INVALID, "the public key is not RSA");
	if (bits < KEY_BITS_MIN || bits > KEY_BITS_MAX)
		return error_set(e, ERROR_INVALID, "an RSA key of %d bits: must be %d to %d", bits,
		    KEY_BITS_MIN, KEY_BITS_MAX);
	return 0;
}

static int
take_fingerprint(struct crypto_key *k, struct error *e)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(k->pkey, &der), r;

	if (len <= 0)
		return error_memory(e);
	r = crypto_sha256((struct str){ (const char *)der, (size_t)len }, k->fingerprint, e);
	OPENSSL_free(der);
	return r;
}

static EVP_PKEY *
read_pem(struct str pem, struct error *e)
{
	EVP_PKEY *pkey;
	BIO *in;

	if (pem.len == 0 || pem.len > INT_MAX) {
		error_set(e, ERROR_INVALID, "no public key in PEM form");
		return NULL;
	}
	if ((in = BIO_new_mem_buf(pem.data, (int)pem.len)) == NULL) {
		error_memory(e);
		return NULL;
	}
	pkey = PEM_read_bio_PUBKEY(in, NULL, no_password, NULL);
	BIO_free(in);
	if (pkey == NULL && empty_queue().memory)
		error_memory(e);
	else if (pkey == NULL)
		error_set(e, ERROR_INVALID, "no public key in PEM form");
	return pkey;
}

struct crypto_key *
crypto_key_read(struct str pem, struct error *e)
{
	struct crypto_key *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		error_memory(e);
		return NULL;
	}
	k->references = 1;
	if ((k->pkey = read_pem(pem, e)) == NULL || check_kind(k->pkey, e) == -1 ||
	    take_fingerprint(k, e) == -1)
		crypto_key_free(&k);
	ERR_clear_error();
	return k;
}

struct crypto_key *
crypto_key_ref(struct crypto_key *k)
{
	atomic_fetch_add(&k->references, 1);
	return k;
}

void
crypto_key_free(struct crypto_key **kp)
{
	struct crypto_key *k = *kp;

	*kp = NULL;
	if (k == NULL || atomic_fetch_sub(&k->references, 1) > 1)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

const unsigned char *
crypto_key_fingerprint(const struct crypto_key *k)
{
	return k->fingerprint;
}

int
crypto_key_verify(const struct crypto_key *k, struct str text, struct str signature,
    struct error *e)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pss;
	struct queued q;
	bool verified;

	verified = md != NULL && EVP_DigestVerifyInit(md, &pss, EVP_sha256(), NULL, k->pkey) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(pss, RSA_PKCS1_PSS_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_mgf1_md(pss, EVP_sha256()) == 1 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(pss, RSA_PSS_SALTLEN_AUTO) == 1 &&
	    EVP_DigestVerify(md, (const unsigned char *)signature.data, signature.len,
	    (const unsigned char *)text.data, text.len) == 1;
	EVP_MD_CTX_free(md);
	q = empty_queue();
	if (verified)
		return 1;
	/* Whatever else went wrong says nothing about the signature. */
	if (q.rsa && !q.memory)
		return 0;
	return error_set(e, ERROR_SYSTEM, "OpenSSL cannot verify a signature%s",
	    q.memory ? ": out of memory" : "");
}

const char *
crypto_certificate_fault(void *store)
{
	return X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
}
