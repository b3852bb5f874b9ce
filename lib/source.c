#include "source.h"

#include "crypto.h"

int
source_under(struct buf *name, struct str owner, struct str source, struct error *e)
{
	unsigned char hash[CRYPTO_SHA256_SIZE];
	char text[2 * sizeof(hash) + 1];

	if (buf_add_str(name, owner) == -1 || buf_add(name, "/", 1) == -1)
		return error_memory(e);
	if (owner.len + 1 + source.len <= SOURCE_MAX)
		return buf_add_str(name, source) == 0 ? 0 : error_memory(e);
	if (crypto_sha256(source, hash, e) == -1)
		return -1;
	crypto_hex(hash, sizeof(hash), text);
	return buf_printf(name, "sha256-%s", text) == 0 ? 0 : error_memory(e);
}
