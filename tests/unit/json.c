/* json.h: one value taken apart. */
#include "json.h"

#include <stdlib.h>

#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Open a text that is right. */
static struct str
opened(struct json *j, const char *text)
{
	struct str value = { NULL, 0 };
	struct error e;

	if (json_open(j, str_of(text), &value, &e) == -1)
		printf("Bail out! %s: %s\n", text, e.text), exit(1);
	return value;
}

static bool
is(struct str s, const char *want)
{
	return want == NULL ? s.data == NULL : s.data != NULL && str_equal(s, str_of(want));
}

/* The parts of an array, or the names and values of an object, each in <>. */
static void
walks(const char *text, const char *want)
{
	struct json j = { 0 };
	struct str rest = opened(&j, text), name, part;
	char got[256] = "";
	size_t n = 0;

	if (json_is_array(rest)) {
		while (json_next(&j, &rest, &part))
			n += (size_t)snprintf(got + n, sizeof(got) - n, "<%.*s>", STR_ARGS(part));
	} else {
		while (json_next_member(&j, &rest, &name, &part))
			n += (size_t)snprintf(got + n, sizeof(got) - n, "<%.*s:%.*s>",
			    STR_ARGS(name), STR_ARGS(part));
	}
	tap_is(got, want, text);
	json_free(&j);
}

static void
walking(void)
{
	walks("[]", "");
	walks(" [ ] ", "");
	walks("[1]", "<1>");
	walks("[ 1 , \"a,]\" ,{\"b\":[]}, null ]", "<1><\"a,]\"><{\"b\":[]}><null>");
	walks("[[1],[[2],3],[]]", "<[1]><[[2],3]><[]>");
	walks("{}", "");
	walks("{ \"a\" : 1 }", "<a:1>");
	walks("{\"a\":{\"b\":2},\"\":[1,2],\"\\u0061\":\"}\"}", "<a:{\"b\":2}><:[1,2]><a:\"}\">");
}

static void
members(void)
{
	static const char *const names[] = { "a", "b", "c" };
	struct json j = { 0 };
	struct str object = opened(&j, "{\"a\":1,\"\\u0061\":[2],\"x\":{\"b\":3},\"c\":null}");
	struct str values[3];

	for (int i = 0; i < 2; i++) {
		tap_ok(json_members(&j, object, names, values, 3), "members are found, time %d", i);
		tap_ok(str_equal(values[0], str_of("[2]")), "of two of a name the last");
		tap_ok(values[1].data == NULL, "not what lies deeper");
		tap_ok(json_null(values[2]), "null is there");
	}
	tap_ok(!json_members(&j, values[0], names, values, 3), "an array has none");
	json_free(&j);
}

/* Opened and its members found at once, or not. */
static void
opening(void)
{
	static const struct str names[] = { { "a", 1 }, { "b", 1 } };
	static const struct { const char *text, *why, *a, *b; } cases[] = {
		{ "{}", "", NULL, NULL },
		{ " { \"a\" : [1, 2] , \"x\":{\"b\":3}, \"b\":\"}\" } ", "", "[1, 2]", "\"}\"" },
		{ "{\"b\":1,\"\\u0062\":2}", "", NULL, "2" },
		{ "[1]", "not an object", NULL, NULL },
		{ "\"a\"", "not an object", NULL, NULL },
		{ "{\"a\":1}}", "not one JSON value", "1", NULL },
		{ "{\"a\":1,}", "not valid JSON", "1", NULL },
		{ "{\"a\":1,\"b\":[1,]}", "not valid JSON", "1", NULL },
		{ "{\"x\":tru}", "not valid JSON", NULL, NULL },
		{ "{\"a\"}", "not valid JSON", NULL, NULL },
		{ "{\"\\u0000\":1}", "not valid JSON", NULL, NULL },
		{ "{\"a\":1", "not valid JSON", "1", NULL },
		{ "", "not valid JSON", NULL, NULL },
		{ "[1", "not valid JSON", NULL, NULL },
	};
	struct json j = { 0 };
	struct str object, values[2];

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct error e = { .text = "" };
		int rc = json_open_object(&j, str_of(cases[i].text), names, values, 2, &object, &e);
		tap_is(e.text, cases[i].why, cases[i].text);
		tap_ok(rc == (cases[i].why[0] == '\0' ? 0 : -1) &&
		    is(values[0], cases[i].a) && is(values[1], cases[i].b), "its members");
	}
	json_free(&j);
}

/* Elements that somebody else takes. */
static void
stepping(void)
{
	struct json j = { 0 };
	struct str rest = opened(&j, "[ 1, [2],3 ]");
	int n;

	for (n = 0; json_step(&j, &rest); n++) {
		static const char *const at[] = { "1, [2],3 ]", "[2],3 ]", "3 ]" };
		static const size_t steps[] = { 1, 3, 2 };
		tap_ok(is(rest, at[n]), "the walk stands at element %d", n);
		rest.data += steps[n];
		rest.len -= steps[n];
	}
	tap_ok(n == 3, "and ends");
	rest = opened(&j, "[ ]");
	tap_ok(!json_step(&j, &rest), "at once where there is nothing");
	json_free(&j);
}

static void
values(void)
{
	struct json j = { 0 };
	struct decimal d;
	struct str s;
	bool b = false;

	tap_ok(json_string(&j, opened(&j, "\"a\\n\\ud83d\\ude00\""), &s) &&
	    str_equal(s, str_of("a\n\xf0\x9f\x98\x80")), "a string has its escapes undone");
	json_wipe(&j);
	tap_ok(s.data[0] == '\0' && s.data[s.len - 1] == '\0', "and can be wiped");
	tap_ok(!json_string(&j, opened(&j, "\"\\ud83d\""), &s), "a lone surrogate makes it none");
	tap_ok(!json_string(&j, opened(&j, "[\"a\"]"), &s), "a list is none");
	tap_ok(json_number(opened(&j, "-1.5e3"), &d) && str_equal(d.text, str_of("-1.5e3")),
	    "a number is a number");
	tap_ok(!json_number(opened(&j, "\"1\""), &d), "in quotes it is none");
	tap_ok(json_bool(opened(&j, " true"), &b) && b, "true is true");
	tap_ok(json_bool(opened(&j, "false"), &b) && !b, "false is false");
	tap_ok(!json_bool(opened(&j, "1"), &b) && !json_bool(opened(&j, "null"), &b),
	    "1 is neither, nor is null");
	json_free(&j);
}

static void
broken(void)
{
	static const struct { const char *text, *why; } cases[] = {
		{ "", "not valid JSON" }, { "[1,]", "not valid JSON" }, { "{\"a\"}", "not valid JSON" },
		{ "\"\xff\"", "not valid JSON" }, { "{\"\\u0000\":1}", "not valid JSON" },
		{ "1 2", "not one JSON value" }, { "{}}", "not one JSON value" },
	};
	struct json j = { 0 };
	struct str value;
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		e = (struct error){ .text = "" };
		tap_ok(json_open(&j, str_of(cases[i].text), &value, &e) == -1 &&
		    e.kind == ERROR_INVALID, "%zu is not taken", i);
		tap_is(e.text, cases[i].why, cases[i].why);
	}
	json_free(&j);
}

int
main(void)
{
	walking();
	members();
	opening();
	stepping();
	values();
	broken();
	return tap_done();
}
