#include "sqlite/keys.h"

#include <string.h>

/* The end of the rising run that begins at `i`. */
static size_t
run_end(const struct key *k, size_t i, size_t n)
{
	for (i++; i < n && !key_before(k[i], k[i - 1]); i++)
		;
	return i;
}

static void
merge(const struct key *a, size_t na, const struct key *b, size_t nb, struct key *to)
{
	while (na > 0 && nb > 0) {
		if (key_before(*b, *a)) {
			*to++ = *b++;
			nb--;
		} else {
			*to++ = *a++;
			na--;
		}
	}
	memcpy(to, na > 0 ? a : b, (na + nb) * sizeof(*to));
}

void
keys_sort(struct key *keys, struct key *spare, size_t n)
{
	struct key *from = keys, *to = spare, *swap;

	while (n > 1 && run_end(from, 0, n) < n) {
		for (size_t i = 0; i < n; ) {
			size_t middle = run_end(from, i, n);
			size_t end = middle < n ? run_end(from, middle, n) : n;
			merge(from + i, middle - i, from + middle, end - middle, to + i);
			i = end;
		}
		swap = from;
		from = to;
		to = swap;
	}
	if (from != keys)
		memcpy(keys, from, n * sizeof(*keys));
}
