#include "ndjson.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "scan.h"
#include "source.h"

static const char source[] = "{\"source\":\"", seq[] = "\",\"seq\":";

/* A name that needs no escapes, and that anybody may be shown. */
static bool
take_name(const char **p, const char *end, struct str *name)
{
	const char *start = *p;

	while (*p < end && **p >= ' ' && **p <= '~' && **p != '"' && **p != '\\')
		++*p;
	*name = (struct str){ start, (size_t)(*p - start) };
	return name->len >= 1 && name->len <= SOURCE_MAX;
}

/* Does a name that may be one of the number's, or may turn out to be once its escapes are undone,
 * begin here? */
static bool
is_suspect(const char *p, const char *end)
{
	size_t left = (size_t)(end - p);

	if (*p == '\\')
		return left < 2 || p[1] == 'u';
	return *p == '"' && ((left >= 5 && memcmp(p, "\"seq\"", 5) == 0) ||
	    (left >= 8 && memcmp(p, "\"source\"", 8) == 0));
}

/* Is there one in this text? */
static bool
has_suspects(const char *p, const char *end)
{
#ifdef __SSE2__
	/* Backslashes, and quotes before an s; the last vector ends before the last byte. */
	for (; end - p > 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i next = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
		__m128i quote = _mm_and_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
		    _mm_cmpeq_epi8(next, _mm_set1_epi8('s')));
		__m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
		unsigned bits = (unsigned)_mm_movemask_epi8(_mm_or_si128(quote, slash));

		for (; bits != 0; bits &= bits - 1)
			if (is_suspect(p + __builtin_ctz(bits), end))
				return true;
	}
#endif
	for (; p < end; p++)
		if (is_suspect(p, end))
			return true;
	return false;
}

bool
ndjson_glance(struct str line, struct ndjson_line *out)
{
	static const char kind[] = "\"kind\":\"", log[] = "log", notification[] = "notification",
	    watchdog[] = "\",\"watchdog\":\"";
	const char *p = line.data, *end = p + line.len, *rest;

	if (!scan_text(&p, end, source, sizeof(source) - 1) || !take_name(&p, end, &out->source) ||
	    !scan_text(&p, end, seq, sizeof(seq) - 1) || !scan_digits(&p, end, &out->seq) ||
	    !scan_text(&p, end, ",", 1))
		return false;
	rest = p;
	if (!scan_text(&p, end, kind, sizeof(kind) - 1) ||
	    (!scan_text(&p, end, log, sizeof(log) - 1) &&
	    !scan_text(&p, end, notification, sizeof(notification) - 1)) ||
	    !scan_text(&p, end, watchdog, sizeof(watchdog) - 1) || has_suspects(p, end))
		return false;
	out->rest = (struct str){ rest, (size_t)(end - rest) };
	return true;
}
