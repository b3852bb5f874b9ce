#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

static void
map_ip4(const struct in_addr *ip4, struct address *a)
{
	memcpy(a->bytes, mapped, sizeof(mapped));
	memcpy(a->bytes + sizeof(mapped), ip4, sizeof(*ip4));
}

bool
address_of(const struct sockaddr *sa, struct address *a)
{
	if (sa->sa_family == AF_INET)
		map_ip4(&((const struct sockaddr_in *)(const void *)sa)->sin_addr, a);
	else if (sa->sa_family == AF_INET6)
		memcpy(a, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, sizeof(*a));
	else
		return false;
	return true;
}

bool
address_parse(struct str s, struct address *a)
{
	char text[ADDRESS_TEXT_SIZE];
	struct in_addr ip4;

	if (s.len >= sizeof(text) || memchr(s.data, '\0', s.len) != NULL)
		return false;
	memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	if (inet_pton(AF_INET, text, &ip4) == 1) {
		map_ip4(&ip4, a);
		return true;
	}
	return inet_pton(AF_INET6, text, a) == 1;
}

bool
address_is_ip4(const struct address *a)
{
	return memcmp(a->bytes, mapped, sizeof(mapped)) == 0;
}

void
address_format(const struct address *a, char text[ADDRESS_TEXT_SIZE])
{
	if (address_is_ip4(a))
		inet_ntop(AF_INET, a->bytes + sizeof(mapped), text, ADDRESS_TEXT_SIZE);
	else
		inet_ntop(AF_INET6, a->bytes, text, ADDRESS_TEXT_SIZE);
}

int
network_parse(const char *text, struct network *n, struct error *e)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	unsigned max;
	char *end = NULL;

	if (!address_parse((struct str){ text, len }, &n->base))
		return error_set(e, ERROR_USAGE, "%s: not an IP address, or ADDR/BITS", text);
	max = address_is_ip4(&n->base) ? 32 : 128;
	n->bits = 128;
	if (slash == NULL)
		return 0;
	n->bits = (unsigned)strtoul(slash + 1, &end, 10);
	if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || n->bits > max)
		return error_set(e, ERROR_USAGE, "%s: not 0 to %u bits", text, max);
	n->bits += 128 - max;
	return 0;
}

static bool
network_has(const struct network *n, const struct address *a)
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;

	if (memcmp(n->base.bytes, a->bytes, whole) != 0)
		return false;
	return rest == 0 || (n->base.bytes[whole] ^ a->bytes[whole]) >> (8 - rest) == 0;
}

bool
network_any_has(const struct network *n, size_t count, const struct address *a)
{
	for (size_t i = 0; i < count; i++)
		if (network_has(&n[i], a))
			return true;
	return false;
}
