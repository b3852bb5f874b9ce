/* match.h: literals, patterns, and what stands in front of the expressions,
 * which must never change an answer. */
#include "match.h"

#include <locale.h>
#include <pthread.h>
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define P MATCH_PATTERN
#define I MATCH_IGNORE_CASE

static struct match *
must(struct str text, unsigned flags)
{
	struct error e;
	struct match *m = match_new(text, flags, &e);

	if (m == NULL)
		tap_ok(false, "match_new: %s", e.text);
	return m;
}

/* start -1: no match. */
static void
cases(void)
{
	static const struct { const char *what; unsigned flags; const char *text; int start, end; } t[] = {
		{ "", 0, "", 0, 0 }, { "", 0, "abc", 0, 0 }, { "", P, "abc", 0, 0 },
		{ "abc", 0, "abc", 0, 3 }, { "abc", 0, "ab", -1, 0 }, { "abc", 0, "", -1, 0 },
		{ "abc", 0, "xxABCabc", 5, 8 }, { "abc", I, "xxABCabc", 2, 5 }, { "aBc", I, "xxAbC", 2, 5 },
		{ "a.c", 0, "abc a.c", 4, 7 }, { "a.c", P, "abc a.c", 0, 3 },
		{ "@[`{", I, "`{@[ @[`{", 5, 9 }, { "@", I, "`", -1, 0 }, { "1", I, "\x11", -1, 0 },
		{ "needle", 0, "0123456789abcdef0123456789abcdefneedle", 32, 38 },
		{ "needle", I, "0123456789abcdef0123456789NEEDLEabcdef", 26, 32 },
		{ "aab", 0, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 33, 36 },
		{ "größe", 0, "die größe", 4, 11 }, { "größe", I, "die GRöße", 4, 11 },
		{ "größe", I, "die GRÖßE", -1, 0 }, { "größe", P | I, "die GRÖßE", 4, 11 },
		{ "straße|weg", P | I, "STRAßE", 0, 7 }, { "é", P, "É", -1, 0 }, { "é", P | I, "É", 0, 2 },
		{ "a|b", P, "xb", 1, 2 }, { "foo|foobar", P, "a foobar", 2, 8 },
		{ "bar|foo", P, "foo bar", 0, 3 }, { "error|fail", P | I, "it FAILED", 3, 7 },
		{ "a|", P, "xyz", 0, 0 }, { "|a", P, "xyz", 0, 0 }, { "a||b", P, "xyz", 0, 0 },
		{ "(foo|bar)baz", P, "foobaz", 0, 6 }, { "(foo|bar)baz", P, "foo baz", -1, 0 },
		{ "ab*c", P, "ac", 0, 2 }, { "ab?c", P, "ac", 0, 2 }, { "ab+c", P, "abbc", 0, 4 },
		{ "ab{0,2}c", P, "ac", 0, 2 }, { "ab{2}c", P, "abbc", 0, 4 }, { "a(bc)*d", P, "ad", 0, 2 },
		{ "ab+?c", P, "ac", 0, 2 }, { "é*x", P, "x", 0, 1 }, { "aé*x", P, "ax", 0, 2 },
		{ "^abc$", P, "abc", 0, 3 }, { "^abc$", P, "xabc", -1, 0 }, { "^abc$", P, "abc ", -1, 0 },
		{ "a\\.c", P, "abc a.c", 4, 7 }, { "a\\|c", P, "a|c", 0, 3 }, { "\\(x\\)", P, "(x)", 0, 3 },
		{ "[[:digit:]]+ms", P, "took 12ms", 5, 9 }, { "[]x]y", P, "]y", 0, 2 },
		{ "[^]]y", P, "]yzy", 2, 4 }, { "[a|b]c", P, "|c", 0, 2 }, { "[(]c|d", P, "(c", 0, 2 },
		{ "a.b", P, "aéb", 0, 4 }, { "a.b", P | I, "AéB", 0, 4 }, { "a..b", P, "aéb", -1, 0 },
		{ "a[^x]b", P, "aéb", 0, 4 }, { "^.$", P, "é", 0, 2 }, { "a.*b", P | I, "Xa é B", 1, 7 },
		{ "a[^,]*b", P | I, "A é,A éB", 5, 10 }, { "\\bfoo\\b", P, "xfoo foo", 5, 8 },
		{ "\\<foo", P, "éfoo foo", 6, 9 }, { "x\\w", P, "xé", 0, 3 }, { "(a)\\1", P, "aba aa", 4, 6 },
		{ "time(d )?out", P, "connection timed out", 11, 20 }, { "x{2,}y|z", P, "z", 0, 1 },
		{ "a)", P, "a)", 0, 2 }, { "\\^a", P, "^a", 0, 2 }, { "a\\'", P, "ba", 1, 2 },
	};
	size_t start, end;

	for (size_t i = 0; i < COUNT(t); i++) {
		struct match *m = must(str_of(t[i].what), t[i].flags);
		bool want = t[i].start >= 0, found;

		start = end = SIZE_MAX;
		found = match_find(m, str_of(t[i].text), 0, &start, &end);
		if (!tap_ok(match_test(m, str_of(t[i].text)) == want && found == want &&
		    (!want || ((int)start == t[i].start && (int)end == t[i].end)),
		    "%s '%s'%s in '%s': %s", t[i].flags & P ? "pattern" : "literal", t[i].what,
		    t[i].flags & I ? " in any case" : "", t[i].text, want ? "found" : "not found"))
			printf("# got: %d, %d..%d\n", found, (int)start, (int)end);
		match_free(&m);
	}
}

static void
nul(void)
{
	struct str text = { "one\0two\0THREE", 13 }, none = { NULL, 0 };
	struct match *m;
	struct error e;
	size_t start = 0, end = 0;

	m = must((struct str){ "e\0t", 3 }, 0);
	tap_ok(match_find(m, text, 0, &start, &end) && start == 2 && end == 5,
	    "a literal may hold U+0000");
	match_free(&m);
	m = must(str_of("th?r.e$"), P | I);
	tap_ok(match_find(m, text, 0, &start, &end) && start == 8 && end == 13,
	    "an expression sees what is behind U+0000");
	tap_ok(!match_test(m, (struct str){ text.data, 12 }), "... and the end of the text where it is");
	match_free(&m);
	m = must(str_of("^o.*E"), P);
	tap_ok(match_find(m, text, 0, &start, &end) && start == 0 && end == 13,
	    "U+0000 is any character");
	tap_ok(!match_test(m, none), "an empty text without an address");
	match_free(&m);
	tap_ok(m == NULL, "match_free() forgets the pointer");
	match_free(&m);
	tap_ok(match_new((struct str){ "a\0b", 3 }, P, &e) == NULL && e.kind == ERROR_INVALID,
	    "a pattern may not");
	m = must(none, 0);
	tap_ok(match_test(m, none) && match_test(m, text), "an empty literal is everywhere");
	match_free(&m);
}

/* One after the other, as for highlighting. */
static void
again(void)
{
	static const struct { const char *what; unsigned flags; const char *text, *places; } t[] = {
		{ "ab", 0, "abxabab", "0-2 3-5 5-7 " }, { "AB", I, "abxABab", "0-2 3-5 5-7 " },
		{ "^a", P, "aaa", "0-1 " }, { "\\bx", P, "xx x", "0-1 3-4 " }, { "a|aa", P, "aaa", "0-2 2-3 " },
		{ "a.", P, "aéa", "0-3 " }, { "b", P, "", "" },
	};
	char places[128];
	size_t start, end, len;

	for (size_t i = 0; i < COUNT(t); i++) {
		struct match *m = must(str_of(t[i].what), t[i].flags);

		places[0] = '\0';
		for (len = end = 0; match_find(m, str_of(t[i].text), end, &start, &end); )
			len += (size_t)snprintf(places + len, sizeof(places) - len, "%zu-%zu ", start, end);
		tap_is(places, t[i].places, "every place is found, in its context");
		match_free(&m);
	}
}

static void
refused(void)
{
	static const char *const bad[] = { "(", "[", "a{2,1}", "*a", "a|*", "[z-a]", "\\", "a{1" };
	struct error e;

	for (size_t i = 0; i < COUNT(bad); i++) {
		e.text[0] = '\0';
		tap_ok(match_new(str_of(bad[i]), P, &e) == NULL && e.kind == ERROR_INVALID &&
		    strstr(e.text, bad[i]) != NULL, "pattern '%s' is refused: %s", bad[i], e.text);
	}
}

/* A small generator, so that every run tests the same. */
static uint32_t seed = 1;

static unsigned
pick(unsigned n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 16) % n;
}

static void
compose(char *out, size_t size, const char *const *parts, unsigned count, unsigned most)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned n = pick(most) + 1; n > 0; n--) {
		const char *part = parts[pick(count)];

		if (len + strlen(part) + 1 > size)
			break;
		strcpy(out + len, part);
		len += strlen(part);
	}
}

/* Whatever is found in a pattern beforehand, the answers are those of the
 * plain expression. */
static void
agreement(unsigned flags)
{
	static const char *const patterns[] = { "a", "b", "ab", "B", "é", "ß", "c", "(a|b)", "(ab)",
		"(", ")", "|", "*", "+", "?", "{2}", "{0,1}", "[ab]", "[^a]", "[]a]", "[[:alpha:]]", ".",
		".*", "^", "$", "\\.", "\\|", "\\b", "\\w", "\\<", "\\1", "{", "}", "\\", "[^b]*", "É" };
	static const char *const texts[] = { "a", "b", "A", "B", "é", "É", "ß", "ab", "c", ".", "|", " ",
		"aa", "abab", "}", "{", "a long stretch of other text" };
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = uselocale(utf8);
	unsigned compiled = 0, tests = 0, hits = 0, wrong = 0;
	char pattern[64], text[256];
	size_t start, end;

	for (unsigned i = 0; i < 30000; i++) {
		regex_t plain;
		regmatch_t at;
		struct match *m;
		struct error e;

		compose(pattern, sizeof(pattern), patterns, COUNT(patterns), 6);
		m = match_new(str_of(pattern), flags | P, &e);
		if (regcomp(&plain, pattern, REG_EXTENDED | (flags & I ? REG_ICASE : 0)) != 0) {
			wrong += m != NULL;
			match_free(&m);
			continue;
		}
		compiled++;
		for (unsigned j = 0; m != NULL && j < 20; j++) {
			compose(text, sizeof(text), texts, COUNT(texts), 8);
			bool want = regexec(&plain, text, 1, &at, 0) == 0;
			bool found = match_find(m, str_of(text), 0, &start, &end);

			tests++;
			hits += want;
			if (found != want || match_test(m, str_of(text)) != want ||
			    (want && ((regoff_t)start != at.rm_so || (regoff_t)end != at.rm_eo))) {
				wrong++;
				printf("# '%s' in '%s': expected %d, got %d\n", pattern, text, want, found);
			}
		}
		wrong += m == NULL;
		regfree(&plain);
		match_free(&m);
	}
	uselocale(before);
	freelocale(utf8);
	tap_ok(wrong == 0 && compiled > 1000 && hits > 1000 && tests - hits > 1000,
	    "%u random patterns%s over %u texts answer as regexec does (%u hits, %u wrong)", compiled,
	    flags & I ? " in any case" : "", tests, hits, wrong);
}

/* Every length of text and needle around the width of the fast search. */
static void
edges(void)
{
	char text[80], needle[40];
	unsigned wrong = 0, tests = 0;
	size_t start, end;

	for (size_t len = 1; len < 36; len++)
		for (size_t size = len; size < 70; size++)
			for (size_t at = 0; at + len <= size; at++, tests++) {
				char *exact = malloc(size); /* so that a sanitizer sees a byte too far */
				struct match *m;

				if (exact == NULL)
					abort();
				memset(text, 'x', sizeof(text));
				memset(needle, 'n', len);
				needle[len - 1] = 'Q';
				memcpy(text + at, needle, len);
				memcpy(exact, text, size);
				m = must((struct str){ needle, len }, tests % 2 ? I : 0);
				wrong += !match_find(m, (struct str){ exact, size }, 0, &start, &end) ||
				    start != at || end != at + len;
				wrong += match_test(m, (struct str){ exact, at + len - 1 });
				match_free(&m);
				free(exact);
			}
	tap_ok(wrong == 0 && tests > 10000, "%u needles at every place (%u wrong)", tests, wrong);
}

struct shared {
	const struct match *m;
	unsigned wrong;
};

static void *
use(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < 20000; i++) {
		s->wrong += !match_test(s->m, str_of("a connection TIMED out"));
		s->wrong += match_test(s->m, str_of("a connection out of time"));
	}
	return NULL;
}

static void
threads(void)
{
	struct match *m = must(str_of("time[d]+ o.t"), P | I);
	struct shared shared[4];
	pthread_t t[4];

	for (size_t i = 0; i < COUNT(t); i++) {
		shared[i] = (struct shared){ m, 0 };
		if (pthread_create(&t[i], NULL, use, &shared[i]) != 0)
			abort();
	}
	for (size_t i = 0; i < COUNT(t); i++) {
		pthread_join(t[i], NULL);
		tap_ok(shared[i].wrong == 0, "thread %zu shares one match with others", i);
	}
	match_free(&m);
}

int
main(void)
{
	cases();
	nul();
	again();
	refused();
	edges();
	agreement(0);
	agreement(I);
	threads();
	return tap_done();
}
