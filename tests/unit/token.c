/* token.h: what a token is, what of it is signed, and that nobody can read the
 * same signed bytes in another way. (Signatures by openssl: tests/auth.bats.) */
#include "token.h"

#include <math.h>
#include <stdlib.h>

#include "recut.h"
#include "tap.h"

#define NOW 1732280000.0
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static enum token_result
read_text(struct token *t, const char *json, struct error *e)
{
	return token_read(t, str_of(json), NOW, e);
}

/* ---- what is signed ----------------------------------------------------- */

static void
is_signed_as(const char *json, const char *text)
{
	struct token t;
	struct error e = { .text = "" };
	bool good = read_text(&t, json, &e) == TOKEN_OK &&
	    str_equal((struct str){ t.text.data, t.text.len }, str_of(text));

	if (!tap_ok(good, "signed as Python has it: %s", text))
		printf("# %s\n#      got: %.*s (%s)\n", json, (int)t.text.len,
		    t.text.len > 0 ? t.text.data : "", e.text);
	token_free(&t);
}

#define WATCHDOG_WITH(id, time, belongs, perm) \
	"{\"code\":\"0000000000000004\",\"id\":" id ",\"time\":" time ",\"belongs\":" belongs \
	",\"perm\":" perm ",\"signature\":\"AAAA\"}"

static void
signed_texts(void)
{
	is_signed_as(WATCHDOG_WITH("17", "1732280000", "null", "0"),
	    "0000000000000004171732280000None0");
	is_signed_as(WATCHDOG_WITH("-17", "1732279999", "[]", "-3"),
	    "0000000000000004-171732279999[]-3");
	is_signed_as(WATCHDOG_WITH("0", "1732280000.0", "null", "1"),
	    "000000000000000401732280000.0None1");
	is_signed_as(WATCHDOG_WITH("0", "1732280000.123456", "null", "1"),
	    "000000000000000401732280000.123456None1");
	is_signed_as(WATCHDOG_WITH("0", "1732279999.1234567890123", "null", "1"),
	    "000000000000000401732279999.1234567None1");
	is_signed_as(WATCHDOG_WITH("0", "1.73228e9", "null", "1"),
	    "000000000000000401732280000.0None1");
	is_signed_as(WATCHDOG_WITH("0", "17322800000e-1", "null", "1"),
	    "000000000000000401732280000.0None1");
	is_signed_as(WATCHDOG_WITH("123456789012345678901234567890", "1732280000", "null", "1"),
	    "00000000000000041234567890123456789012345678901732280000None1");
	is_signed_as(WATCHDOG_WITH("1", "1732280000",
	    "[ \"plain\" , \"it's\",\"say \\\"hi\\\"\",\"both ' and \\\"\",\"back\\\\slash\"]", "1"),
	    "000000000000000411732280000['plain', \"it's\", 'say \"hi\"', "
	    "'both \\' and \"', 'back\\\\slash']1");
	is_signed_as(WATCHDOG_WITH("1", "1732280000",
	    "[\"\\t\\n\\r\\u0000\\u001f\\u007f\",\"\\u00e9\\u00a0\\u00ad\\u200b\\u20ac\","
	    "\"\\ud83d\\ude00\\udbff\\udffd\",\"\"]", "1"),
	    "000000000000000411732280000['\\t\\n\\r\\x00\\x1f\\x7f', 'é\\xa0\\xad\\u200b€', "
	    "'😀\\U0010fffd', '']1");
	is_signed_as(" { \"perm\":2,\"x\":{\"code\":[]},\"belongs\":[\"0000000000000009\","
	    "\"000000000000000A\"],\"time\":1732280000,\"signature\":\"AAAA\",\"id\":5,"
	    "\"c\\u006fde\":\"ann@example.com\"} ",
	    "ann@example.com51732280000['0000000000000009', '000000000000000A']2");
	is_signed_as("{\"code\":5,\"id\":\"x\",\"time\":[],\"belongs\":7,\"perm\":1.5,"
	    "\"signature\":null,\"code\":\"0000000000000004\",\"id\":1,\"time\":1732280000,"
	    "\"belongs\":null,\"perm\":0,\"signature\":\"AAAA\"}",
	    "000000000000000411732280000None0");
}

/* ---- what is read ------------------------------------------------------- */

static void
meanings(void)
{
	struct token t;
	struct error e;

	read_text(&t, WATCHDOG_WITH("1", "1732280000.5", "[\"ann@example.com\"]", "1"), &e);
	tap_ok(!t.person && t.name[0] == '\0', "a watchdog is no person");
	tap_is(t.watchdog, "0000000000000004", "it acts for itself, whatever belongs to it");
	tap_ok(t.expires == 1732280000.5 + 129600, "it expires 36 hours later");
	token_free(&t);
	read_text(&t, "{\"code\":\"ann@example.com\",\"id\":1,\"time\":1732280000,\"belongs\":"
	    "[\"000000000000000B\",\"000000000000000A\"],\"perm\":1,\"signature\":\"QUI=\"}", &e);
	tap_ok(t.person, "an address is a person");
	tap_is(t.name, "ann@example.com", "with a name");
	tap_is(t.watchdog, "000000000000000B", "who acts for the first that belongs to it");
	tap_ok(t.signature.len == 2 && memcmp(t.signature.data, "AB", 2) == 0,
	    "the signature is decoded");
	token_free(&t);
}

static void
refused(enum token_result want, const char *json, const char *why)
{
	struct error e = { .text = "" };
	struct token t;
	enum token_result r = read_text(&t, json, &e);

	if (!tap_ok(r == want && e.text[0] != '\0' && strchr(e.text, '4') == NULL,
	    "refused, and nothing quoted: %s", why))
		printf("# result %d, %s\n", (int)r, e.text);
	token_free(&t);
}

#define CODE_IS(code) \
	"{\"code\":" code ",\"id\":1,\"time\":1732280000,\"belongs\":[\"0000000000000009\"]," \
	"\"perm\":1,\"signature\":\"AAAA\"}"
#define BELONGS_IS(belongs) \
	"{\"code\":\"ann@example.com\",\"id\":1,\"time\":1732280000,\"belongs\":" belongs \
	",\"perm\":1,\"signature\":\"AAAA\"}"

static void
refusals(void)
{
	static const struct {
		const char *json, *why;
	} invalid[] = {
		{ "", "nothing" },
		{ "{", "half an object" },
		{ "null", "null" },
		{ "\"0000000000000004\"", "a string" },
		{ "[]", "an array" },
		{ "{}", "an empty object" },
		{ "{} {}", "two objects" },
		{ CODE_IS("\"00000000000004\""), "a code too short" },
		{ CODE_IS("\"00000000000000004\""), "a code too long" },
		{ CODE_IS("\"000000000000000-\""), "a code of other characters" },
		{ CODE_IS("\"00000000000000\\u0664\""), "a code of sixteen bytes with a digit that is not ASCII" },
		{ CODE_IS("\"\""), "an empty code" },
		{ CODE_IS("4"), "a code that is a number" },
		{ CODE_IS("null"), "a code that is null" },
		{ CODE_IS("\"@example.com\""), "an address that begins with its @" },
		{ CODE_IS("\"ann@\""), "an address that ends with its @" },
		{ CODE_IS("\"ann@example.com4\""), "an address that ends in a digit" },
		{ CODE_IS("\"ann@example.com-\""), "an address that ends in a minus" },
		{ CODE_IS("\"ann @example.com\""), "an address with a space" },
		{ CODE_IS("\"ann@example.com\\n\""), "an address with a newline" },
		{ CODE_IS("\"ann\\u0000@example.com\""), "an address with U+0000" },
		{ CODE_IS("\"ann\\u0085@example.com\""), "an address with a C1 control character" },
		{ CODE_IS("\"ann\\ud800@example.com\""), "an address with a lone surrogate" },
		{ CODE_IS("\"ann\xff@example.com\""), "an address that is not UTF-8" },
		{ BELONGS_IS("null"), "a person with belongs null" },
		{ BELONGS_IS("[]"), "a person with nothing" },
		{ BELONGS_IS("\"0000000000000009\""), "a person with a string" },
		{ BELONGS_IS("{\"0\":\"0000000000000009\"}"), "a person with an object" },
		{ BELONGS_IS("[\"9\"]"), "a person with what is no code" },
		{ BELONGS_IS("[\"0000000000000009\",\"9\"]"), "a person with what is no code behind one" },
		{ BELONGS_IS("[9]"), "a person with a number" },
		{ WATCHDOG_WITH("1", "1732280000", "[7]", "1"), "a watchdog with a number" },
		{ WATCHDOG_WITH("1", "1732280000", "{}", "1"), "a watchdog with an object" },
		{ WATCHDOG_WITH("1", "1732280000", "false", "1"), "a watchdog with false" },
		{ WATCHDOG_WITH("1", "1732280000", "[\"\\ud800\"]", "1"), "a lone surrogate in belongs" },
		{ WATCHDOG_WITH("1", "1732280000", "[\"a\",[\"b\"]]", "1"), "a list within belongs" },
		{ WATCHDOG_WITH("1.0", "1732280000", "null", "1"), "an id with a fraction" },
		{ WATCHDOG_WITH("1e3", "1732280000", "null", "1"), "an id with an exponent" },
		{ WATCHDOG_WITH("-0", "1732280000", "null", "1"), "an id of minus nothing" },
		{ WATCHDOG_WITH("01", "1732280000", "null", "1"), "an id with a zero before it" },
		{ WATCHDOG_WITH("true", "1732280000", "null", "1"), "an id that is true" },
		{ WATCHDOG_WITH("\"1\"", "1732280000", "null", "1"), "an id that is a string" },
		{ WATCHDOG_WITH("1", "1732280000", "null", "1.0"), "a perm with a fraction" },
		{ WATCHDOG_WITH("1", "1732280000", "null", "false"), "a perm that is false" },
		{ WATCHDOG_WITH("1", "1732280000", "null", "null"), "a perm that is null" },
		{ WATCHDOG_WITH("1", "\"1732280000\"", "null", "1"), "a time that is a string" },
		{ WATCHDOG_WITH("1", "true", "null", "1"), "a time that is true" },
		{ WATCHDOG_WITH("1", "NaN", "null", "1"), "a time that is NaN" },
		{ WATCHDOG_WITH("1", "Infinity", "null", "1"), "a time that is Infinity" },
		{ WATCHDOG_WITH("1", "1e999", "null", "1"), "a time beyond all doubles" },
		{ WATCHDOG_WITH("1", "1732280301", "null", "1"), "a time more than five minutes ahead" },
		{ WATCHDOG_WITH("1", "11732280000", "null", "1"), "a time with one more digit" },
		{ "{\"code\":\"0000000000000004\",\"id\":1,\"time\":1732280000,\"belongs\":null,"
		    "\"perm\":1}", "no signature" },
		{ "{\"code\":\"0000000000000004\",\"id\":1,\"time\":1732280000,\"belongs\":null,"
		    "\"perm\":1,\"signature\":1}", "a signature that is a number" },
		{ "{\"code\":\"0000000000000004\",\"id\":1,\"time\":1732280000,\"perm\":1,"
		    "\"signature\":\"AAAA\"}", "no belongs" },
	};

	for (size_t i = 0; i < COUNT(invalid); i++)
		refused(TOKEN_INVALID, invalid[i].json, invalid[i].why);
	refused(TOKEN_EXPIRED, WATCHDOG_WITH("1", "1732150400", "null", "1"), "36 hours old");
	refused(TOKEN_EXPIRED, WATCHDOG_WITH("1", "732280000", "null", "1"), "decades old");
	refused(TOKEN_EXPIRED, WATCHDOG_WITH("1", "-1e300", "null", "1"), "before all time");
}

static void
edges(void)
{
	struct token t;
	struct error e;

	tap_ok(read_text(&t, WATCHDOG_WITH("1", "1732150400.01", "null", "1"), &e) == TOKEN_OK,
	    "good until its last moment");
	token_free(&t);
	tap_ok(read_text(&t, WATCHDOG_WITH("1", "1732280300", "null", "1"), &e) == TOKEN_OK,
	    "good with the signer's clock five minutes ahead");
	token_free(&t);
	tap_ok(token_email_valid(str_of("a@b")) && token_email_valid(str_of("it's@[192.0.2.1]")) &&
	    token_email_valid(str_of("\"a@b\"@c.example")) &&
	    token_email_valid(str_of("дядя@пример.рф")), "addresses of many kinds");
}

/* A signature of text that is nearly base64 is empty: no key verifies it. */
static void
base64(void)
{
	static const struct {
		const char *text, *bytes;
	} good[] = {
		{ "", "" }, { "QQ==", "A" }, { "QUI=", "AB" }, { "QUJD", "ABC" },
		{ "QUJDRA==", "ABCD" }, { "QUJD\\nRA==\\n", "ABCD" }, { "\\u0051Q==", "A" },
		{ "Pj4+Pz8/", ">>>???" },
	};
	static const char *const bad[] = {
		"Q", "QQ", "QUI", "QQ=", "QQ===", "QUJD=", "Q=Q=", "=QQ=", "QQ==QQ==", "====", "Pj4-Pz8_",
		"QUJ D", "QUJ\\u0000D", "QUJ\\u00e9",
	};
	char json[256];
	struct token t;
	struct error e;

	for (size_t i = 0; i < COUNT(good) + COUNT(bad); i++) {
		const char *text = i < COUNT(good) ? good[i].text : bad[i - COUNT(good)];
		const char *bytes = i < COUNT(good) ? good[i].bytes : "";
		snprintf(json, sizeof(json), "{\"code\":\"0000000000000004\",\"id\":1,"
		    "\"time\":1732280000,\"belongs\":null,\"perm\":1,\"signature\":\"%s\"}", text);
		bool same = read_text(&t, json, &e) == TOKEN_OK &&
		    str_equal((struct str){ t.signature.data, t.signature.len }, str_of(bytes));
		tap_ok(same, "base64 \"%s\" is %s", text, i < COUNT(good) ? bytes : "none");
		token_free(&t);
	}
}

/* ---- what a stranger tries ---------------------------------------------- */

struct signer {
	const char *code, *id, *time, *belongs, *perm;
	double expires;
	bool strange;        /* an address that ends in digits: only its name is open */
	unsigned readings, wrong;
};

static void
reading(const struct token *t, void *arg)
{
	struct signer *s = arg;
	bool person = strchr(s->code, '@') != NULL;
	const char *watchdog = person ? s->belongs + 2 : s->code;

	s->readings++;
	if (t->person != person || memcmp(t->watchdog, watchdog, 16) != 0 ||
	    t->expires != s->expires ||
	    (person && !s->strange && strcmp(t->name, s->code) != 0))
		s->wrong++;
}

static unsigned signers, readings, wrong;

static void
try_signer(struct signer *s, bool valid)
{
	char text[512];

	snprintf(text, sizeof(text), "%s%s%s%s%s", s->code, s->id, s->time, s->belongs, s->perm);
	s->strange = strpbrk(s->code + strlen(s->code) - 1, "0123456789-") != NULL;
	recut(str_of(text), NOW, reading, s);
	signers++;
	readings += s->readings;
	if (s->wrong > 0 || (valid && s->readings != 1)) {
		wrong++;
		printf("# %u readings, %u wrong: %s\n", s->readings, s->wrong, text);
	}
}

/* Whatever the service signs, and whatever name somebody has given himself there:
 * nobody becomes another, sees another's watchdog, or lives longer. */
static void
one_reading(void)
{
	static const char *const codes[] = {
		"0000000000000004", "AbCdEfGhIjKlMn17", "1732280000173228", "a@b.c",
		"ann@example.com", "ann@example.com5", "ann@host-", "ann@host1732280000",
		"0000000000000004@example.com", "00000000000000041732280000@example.com",
		"00000000000000041732280000None1@b.c", "00000000000000041732280000['x@b.c",
		"000000000000000411732280000['x@b.c", "000000000000000411732280000[\"x@b.c",
		"000000000000000411732280000['x@b.c', '", "000000000000000411732280000['@b.c']5",
		"x@b.c11732280000['0000000000000004']0", "x@b.c11732280000['0000000000000004', '",
		"x@b.c11732280000[\"0000000000000004\", \"", "x@b.c['0000000000000004']",
		"x@b.c11732280000['0000000000000004", "x@b.c11732280000[", "x@b.c-", "\\'\"[]@None",
	};
	static const char *const ids[] = { "1", "12", "0", "-5", "51732280000", "17322800001732280000" };
	static const struct {
		const char *text;
		double expires;
	} times[] = {
		{ "1732280000", NOW + 129600 }, { "1732270000.25", 1732399600.25 },
		{ "1732280000.0", NOW + 129600 }, { "1732280400", 0 }, { "1732000000", 0 },
	};
	static const char *const belongs[] = {
		"None", "[]", "['0000000000000009']", "['AAAAAAAAAAAAAAAA', '0000000000000004']",
		"[\"it's\", '@', \"']\"]", "['x@b.c11732280000[', '0000000000000004', ']5']",
	};
	static const char *const perms[] = { "0", "-1", "1732280000" };

	for (size_t n = 0; n < COUNT(codes) * COUNT(ids) * COUNT(times) * COUNT(belongs) * COUNT(perms);
	    n++) {
		size_t i = n;
		struct signer s = { .code = codes[i % COUNT(codes)] };
		s.id = ids[(i /= COUNT(codes)) % COUNT(ids)];
		s.time = times[(i /= COUNT(ids)) % COUNT(times)].text;
		s.expires = times[i % COUNT(times)].expires;
		s.belongs = belongs[(i /= COUNT(times)) % COUNT(belongs)];
		s.perm = perms[i / COUNT(belongs)];
		bool person = strchr(s.code, '@') != NULL;
		/* The service signs a person's own watchdogs only. */
		bool codes_only = strlen(s.belongs) >= 20 && strchr(s.belongs, '@') == NULL;
		if (person && !codes_only && strlen(s.belongs) > 4)
			continue;
		try_signer(&s, s.expires > 0 && (person ?
		    codes_only && token_email_valid(str_of(s.code)) : true));
	}
	tap_ok(wrong == 0 && signers > 5000, "what the service signs has one reading, the one it "
	    "meant: %u of %u tokens have another", wrong, signers);
	tap_ok(readings > signers / 8, "and there were %u readings", readings);
}

int
main(void)
{
	signed_texts();
	meanings();
	refusals();
	edges();
	base64();
	one_reading();
	return tap_done();
}
