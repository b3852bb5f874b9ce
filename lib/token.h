/*
 * token.h - signed tokens: read, and hold against their signature.
 *
 * A token is a JSON object {"code","id","time","belongs","perm","signature"}. The
 * signature covers the first five in the form that Python's str() gives them, one
 * after the other and with nothing between:
 *     0000000000000004171732280000None0
 * Nothing says where one part ends, so whoever holds a token may cut its text
 * elsewhere, and the signature still holds. What is read here therefore keeps to
 * rules which leave a text one reading:
 *   - `code` is a watchdog's, exactly 16 ASCII letters and digits; or a person's
 *     e-mail address, which has an '@' inside and does not end in a digit or '-'.
 *     So its end is seen. (No domain of the Internet ends so, even one that is
 *     written in Punycode, RFC 3492, section 3.3; nor does "[192.0.2.1]".) An
 *     address that begins with a watchdog's code is not read as that watchdog, as
 *     there is no place for its '@' in what follows;
 *   - `id` and `perm` are integers: no fraction, no exponent, no true, no string;
 *   - `time` is a number, at most TOKEN_AHEAD ahead of now and not expired: its
 *     whole part then has as many digits as now has, and what is left is the id's.
 *     (Else a digit of the id would make an old token a new one.) A number with
 *     a fraction or an exponent is a float to Python, and signed as repr(float);
 *   - `belongs` is null, or an array of strings, in Python's quotes; a person's is
 *     an array, not empty, of watchdogs' codes, so that nothing in it can look
 *     like the array's beginning. The end of the text then is clear, too;
 *   - a string has no lone surrogate: Python cannot sign one, and U+FFFD in its
 *     place would be another string; nor has an address spaces or control
 *     characters.
 * What this cannot heal: a service that signs a watchdog's code of another length,
 * or a person's address with a digit at its end. The address is therefore a name to
 * show; what somebody may see follows from `watchdog` alone.
 *
 * Of members given twice the last one counts, as in Python. Members that the
 * signature does not cover are ignored.
 */
#ifndef MONITOR_TOKEN_H
#define MONITOR_TOKEN_H

#include <stdbool.h>

#include "buf.h"
#include "crypto.h"
#include "error.h"
#include "json.h"
#include "str.h"

#define TOKEN_LIFETIME 129600   /* seconds from `time` on: 36 h */
#define TOKEN_AHEAD 300         /* seconds that the signer's clock may be ahead of ours */
#define TOKEN_CODE_LEN 16
#define TOKEN_EMAIL_MAX 254     /* bytes: RFC 5321, section 4.5.3.1.3, less its brackets */

enum token_result {
	TOKEN_OK,
	TOKEN_EXPIRED,
	TOKEN_INVALID,      /* not a token by the rules above */
	TOKEN_UNSIGNED,     /* the signature is not this key's, or none at all */
	TOKEN_FAILED,       /* could not be found out: the error tells why */
};

/* A token taken apart. It owns what it points to and does not need the JSON. */
struct token {
	bool person;                              /* else a watchdog */
	char name[TOKEN_EMAIL_MAX + 1];           /* a person's address, "" for a watchdog */
	char watchdog[TOKEN_CODE_LEN + 1];        /* who it acts for: its own code, or
	                                           * the first that belongs to the person */
	double expires;                           /* Unix seconds */
	struct buf text;                          /* what is signed */
	struct buf signature;                     /* decoded; empty if it is not base64 */
};

/* Read a token, a JSON value, at the time `now` (Unix seconds). Fills `t`, and `e`
 * if it fails: TOKEN_OK (but for the signature), TOKEN_INVALID, TOKEN_EXPIRED or
 * TOKEN_FAILED. To be followed by token_free(), whatever the answer. Takes time
 * and memory in proportion to the text, which the caller bounds. */
enum token_result token_read(struct token *t, struct str json, double now, struct error *e);
void token_free(struct token *t);

/* TOKEN_OK, TOKEN_UNSIGNED or TOKEN_FAILED. */
enum token_result token_verify(const struct token *t, const struct crypto_key *key,
    struct error *e);

/* Is this a person's address, and a watchdog's code, by the rules above? */
bool token_email_valid(struct str s);
bool token_code_valid(struct str s);

#endif
