/* ndjson.h: what happens when there is no memory. */
#include "ndjson.h"

#include <stdlib.h>
#include <string.h>

#include "ndjson_lines.h"
#include "scarce.h"

/* A buffer that cannot grow by what it is asked for fails, and keeps what it has. */
static void
no_room(void)
{
	struct buf b = { 0 };
	struct record r = { .kind = RECORD_LOG, .watchdog = str_of("w"), .sender = str_of("s"),
	    .message = { "m", SIZE_MAX / 2 } };

	tap_ok(buf_add(&b, "kept", 4) == 0, "a buffer with something in it");
	tap_ok(ndjson_write(&b, &r) == -1, "a record too large for memory is not written");
	tap_ok(ndjson_write_line(&b, &(struct ndjson_line){ .record = r, .source = str_of("s") },
	    str_of("me")) == -1, "nor with labels");
	tap_ok(ndjson_write_members(&b, &r, true) == -1, "nor its members");
	tap_ok(ndjson_write_string(&b, r.message) == -1, "nor a string");
	tap_ok(ndjson_write_ack(&b, r.message, 1) == -1, "nor an ack");
	tap_ok(b.len == 4 && memcmp(b.data, "kept", 4) == 0, "and what was there is all there is");
	buf_free(&b);
}

#ifdef SCARCE
/* Read a line while an allocation fails. 1: read as it should be, 0: no memory,
 * -1: anything else. *met: did one fail? */
static int
starve(read_function read, long allocation, bool *met)
{
	/* No part of 16 bytes: there jansson itself would give up by abort(3). */
	static const char line[] = "{\"level\":30,\"time\":1.5,\"sender\":\"s\","
	    "\"message\":\"m\\ud800\",\"a\":[1, 2],\"b\":1e999}";
	struct ndjson_defaults defaults = { .kind = RECORD_LOG, .watchdog = str_of("local") };
	struct error e = { .kind = ERROR_NONE };
	struct ndjson_line l;
	struct ndjson *r;
	int rc = -1;

	left = allocation;
	if ((r = ndjson_new(&defaults, &e)) != NULL)
		rc = read(r, str_of(line), &l, &e);
	*met = left <= 0;
	left = -1;
	if (rc == -1)
		rc = e.kind == ERROR_MEMORY ? 0 : -1;
	else if (l.record.level == 30 && l.record.time == 1.5 &&
	    str_equal(l.record.sender, str_of("s")) &&
	    str_equal(l.record.message, str_of("m\xef\xbf\xbd")) &&
	    str_equal(l.record.extra, str_of("{\"a\":[1,2],\"b\":1e999}")))
		rc = 1;
	else
		rc = -1;
	ndjson_free(&r);
	return rc;
}

static void
no_memory(void)
{
	bool met, right;
	long n;
	int rc;

	for (size_t i = 0; i < 2 * COUNT(readers); i++) {
		for_good = i & 1;
		right = met = true;
		for (n = 1; met && right; n++) {
			rc = starve(readers[i / 2].read, n, &met);
			right = rc == 1 || (rc == 0 && met);
		}
		tap_ok(right && n > 4,
		    "%s %ld allocations fails, the reader reads well or says so%s",
		    for_good ? "from whichever on of" : "whichever of", n - 2, readers[i / 2].name);
	}
}
#else
static void
no_memory(void)
{
	tap_ok(true, "# SKIP malloc(3) is the sanitizer's");
}
#endif

int
main(void)
{
	no_room();
	no_memory();
	return tap_done();
}
