/* source.h: names of sources under their owner's. */
#include "source.h"

#include <string.h>

#include "tap.h"

static char owner[] = "curve:0123456789012345678901234567890123456789";

static void
under(size_t len, const char *want, const char *title)
{
	char source[SOURCE_MAX + 1], text[2 * SOURCE_MAX];
	struct buf b = { 0 };
	struct error e;

	memset(source, 's', len);
	tap_ok(source_under(&b, str_of(owner), (struct str){ source, len }, &e) == 0, "a source is named");
	snprintf(text, sizeof(text), "%.*s", STR_ARGS(b));
	tap_is(text, want, title);
	buf_free(&b);
}

int
main(void)
{
	char want[SOURCE_MAX + 1];

	under(3, "curve:0123456789012345678901234567890123456789/sss", "behind its owner's name");
	snprintf(want, sizeof(want), "%s/", owner);
	memset(want + strlen(want), 's', SOURCE_MAX - strlen(owner) - 1);
	want[SOURCE_MAX] = '\0';
	under(SOURCE_MAX - strlen(owner) - 1, want, "as long as a name may be");
	/* printf 's%.0s' $(seq 209) | sha256sum */
	under(SOURCE_MAX - strlen(owner), "curve:0123456789012345678901234567890123456789/sha256-"
	    "347b4c79b8fc1e803de452a1a08ee6fa9bf86d705dec164e95b22e2f8f712620", "a longer one by its hash");
	return tap_done();
}
