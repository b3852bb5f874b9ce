/*
 * monitor-ingest - records in: from lines of JSON to the store.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "listen.h"
#include "loop.h"
#include "ndjson.h"
#include "notify.h"
#include "pipeline.h"
#include "producer.h"
#include "progress.h"
#include "refuse.h"
#include "remote.h"
#include "schema.h"
#include "store.h"

#define MAX_LINE ((uint64_t)4 << 20)
#define MAX_LINE_REMOTE ((uint64_t)1023 << 10)   /* a daemon takes messages of 1 MiB */
#define LONG_LINES ((size_t)16 << 20)   /* memory for begun long lines, of all producers */
#define LISTENERS 16

enum { OPT_ACK = CLI_OWN, OPT_LISTEN, OPT_REJECT, OPT_MAX_FUTURE, OPT_MAX_LINE, OPT_SALVAGE,
	OPT_CREATE_SCHEMA, OPT_PRINT_SCHEMA, OPT_INTERVAL };

static const struct cli_option options[] = {
	{ 0, NULL, NULL, "Where to" },
	{ 'd', "store", "URL", "the store (default: $MONITOR_STORE, " STORE_DEFAULT ")" },
	REMOTE_OPTIONS,
	{ OPT_SALVAGE, "salvage", "OLD", "read what is left of the damaged store OLD into it" },
	{ 0, NULL, NULL, "From where" },
	{ OPT_LISTEN, "listen", "WHERE", "take producers on unix:PATH or systemd:" },
	{ OPT_ACK, "ack", NULL, "be a sink: acknowledge what is stored" },
	{ 0, NULL, NULL, "What a line is" },
	CLI_LABELS,
	{ OPT_MAX_FUTURE, "max-future", "DURATION", "refuse times further ahead of now" },
	{ OPT_MAX_LINE, "max-line", "SIZE", "refuse longer lines (default: 4M, with --url 1023k)" },
	{ OPT_REJECT, "reject", "FILE", "append refused lines to FILE" },
	{ 0, NULL, NULL, "A store in PostgreSQL" },
	{ OPT_CREATE_SCHEMA, "create-schema", NULL, "make it, or migrate an older one, and end" },
	{ OPT_INTERVAL, "partition-interval", "DURATION", "of logs (default: 1d; notifications 30 times that)" },
	{ OPT_PRINT_SCHEMA, "print-schema", "[PART]", "print what makes it, as SQL; PART: roles" },
	{ 0, NULL, NULL, "Other" },
	{ 'q', "quiet", NULL, "no progress, no summary: only errors" },
	CLI_COMMON_OPTIONS,
	{ 0 },
};

struct settings {
	const char *store;
	struct client_settings remote;   /* url NULL: the store is here */
	int stop_fd;                     /* tells what is reached over a network to give up */
	int verb;                        /* an option that is not about records; 0: none */
	bool roles_only;
	double interval;
	const char *salvage;
	const char *reject;
	const char *listen[LISTENERS];
	size_t listen_count;
	bool ack, quiet;
	struct ndjson_defaults defaults;
	double max_future;
	uint64_t max_line;
	const char *const *files;
	size_t file_count;
};

static void
set_verb(struct settings *s, int key)
{
	if (s->verb != 0 && s->verb != key)
		cli_usage("--salvage, --create-schema and --print-schema are three things");
	s->verb = key;
}

static void
parse_option(struct settings *s, int key)
{
	switch (key) {
	case 'd':
		s->store = cli_store(optarg);
		break;
	case 'q':
		s->quiet = true;
		break;
	case OPT_ACK:
		s->ack = true;
		break;
	case OPT_LISTEN:
		if (s->listen_count == LISTENERS)
			cli_usage("--listen: at most %d", LISTENERS);
		s->listen[s->listen_count++] = optarg;
		break;
	case OPT_REJECT:
		s->reject = optarg;
		break;
	case OPT_MAX_FUTURE:
		s->max_future = cli_duration("--max-future", optarg, 0, INFINITY);
		break;
	case OPT_MAX_LINE:
		s->max_line = cli_size("--max-line", optarg, 1, STORE_LONGEST);
		break;
	case OPT_SALVAGE:
		s->salvage = optarg;
		set_verb(s, key);
		break;
	case OPT_INTERVAL:
		s->interval = cli_duration("--partition-interval", optarg, 0, INFINITY);
		break;
	case OPT_PRINT_SCHEMA:
		if (optarg != NULL && strcmp(optarg, "roles") != 0)
			cli_usage("--print-schema=%s: there is only roles", optarg);
		s->roles_only = optarg != NULL;
		set_verb(s, key);
		break;
	case OPT_CREATE_SCHEMA:
		set_verb(s, key);
		break;
	default:
		cli_label(key, optarg, &s->defaults);
	}
}

static void
check_verb(const struct settings *s)
{
	static const char *const names[] = {
		"--salvage", "--create-schema", "--print-schema",
	};
	const char *name = names[s->verb == 0 ? 0 : s->verb - OPT_SALVAGE];

	if (s->verb == 0)
		return;
	if (s->file_count > 0 || s->listen_count > 0)
		cli_usage("%s takes neither files nor --listen", name);
	if (s->remote.url != NULL)
		cli_usage("%s needs a local store: --url uploads to a daemon", name);
}

static void
parse_settings(struct settings *s, int argc, char **argv)
{
	static const char *const standard_input[] = { "-" };
	struct cli cli = {
		.program = "monitor-ingest",
		.synopsis = "[OPTION]... [FILE]...",
		.about = "Store records: lines of JSON from the FILEs, or standard input.",
		.options = options,
		.argc = argc,
		.argv = argv,
	};
	int key;

	*s = (struct settings){
		.interval = STORE_INTERVAL,
		.defaults = { .kind = RECORD_LOG, .watchdog = str_of("local") },
		.max_future = INFINITY,
	};
	while ((key = cli_next(&cli)) != -1)
		if (!remote_take(&s->remote, key))
			parse_option(s, key);
	remote_check(&s->remote, s->store);
	s->files = (const char *const *)(argv + optind);
	s->file_count = (size_t)(argc - optind);
	check_verb(s);
	if (s->listen_count > 0 && s->file_count > 0)
		cli_usage("--listen and files do not go together");
	if (s->file_count == 0) {
		s->files = standard_input;
		s->file_count = 1;
	}
	if (s->store == NULL && s->remote.url == NULL)
		s->store = cli_store(NULL);
	if (s->max_line == 0)
		s->max_line = s->remote.url != NULL ? MAX_LINE_REMOTE : MAX_LINE;
}

/* ---- one run ---- */

/* What it all will come to, or 0 if one of the files cannot tell. */
static uint64_t
expected_bytes(const struct settings *s)
{
	uint64_t total = 0;
	struct stat st;
	off_t at;

	for (size_t i = 0; i < s->file_count; i++) {
		bool standard = strcmp(s->files[i], "-") == 0;

		if ((standard ? fstat(STDIN_FILENO, &st) : stat(s->files[i], &st)) == -1 ||
		    !S_ISREG(st.st_mode))
			return 0;
		at = standard ? lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
		if (at >= 0 && at < st.st_size)
			total += (uint64_t)(st.st_size - at);
	}
	return total;
}

/* The signals that end a run; one that was ignored before (nohup) stays so. */
static void
block_signals(sigset_t *set)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction was;

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
	sigprocmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);   /* over the limit is an error to report, as a full disk is */
}

static void
summarize(const struct settings *s, const struct intake *in, const struct loop_result *r)
{
	uint64_t replaced = ndjson_replaced(in->reader);
	char duplicates[48] = "", more[80] = "";

	if (s->quiet)
		return;
	if (replaced > 0)
		snprintf(more, sizeof(more), ", %" PRIu64 " lone surrogate%s replaced", replaced,
		    replaced == 1 ? "" : "s");
	/* Those that a daemon drops it does not tell. */
	if (s->remote.url == NULL)
		snprintf(duplicates, sizeof(duplicates), ", %" PRIu64 " duplicate%s",
		    r->added.duplicates, r->added.duplicates == 1 ? "" : "s");
	cli_warn("%" PRIu64 " record%s (%" PRIu64 " refused%s%s)", r->added.stored,
	    r->added.stored == 1 ? "" : "s", in->refuse.count, duplicates, more);
}

static void
announce(const struct settings *s)
{
	for (size_t i = 0; i < s->listen_count && !s->quiet; i++)
		cli_warn("listening on %s", s->listen[i]);
	notify_send("READY=1");
}

static int
open_listeners(const struct settings *s, struct listener **listeners, struct error *e)
{
	for (size_t i = 0; i < s->listen_count; i++)
		if (listen_open(listeners, s->listen[i], LISTEN_UNIX, e) == -1)
			return -1;
	if (s->listen_count > 0)
		cli_raise_files();
	return 0;
}

static int
ingest(const struct settings *s, struct store *store, struct intake *in, struct loop_result *r,
    struct error *e)
{
	struct listener *listeners = NULL;
	struct pipeline *pipeline = NULL;
	sigset_t signals;
	int result = -1;

	block_signals(&signals);
	if ((in->reader = ndjson_new(&s->defaults, e)) == NULL ||
	    refuse_open(&in->refuse, s->reject, e) == -1)
		goto out;
	if ((in->piece = malloc(PRODUCER_PIECE)) == NULL) {
		error_memory(e);
		goto out;
	}
	if (open_listeners(s, &listeners, e) == -1 ||
	    (pipeline = pipeline_new(store, &in->refuse, e)) == NULL)
		goto out;
	if (s->listen_count > 0)
		announce(s);
	else if (!s->quiet)
		progress_begin(expected_bytes(s));
	result = loop_run(&(struct loop_setup){
		.intake = in,
		.pipeline = pipeline,
		.listeners = &listeners,
		.files = s->files,
		.file_count = s->file_count,
		.signals = &signals,
		.give_up_fd = s->stop_fd,
	}, r, e);
out:
	pipeline_free(&pipeline);
	listen_close(&listeners);
	refuse_say_rest(&in->refuse, 1);
	if (refuse_close(&in->refuse, result == 0 ? e : NULL) == -1)
		result = -1;
	free(in->piece);
	return result;
}

static int
status_of(const struct error *e)
{
	return e->kind == ERROR_USAGE ? EXIT_USAGE : EXIT_ERROR;
}

static int
run(const struct settings *s, struct store *store)
{
	struct intake in = {
		.ack = s->ack,
		.max_line = (size_t)s->max_line,
		.max_future = s->max_future,
		.refuse = { .fd = -1 },
		.permits = s->max_line > LONG_LINES ? 1 : (unsigned)(LONG_LINES / s->max_line),
	};
	struct loop_result r = { 0 };
	struct error e;
	int result = ingest(s, store, &in, &r, &e);

	if (result == -1)
		cli_warn("%s", e.kind == ERROR_NONE ? "stopped before all of it was stored" : e.text);
	if (r.begun)
		summarize(s, &in, &r);
	ndjson_free(&in.reader);
	if (result == -1)
		return status_of(&e);
	if (r.failed)
		return EXIT_ERROR;
	return in.refuse.count > 0 && !r.stopped ? EXIT_REFUSED : EXIT_SUCCESS;
}

static int
salvage(const struct settings *s, struct store *store)
{
	struct store_salvaged saved = { 0 };
	struct error e;
	int result = store_salvage(store, s->salvage, &saved, &e);

	if (result == -1)
		cli_warn("%s", e.text);
	if (result == -1 && saved.records == 0)
		return status_of(&e);
	printf("%" PRIu64 " records read, %" PRIu64 " of them without their names\n"
	    "%s%" PRIu64 " records lost\n", saved.records, saved.unnamed,
	    saved.lost_is_minimum ? "at least " : "", saved.lost);
	if (cli_close_stdout() == -1)
		result = -1;
	return result == 0 ? EXIT_SUCCESS : EXIT_ERROR;
}

/* ---- where to ---- */

static void
tell_trouble(void *arg, const char *why)
{
	const struct settings *s = arg;

	progress_clear();
	if (why != NULL)
		cli_warn("%s; trying again", why);
	else if (!s->quiet)
		cli_warn("%s: it goes on", s->remote.url != NULL ? s->remote.url : "the store");
}

static struct store *
open_store(struct settings *s, struct error *e)
{
	struct store_trouble trouble = { .tell = tell_trouble, .arg = s };
	struct store *store;

	if ((s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1) {
		error_errno(e, errno, "eventfd");
		return NULL;
	}
	s->remote.stop_fd = trouble.stop_fd = s->stop_fd;
	s->remote.trouble = tell_trouble;
	s->remote.arg = s;
	if (s->remote.url != NULL)
		return store_open_remote(&s->remote, STORE_WRITE, e);
	if ((store = store_open(s->store, STORE_WRITE, e)) != NULL)
		store_trouble(store, &trouble);
	return store;
}

int
main(int argc, char **argv)
{
	struct settings s;
	struct store *store;
	struct error e;
	int status;

	cli_fill_streams();
	parse_settings(&s, argc, argv);
	if (s.verb == OPT_CREATE_SCHEMA)
		return schema_create(s.store, s.interval, s.quiet);
	if (s.verb == OPT_PRINT_SCHEMA)
		return schema_print(s.interval, s.roles_only);
	if ((store = open_store(&s, &e)) == NULL)
		cli_die(status_of(&e), "%s", e.text);
	status = s.verb == OPT_SALVAGE ? salvage(&s, store) : run(&s, store);
	store_close(&store);
	return status;
}
