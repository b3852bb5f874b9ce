#include "schema.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "store.h"

static int
failed(const struct error *e)
{
	cli_warn("%s", e->text);
	return e->kind == ERROR_USAGE ? EXIT_USAGE : EXIT_ERROR;
}

int
schema_create(const char *url, double interval, bool quiet)
{
	static const char *const said[] = {
		[STORE_MADE] = "the store is made",
		[STORE_MIGRATED] = "the store is migrated",
		[STORE_THERE] = "the store is there already",
	};
	enum store_made made;
	struct error left, e;

	if (store_create_schema(url, interval, &made, &left, &e) == -1)
		return failed(&e);
	if (!quiet)
		cli_warn("%s", said[made]);
	if (left.text[0] != '\0')
		cli_warn("%s: the roles are left to the database's administrator"
		    " (monitor-ingest --print-schema=roles)", left.text);
	return EXIT_SUCCESS;
}

int
schema_print(double interval, bool roles_only)
{
	struct buf text = { 0 };
	struct error e;
	int status = EXIT_ERROR;

	if (store_schema(interval, roles_only, &text, &e) == -1)
		status = failed(&e);
	else {
		fwrite(text.data, 1, text.len, stdout);
		if (cli_close_stdout() == 0)
			status = EXIT_SUCCESS;
	}
	buf_free(&text);
	return status;
}
