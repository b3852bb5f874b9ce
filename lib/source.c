#include "source.h"

#include "crypto.h"

int
source_under(struct buf *name, struct str owner, struct str source, struct error *e)
{
	unsigned char hash[CRYPTO_SHA256_SIZE];
	int rc;

	if (buf_add_str(name, owner) == -1 || buf_add(name, "/", 1) == -1)
		return error_memory(e);
	if (owner.len + 1 + source.len <= SOURCE_MAX)
		return buf_add_str(name, source) == 0 ? 0 : error_memory(e);
	if (crypto_sha256(source, hash, e) == -1)
		return -1;
	rc = buf_printf(name, "sha256-");
	for (size_t i = 0; i < sizeof(hash); i++)
		rc |= buf_printf(name, "%02x", hash[i]);
	return rc == 0 ? 0 : error_memory(e);
}
