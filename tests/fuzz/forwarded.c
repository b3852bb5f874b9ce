/*
 * Give the readers of a proxy's headers any bytes at all, such as a client may have sent. What
 * the proxy adds behind them must count, and be passed over where it is a trusted proxy's.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which mutates seeds of its own:
 *     fuzz-forwarded [RUNS [SEED]]
 */
#include "buf.h"
#include "monitor-wsd/forwarded.h"
#include "target.h"

#define PROXY "10.11.12.13"

typedef bool reader(struct str header, const struct network *trusted, size_t count,
    struct address *client);

static unsigned long found;

static bool
same(const struct address *a, const struct address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* What is read of an address's text is that address. */
static void
proper_address(const struct address *a)
{
	char text[ADDRESS_TEXT_SIZE];
	struct address again;

	address_format(a, text);
	require(address_parse(str_of(text), &again) && same(a, &again), "another address is written");
}

static void
try_header(reader *read, const char *added)
{
	struct network trusted;
	struct address client, alone, proxy, behind;
	struct buf longer = { 0 };
	struct error e;
	bool any;

	require(network_parse(PROXY, &trusted, &e) == 0, "no network");
	proxy = trusted.base;
	if (read(input, NULL, 0, &client)) {
		found++;
		proper_address(&client);
	}
	any = read(input, &trusted, 1, &alone);
	require(buf_add(&longer, input.data, input.len) == 0 &&
	    buf_add(&longer, added, strlen(added)) == 0, "no memory");
	require(read((struct str){ longer.data, longer.len }, NULL, 0, &behind) &&
	    same(&behind, &proxy), "it is not who the proxy saw");
	require(read((struct str){ longer.data, longer.len }, &trusted, 1, &behind) &&
	    same(&behind, any ? &alone : &proxy), "the trusted proxy is not passed over");
	buf_free(&longer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address a;

	input = (struct str){ (const char *)data, size };
	try_header(forwarded_x_for, ", " PROXY);
	try_header(forwarded_standard, ",for=\"" PROXY ":4711\";proto=https");
	if (address_parse(input, &a)) {
		require(memchr(input.data, '\0', input.len) == NULL, "an address that has an end inside");
		proper_address(&a);
	}
	return 0;
}

#ifdef FUZZ_STANDALONE

#include "mutate.h"

static const char *const seeds[] = {
	"203.0.113.7", "203.0.113.7, 10.11.12.13", "203.0.113.7:4711,  2001:db8::1", "[2001:db8::1]:4711",
	"for=203.0.113.7;proto=https, for=\"[2001:db8::1]:4711\"", "by=10.0.0.1;For=\"192.0.2.43\"",
	"for=_hidden, for=unknown;for=10.11.12.13", "::ffff:192.0.2.1",
};

static const char *const pieces[] = {
	",", ";", "\"", "[", "]", ":", "::", "=", " ", "\t", "for=", "FOR=", "proto=", "by=", "10.11.12.13",
	"::ffff:10.11.12.13", "2001:db8::1", "192.0.2.1", ".", "0", "255", "256", "ffff", "%eth0", "\\\"", "\xff",
};

int
main(int argc, char **argv)
{
	struct mutate m = { seeds, COUNT(seeds), pieces, COUNT(pieces), 0 };
	unsigned long runs = mutate_main(&m, argc, argv, 100000, mutate_seed);

	require(runs < 1000 || found > runs / 20, "hardly anything was an address");
	printf(", %lu addresses found\n", found);
	return 0;
}

#endif
