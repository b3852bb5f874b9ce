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

#ifdef __SSE2__
/* Is one of those that begin at the 16 bytes here? There is one more byte behind them. */
static inline bool
is_one_of(const char *p, unsigned which, const char *end)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i next = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
	__m128i quote = _mm_and_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
	    _mm_cmpeq_epi8(next, _mm_set1_epi8('s')));
	__m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
	unsigned bits = (unsigned)_mm_movemask_epi8(_mm_or_si128(quote, slash)) & which;

	for (; bits != 0; bits &= bits - 1)
		if (is_suspect(p + __builtin_ctz(bits), end))
			return true;
	return false;
}
#endif

/* Is there one in this text? At least 16 bytes stand before it. */
static bool
has_suspects(const char *p, const char *end)
{
#ifdef __SSE2__
	for (; end - p > 16; p += 16)
		if (is_one_of(p, ~0u, end))
			return true;
	/* The rest but for its last byte, as the last part of the 16 before that. */
	if (end - p > 1 && is_one_of(end - 17, ~0u << (17 - (end - p)), end))
		return true;
	p = end - (end > p);
#endif
	for (; p < end; p++)
		if (is_suspect(p, end))
			return true;
	return false;
}

bool
ndjson_glance(struct str line, struct ndjson_line *out, struct str *behind)
{
	static const char kind[] = ",\"kind\":\"", log[] = "log", notification[] = "notification",
	    watchdog[] = "\",\"watchdog\":\"";
	const char *p = line.data, *end = p + line.len, *name_end;

	if (!scan_text(&p, end, source, sizeof(source) - 1) || !take_name(&p, end, &out->source))
		return false;
	name_end = p;
	if (!scan_text(&p, end, seq, sizeof(seq) - 1) || !scan_digits(&p, end, &out->seq) ||
	    !scan_text(&p, end, kind, sizeof(kind) - 1) ||
	    (!scan_text(&p, end, log, sizeof(log) - 1) &&
	    !scan_text(&p, end, notification, sizeof(notification) - 1)) ||
	    !scan_text(&p, end, watchdog, sizeof(watchdog) - 1) || has_suspects(p, end))
		return false;
	*behind = (struct str){ name_end, (size_t)(end - name_end) };
	return true;
}
