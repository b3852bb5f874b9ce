#include "match.h"

#include <ctype.h>
#include <limits.h>
#include <locale.h>
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * A literal is looked for by its two rarest bytes, 16 places at a time; case is
 * folded for ASCII letters by setting one bit, which costs nothing.
 *
 * A pattern is cut at its top-level alternation, and from each branch is taken
 * the longest literal that the branch can't match without. The expression runs
 * only over texts that hold one of them, and not at all where the branches are
 * nothing but literals. (So the few characters that a locale folds to an ASCII
 * letter, such as the Kelvin sign to k, are not found by that letter.)
 *
 * Messages are UTF-8 whatever the locale of the process, so expressions are
 * compiled and run in C.UTF-8; but glibc is many times faster where a character
 * is a byte, and a pattern that can't tell the difference is compiled in C.
 */

#define NEEDLES 16  /* more branches than this are left to the expression */
#define LANES 16

typedef unsigned char lanes __attribute__((vector_size(LANES)));

struct needle {
	unsigned char *byte;   /* letters in lower case where case is ignored */
	unsigned char *fold;   /* what to set in a text's byte before comparing */
	size_t len;
	size_t rare[2];        /* places of the two rarest */
};

struct match {
	struct needle needle[NEEDLES];
	size_t needles;        /* 0: no literal is known */
	bool literal;          /* the needles are all there is to it */
	bool ignore_case;
	bool compiled;
	regex_t regex;
	locale_t locale;       /* for regex; 0: that of the process */
};

/* ---- literals ----------------------------------------------------------- */

/* From frequent to rare, in logs; what is not there is rarer still. */
static size_t
rarity(unsigned char c)
{
	static const char frequent[] = " etaoinsr0l1d2cum-.pf3:g/4h5b6v7y8w9k_=,x";
	const char *p = c != '\0' ? strchr(frequent, tolower(c)) : NULL;

	return p != NULL ? (size_t)(p - frequent) : sizeof(frequent);
}

static int
needle_init(struct needle *n, struct str text, bool ignore_case)
{
	size_t place[2] = { 0, text.len - 1 };

	if ((n->byte = malloc(2 * text.len)) == NULL)
		return -1;
	n->fold = n->byte + text.len;
	n->len = text.len;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		n->fold[i] = ignore_case && letter ? 0x20 : 0;
		n->byte[i] = c | n->fold[i];
		if (rarity(c) > rarity((unsigned char)text.data[place[0]])) {
			place[1] = place[0];
			place[0] = i;
		} else if (i != place[0] && rarity(c) > rarity((unsigned char)text.data[place[1]])) {
			place[1] = i;
		}
	}
	memcpy(n->rare, place, sizeof(place));
	return 0;
}

static bool
needle_at(const struct needle *n, const unsigned char *text)
{
	for (size_t i = 0; i < n->len; i++)
		if ((text[i] | n->fold[i]) != n->byte[i])
			return false;
	return true;
}

/* Do the two rare bytes stand right at any of the places from `text` on? */
static bool
lanes_any(const struct needle *n, const unsigned char *text)
{
	size_t a = n->rare[0], b = n->rare[1];
	lanes x, y;
	uint64_t half[2];

	memcpy(&x, text + a, LANES);
	memcpy(&y, text + b, LANES);
	x = (lanes)(((x | n->fold[a]) == n->byte[a]) & ((y | n->fold[b]) == n->byte[b]));
	memcpy(half, &x, sizeof(half));
	return (half[0] | half[1]) != 0;
}

/* The first place of the needle, or SIZE_MAX. */
static size_t
needle_find(const struct needle *n, struct str text)
{
	const unsigned char *t = (const unsigned char *)text.data;
	size_t places, i, block;

	if (text.len < n->len)
		return SIZE_MAX;
	places = text.len - n->len + 1;
	for (i = 0; places - i >= LANES || (i > 0 && i < places); i = block + LANES) {
		/* The last block overlaps the one before it. */
		block = places - i >= LANES ? i : places - LANES;
		if (lanes_any(n, t + block))
			for (i = block; i < block + LANES; i++)
				if (needle_at(n, t + i))
					return i;
	}
	for (; i < places; i++)
		if (needle_at(n, t + i))
			return i;
	return SIZE_MAX;
}

/* ---- what a pattern must contain ---------------------------------------- */

/* A walk over an expression that regcomp has accepted. */
struct walk {
	const char *p, *end;
	bool ignore_case;
	char *run;             /* the literal that is growing */
	size_t run_len;
	char *best;            /* the longest so far */
	size_t best_len;
	bool pure;             /* nothing but literals so far */
};

static bool
ascii(char c)
{
	return (signed char)c >= 0;
}

/* Behind a bracket expression that begins at `p`. */
static const char *
skip_bracket(const char *p, const char *end)
{
	p++;
	if (p < end && *p == '^')
		p++;
	if (p < end && *p == ']')
		p++;
	for (; p < end && *p != ']'; p++)
		if (*p == '[' && p + 1 < end && strchr(":.=", p[1]) != NULL) {
			char kind = p[1];

			for (p += 2; p + 1 < end && !(p[0] == kind && p[1] == ']'); p++)
				;
			p++;
		}
	return p < end ? p + 1 : end;
}

/* Behind a group that begins at `p`. */
static const char *
skip_group(const char *p, const char *end)
{
	size_t depth = 0;

	while (p < end) {
		if (*p == '[') {
			p = skip_bracket(p, end);
			continue;
		}
		if (*p == '\\' && p + 1 < end)
			p++;
		else if (*p == '(')
			depth++;
		else if (*p == ')' && --depth == 0)
			return p + 1;
		p++;
	}
	return end;
}

static void
end_run(struct walk *w)
{
	if (w->run_len > w->best_len) {
		memcpy(w->best, w->run, w->run_len);
		w->best_len = w->run_len;
	}
	w->run_len = 0;
}

/* The next atom: the characters it stands for are given back in `*atom`, or
 * none where it may stand for several. */
static bool
read_atom(struct walk *w, struct str *atom)
{
	const char *from = w->p;

	*atom = (struct str){ NULL, 0 };
	switch (*w->p) {
	case '[':
		w->p = skip_bracket(w->p, w->end);
		return true;
	case '(':
		w->p = skip_group(w->p, w->end);
		return true;
	case '.':
	case '^':
	case '$':
		w->p++;
		return true;
	case '*':
	case '+':
	case '?':
	case '{':
	case ')':
		return false;
	case '\\':
		if (++w->p == w->end)
			return false;
		/* Only what is surely no operator of GNU's. */
		if (ascii(*w->p) && ispunct((unsigned char)*w->p) && strchr("<>'`", *w->p) == NULL)
			*atom = (struct str){ w->p, 1 };
		w->p++;
		return true;
	}
	for (w->p++; !ascii(*from) && w->p < w->end && ((unsigned char)*w->p & 0xc0) == 0x80; w->p++)
		;
	/* The other case of a letter beyond ASCII is other bytes. */
	if (ascii(*from) || !w->ignore_case)
		*atom = (struct str){ from, (size_t)(w->p - from) };
	return true;
}

/* What repeats the atom before, any number of them; is it still certain to be
 * there? False where that can't be read. */
static bool
read_repeats(struct walk *w, bool *certain, bool *repeated)
{
	*certain = true;
	*repeated = false;
	for (; w->p < w->end && strchr("*+?{", *w->p) != NULL; w->p++) {
		*repeated = true;
		if (*w->p != '+')
			*certain = false;
		if (*w->p == '{' && (w->p = memchr(w->p, '}', (size_t)(w->end - w->p))) == NULL)
			return false;
	}
	return true;
}

/* One branch of the top-level alternation; false where it holds anything in
 * doubt. */
static bool
read_branch(struct walk *w)
{
	struct str atom;
	bool certain, repeated;

	w->run_len = w->best_len = 0;
	while (w->p < w->end && *w->p != '|') {
		if (!read_atom(w, &atom) || !read_repeats(w, &certain, &repeated))
			return false;
		if (atom.len > 0 && certain) {
			memcpy(w->run + w->run_len, atom.data, atom.len);
			w->run_len += atom.len;
		}
		if (atom.len == 0 || repeated) {
			w->pure = false;
			end_run(w);
		}
	}
	end_run(w);
	return w->best_len > 0;
}

static void
drop_needles(struct match *m)
{
	for (size_t i = 0; i < m->needles; i++)
		free(m->needle[i].byte);
	m->needles = 0;
}

static int
find_needles(struct match *m, struct str pattern)
{
	struct walk w = { .p = pattern.data, .end = pattern.data + pattern.len,
	    .ignore_case = m->ignore_case, .pure = true };
	bool known = pattern.len > 0;
	int status = 0;

	if ((w.run = malloc(2 * pattern.len + 1)) == NULL)
		return -1;
	w.best = w.run + pattern.len;
	while (known && status == 0) {
		known = m->needles < NEEDLES && read_branch(&w);
		if (known)
			status = needle_init(&m->needle[m->needles],
			    (struct str){ w.best, w.best_len }, m->ignore_case);
		if (known && status == 0)
			m->needles++;
		if (w.p == w.end)
			break;
		/* A "|" with nothing behind it: a branch that matches everything. */
		if (known && ++w.p == w.end)
			known = false;
	}
	if (!known)
		drop_needles(m);
	m->literal = known && w.pure;
	free(w.run);
	return status;
}

/* ---- patterns ----------------------------------------------------------- */

/* Could this match something else if characters were bytes? Not if it is
 * ASCII, without classes, and "." and "[^x]" are followed by "*". */
static bool
needs_characters(struct str pattern)
{
	const char *p = pattern.data, *end = p + pattern.len, *from;
	bool any;

	for (size_t i = 0; i < pattern.len; i++)
		if (!ascii(p[i]))
			return true;
	while (p < end) {
		if (*p == '\\') {
			if (p + 1 < end && (isalnum((unsigned char)p[1]) || strchr("<>", p[1]) != NULL))
				return true;
			p += 2;
			continue;
		}
		from = p;
		any = *p == '.' || (*p == '[' && p + 1 < end && p[1] == '^');
		p = *p == '[' ? skip_bracket(p, end) : p + 1;
		if (*from == '[' && memchr(from + 1, '[', (size_t)(p - from - 1)) != NULL)
			return true;
		if (any && (p >= end || *p != '*'))
			return true;
	}
	return false;
}

static int
compile(struct match *m, struct str pattern, struct error *e)
{
	char *text, why[256];
	locale_t before;
	int status;

	if (memchr(pattern.data, '\0', pattern.len) != NULL)
		return error_set(e, ERROR_INVALID, "a pattern can't hold U+0000");
	if ((text = strndup(pattern.data, pattern.len)) == NULL)
		return error_memory(e);
	/* A system without C.UTF-8 has bytes for characters. */
	if (needs_characters(pattern))
		m->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (m->locale == (locale_t)0)
		m->locale = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
	before = uselocale(m->locale);
	status = regcomp(&m->regex, text, REG_EXTENDED | (m->ignore_case ? REG_ICASE : 0));
	uselocale(before);
	m->compiled = status == 0;
	if (status == REG_ESPACE)
		error_memory(e);
	else if (status != 0) {
		regerror(status, &m->regex, why, sizeof(why));
		error_set(e, ERROR_INVALID, "pattern '%.128s': %s", text, why);
	}
	free(text);
	return status == 0 ? 0 : -1;
}

struct match *
match_new(struct str text, unsigned flags, struct error *e)
{
	struct match *m = calloc(1, sizeof(*m));
	int status = 0;

	if (m == NULL) {
		error_memory(e);
		return NULL;
	}
	if (text.len == 0)
		text.data = "";
	m->ignore_case = (flags & MATCH_IGNORE_CASE) != 0;
	m->literal = (flags & MATCH_PATTERN) == 0;
	if ((flags & MATCH_PATTERN) != 0 && compile(m, text, e) == -1)
		goto fail;
	if ((flags & MATCH_PATTERN) != 0)
		status = find_needles(m, text);
	else if (text.len > 0 && (status = needle_init(&m->needle[0], text, m->ignore_case)) == 0)
		m->needles = 1;
	if (status == -1) {
		error_memory(e);
		goto fail;
	}
	return m;
fail:
	match_free(&m);
	return NULL;
}

void
match_free(struct match **m)
{
	if (*m == NULL)
		return;
	drop_needles(*m);
	if ((*m)->compiled)
		regfree(&(*m)->regex);
	if ((*m)->locale != (locale_t)0)
		freelocale((*m)->locale);
	free(*m);
	*m = NULL;
}

/* ---- matching ----------------------------------------------------------- */

/* POSIX keeps "." from matching U+0000, which is a character like any other
 * here: the expression is shown U+0001 instead, which no pattern tells from it
 * but one that names it. */
static char *
without_nul(struct str text)
{
	char *copy = malloc(text.len), *p;

	if (copy == NULL)
		return NULL;
	memcpy(copy, text.data, text.len);
	for (p = copy; (p = memchr(p, '\0', (size_t)(copy + text.len - p))) != NULL; )
		*p++ = '\1';
	return copy;
}

/* By the GNU calls, which take lengths: a message has no NUL behind it. */
static bool
run_regex(const struct match *m, struct str text, size_t from, size_t *start, size_t *end)
{
	regex_t *regex = (regex_t *)&m->regex; /* they lock it, and change nothing else */
	int len = text.len < INT_MAX ? (int)text.len : INT_MAX, place;
	const char *data = len > 0 ? text.data : "";
	locale_t before;
	char *copy = NULL;

	if (from > (size_t)len)
		return false;
	before = uselocale(m->locale);

	if (memchr(data, '\0', (size_t)len) != NULL && (copy = without_nul(text)) != NULL)
		data = copy;
	place = re_search(regex, data, len, (int)from, len - (int)from, NULL);
	if (place >= 0 && start != NULL) {
		*start = (size_t)place;
		*end = *start + (size_t)re_match(regex, data, len, place, NULL);
	}
	uselocale(before);
	free(copy);
	return place >= 0;
}

bool
match_test(const struct match *m, struct str text)
{
	bool found = m->needles == 0;

	for (size_t i = 0; i < m->needles && !found; i++)
		found = needle_find(&m->needle[i], text) != SIZE_MAX;
	return found && (m->literal || run_regex(m, text, 0, NULL, NULL));
}

bool
match_find(const struct match *m, struct str text, size_t from, size_t *start, size_t *end)
{
	struct str rest = { from > 0 ? text.data + from : text.data, text.len - from };
	size_t place, len = 0, first = SIZE_MAX;

	if (!m->literal)
		return run_regex(m, text, from, start, end);
	if (m->needles == 0)
		first = 0;
	/* The leftmost, and of those the longest. */
	for (size_t i = 0; i < m->needles; i++) {
		place = needle_find(&m->needle[i], rest);
		if (place < first || (place == first && place != SIZE_MAX && m->needle[i].len > len)) {
			first = place;
			len = m->needle[i].len;
		}
	}
	if (first == SIZE_MAX)
		return false;
	*start = from + first;
	*end = *start + len;
	return true;
}
