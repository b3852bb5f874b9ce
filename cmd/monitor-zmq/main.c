/*
 * monitor-zmq - records and requests between backends, over ZeroMQ.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "verb.h"

static const struct verb *const verbs[] = {
	&verb_proxy,
	&verb_pub,
	&verb_sub,
	&verb_push,
	&verb_pull,
	&verb_serve,
	&verb_keygen,
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct cli_option options[] = {
	{ 0, NULL, NULL, "Options; those of a verb: monitor-zmq VERB --help" },
	CLI_COMMON_OPTIONS,
	{ 0 },
};

/* What all of it is about, for --help. */
static char *
describe(void)
{
	struct buf b = { 0 };
	int r = buf_printf(&b, "Records and requests between backends, over ZeroMQ.\n\nVerbs:");

	for (size_t i = 0; i < VERBS && r == 0; i++)
		r = buf_printf(&b, "\n  %-8s %s", verbs[i]->name, verbs[i]->about);
	if (r == 0)
		r = buf_add(&b, "", 1);
	if (r == -1)
		cli_die(EXIT_ERROR, "out of memory");
	return b.data;
}

/* Without a verb: --help, --version, or a mistake. */
static _Noreturn void
run_bare(int argc, char **argv)
{
	char *about = describe();
	struct cli cli = {
		.program = "monitor-zmq",
		.synopsis = "VERB [OPTION]... [ENDPOINT]...",
		.about = about,
		.options = options,
		.command = true,
		.argc = argc,
		.argv = argv,
	};

	while (cli_next(&cli) != -1)
		;
	free(about);
	if (argc > 1)
		cli_usage("%s: there is no such verb", argv[1]);
	cli_usage("a verb is needed");
}

/* Cut off what stands behind "--". */
static char *const *
cut_command(int *argc, char **argv)
{
	for (int i = 2; i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			*argc = i;
			argv[i] = NULL;
			return cli_command(argv + i + 1);
		}
	}
	return NULL;
}

static int
run_verb(const struct verb *v, int argc, char **argv)
{
	char *const *command = v->command ? cut_command(&argc, argv) : NULL;
	char program[32];
	struct cli cli = {
		.program = program,
		.synopsis = v->synopsis,
		.about = v->about,
		.options = v->options,
		.argc = argc - 1,
		.argv = argv + 1,
	};

	snprintf(program, sizeof(program), "monitor-zmq %s", v->name);
	return v->run(&cli, command);
}

int
main(int argc, char **argv)
{
	/* Messages of many lines come and go all the time: their memory is kept. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	cli_fill_streams();
	for (size_t i = 0; i < VERBS && argc > 1; i++)
		if (strcmp(verbs[i]->name, argv[1]) == 0)
			return run_verb(verbs[i], argc, argv);
	run_bare(argc, argv);
}
