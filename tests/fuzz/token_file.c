/*
 * Give the reader of token files any bytes at all. Whose token is known must stand in the file, as
 * the watchdog and in the role that stand behind it; and an error must not repeat what does.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which mutates seeds of its own:
 *     fuzz-token_file [RUNS [SEED]]
 */
#include <ctype.h>

#include "auth_tokens.h"
#include "textfile.h"

static unsigned long accepted;

static bool
read_hash(struct str digits, unsigned char hash[CRYPTO_SHA256_SIZE])
{
	if (digits.len != 2 * CRYPTO_SHA256_SIZE)
		return false;
	for (size_t i = 0; i < CRYPTO_SHA256_SIZE; i++) {
		char byte[3] = { digits.data[2 * i], digits.data[2 * i + 1] };

		if (!isxdigit((unsigned char)byte[0]) || !isxdigit((unsigned char)byte[1]))
			return false;
		hash[i] = (unsigned char)strtoul(byte, NULL, 16);
	}
	return true;
}

/* What a line says, read in the plainest way. */
static void
try_line(const struct auth_tokens *t, struct str line)
{
	struct str digits = str_take_word(&line), code = str_take_word(&line), word = str_take_word(&line);
	unsigned char hash[CRYPTO_SHA256_SIZE];
	char watchdog[AUTH_CODE_MAX + 1];
	enum auth_role role;

	if (digits.len == 0 || digits.data[0] == '#')
		return;
	require(read_hash(digits, hash) && str_take_word(&line).len == 0, "a line that is wrong");
	require(auth_tokens_find(t, hash, &role, watchdog), "a token is not known");
	require(str_equal(code, str_of(watchdog)) && str_equal(word, str_of(auth_role_name(role))),
	    "it is somebody else's");
	hash[0] ^= 0x55;
	require(!auth_tokens_find(t, hash, &role, watchdog) || str_count_lines(input) > 0,
	    "another token is known");
}

/* Its message has no line's beginning that stands nowhere else (as a watchdog's code it might). */
static void
proper_error(const struct error *e)
{
	struct str rest = input, line, hash;

	require(e->kind == ERROR_INVALID && e->text[0] != '\0', "no proper error");
	while (str_take_line(&rest, &line)) {
		hash = str_take_word(&line);
		if (hash.len >= 2 * CRYPTO_SHA256_SIZE &&
		    memmem(input.data, (size_t)(hash.data - input.data), hash.data, hash.len) == NULL &&
		    memmem(line.data, line.len + rest.len, hash.data, hash.len) == NULL)
			require(memmem(e->text, strlen(e->text), hash.data, hash.len) == NULL,
			    "a hash in a message");
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = { .kind = ERROR_NONE };
	struct auth_tokens *t;
	struct str rest, line;

	rest = input = (struct str){ (const char *)data, size };
	if ((t = auth_tokens_read(textfile(input), &e)) != NULL) {
		accepted++;
		while (str_take_line(&rest, &line))
			try_line(t, line);
	} else {
		proper_error(&e);
	}
	auth_tokens_free(&t);
	return 0;
}

#ifdef FUZZ_STANDALONE

#include "mutate.h"

#define A "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define B "60303AE22B998861BCE3B28F33EEC1BE758A213C86C93C076DBE9F558C11C752"

static const char *const seeds[] = {
	"# tokens\n\n" A " w1 watchdog\n" B " home-2 user\n",
	"\t" B "  w2\tuser\r\n#" A " w1 watchdog",
	A " 0000000000000004 watchdog",
};

static const char *const pieces[] = {
	"\n", "\r\n", " ", "\t", "#", "\n#", A, B, "\n" A " w1 user", " user", " watchdog", "w1", "-", "_", "0", "f", "g",
	"0000000000000004", "\xff", "users",
};

int
main(int argc, char **argv)
{
	struct mutate m = { seeds, COUNT(seeds), pieces, COUNT(pieces), 0 };
	unsigned long runs = mutate_main(&m, argc, argv, 60000, mutate_seed);

	require(runs < 1000 || accepted > runs / 20, "hardly any file was taken");
	printf(", %lu files taken\n", accepted);
	return 0;
}

#endif
