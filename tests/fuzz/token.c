/*
 * Give the readers of tokens any bytes at all. What is taken for a token must keep
 * to the rules of lib/token.h, and its signed text must have no second reading: not
 * another watchdog, person or time, however it is cut.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which mutates seeds of its own:
 *     fuzz-token [RUNS [SEED]]
 */
#include "../unit/recut.h"
#include "auth.h"
#include "target.h"
#include "token.h"

#define NOW 1732280000.0
#define RECUT_MAX 160   /* bytes of signed text: the ways to cut it are many */

static struct auth *anybody;
static unsigned long accepted;

static void
proper_error(const struct error *e)
{
	size_t len = strlen(e->text);

	require(e->kind == ERROR_INVALID, "an error of another kind");
	require(len > 0 && len < 100, "an error too long");
	for (size_t i = 0; i < len; i++)
		require(e->text[i] >= ' ' && e->text[i] <= '~', "an error that is not plain ASCII");
}

struct readings {
	const struct token *first;
	unsigned count;
};

static void
same_reading(const struct token *t, void *arg)
{
	struct readings *r = arg;

	r->count++;
	require(t->person == r->first->person && strcmp(t->name, r->first->name) == 0 &&
	    strcmp(t->watchdog, r->first->watchdog) == 0 && t->expires == r->first->expires,
	    "the same text is somebody else's as well");
}

static void
proper_token(const struct token *t)
{
	struct readings r = { .first = t };
	struct str name = str_of(t->name);

	require(token_code_valid(str_of(t->watchdog)), "not a watchdog's code");
	require(t->person ? token_email_valid(name) : name.len == 0, "not a person's address");
	require(t->expires > NOW && t->expires <= NOW + TOKEN_AHEAD + TOKEN_LIFETIME,
	    "not a time of these days");
	require(t->text.len >= 16 + 1 + 10 + 2 + 1, "a text too short");
	if (t->text.len > RECUT_MAX)
		return;
	recut((struct str){ t->text.data, t->text.len }, NOW, same_reading, &r);
	require(r.count > 0, "a text that Python would not write");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct auth_settings none = { .none = true };
	struct error e = { .kind = ERROR_NONE };
	struct identity who;
	struct token t;

	input = (struct str){ (const char *)data, size };
	if (anybody == NULL)
		require((anybody = auth_new(&none, &e)) != NULL, "no memory");
	switch (token_read(&t, input, NOW, &e)) {
	case TOKEN_OK:
		accepted++;
		proper_token(&t);
		break;
	case TOKEN_FAILED:
		require(false, "no memory");
		break;
	default:
		proper_error(&e);
	}
	token_free(&t);
	if (auth_check(anybody, input, NOW, &who, &e) == AUTH_OK)
		require(record_watchdog_valid(str_of(who.watchdog)), "not a code");
	else
		proper_error(&e);
	return 0;
}

#ifdef FUZZ_STANDALONE

#include "mutate.h"

static const char *const seeds[] = {
	"{\"code\":\"0000000000000004\",\"id\":17,\"time\":1732280000,\"belongs\":null,\"perm\":0,"
	"\"signature\":\"QUJDRA==\"}",
	"{\"code\":\"ann@example.com\",\"id\":-5,\"time\":1732279999.123456,\"belongs\":"
	"[\"000000000000000B\", \"000000000000000A\"],\"perm\":12,\"signature\":\"QUI=\"}",
	"{ \"perm\" : 1, \"x\" : [{\"code\":\"\"}], \"time\" : 1.73228e9, \"belongs\" : [ \"it's\", \"\\\"\", "
	"\"\\u00e9\\ud83d\\ude00\\\\\\n\" ], \"id\" : 5, \"signature\" : \"\", \"code\" : \"0000000000000004\" }",
	"{\"code\":\"00000000000000041732280000['x@b.c\",\"id\":1,\"time\":1732280000,\"belongs\":"
	"[\"0000000000000009\"],\"perm\":0,\"signature\":\"AAAA\"}",
	"{\"code\":\"0000000000000004\",\"id\":11732280000,\"time\":1732279999,\"belongs\":[],\"perm\":-1,"
	"\"signature\":\"AAAA\"}",
	"\"0000000000000004\"",
};

static const char *const pieces[] = {
	"\"", "\\", "'", "\\u0027", "\\ud800", "\\u0000", "{", "}", "[", "]", ",", ":", " ", "@", "-", ".",
	"0", "9", "1732280000", "1732280000.5", "11732280000", "732280000", "1e9", "null", "true", "None",
	"[]", "[\"", "\"]", "['", "']", "', '", "\", \"", "0000000000000004", "000000000000000A",
	"\"code\":", "\"id\":", "\"time\":", "\"belongs\":", "\"perm\":", "\"signature\":", "@example.com",
	"\xc3\xa9", "\xc2\x85", "\xe2\x80\x8b", "\xff", "\n", "=", "AAAA",
};

int
main(int argc, char **argv)
{
	struct mutate m = { seeds, COUNT(seeds), pieces, COUNT(pieces), 0 };
	unsigned long runs = mutate_main(&m, argc, argv, 60000, mutate_seed);

	require(runs < 1000 || accepted > runs / 20, "hardly anything was a token");
	printf(", %lu of them tokens\n", accepted);
	auth_free(&anybody);
	return 0;
}

#endif
