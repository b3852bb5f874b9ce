#include "request.h"

#include <ctype.h>
#include <getopt.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "cli.h"
#include "match.h"
#include "remote.h"
#include "store.h"
#include "when.h"

enum {
	OPT_CASE = CLI_OWN, OPT_AFTER, OPT_CURSOR_FILE, OPT_SHOW_CURSOR, OPT_NO_TAIL, OPT_COUNT,
	OPT_HISTOGRAM, OPT_SENDERS, OPT_WATCHDOGS, OPT_TOP, OPT_STATS, OPT_BACKUP, OPT_VERIFY,
	OPT_UTC, OPT_COLOR, OPT_NO_PAGER, OPT_CURSOR,
};

static const struct cli_option options[] = {
	{ 'd', "store", "URL", "the store (default: $MONITOR_READ_STORE, $MONITOR_STORE, " STORE_DEFAULT ")" },
	REMOTE_OPTIONS,
	{ 0, NULL, NULL, "Which records" },
	{ 'w', "timewindow", "DURATION", "not older than this (seconds; 90s, 10m, 2h, 7d)" },
	{ 'S', "since", "TIME", "from this time on" },
	{ 'U', "until", "TIME", "before this time" },
	{ 's', "sender", "NAME", "of this sender (may be given several times)" },
	{ 'l', "level", "LEVEL[..LEVEL]", "this level and more severe, or a range" },
	{ 'W', "watchdog", "CODE", "of this watchdog (may be given several times)" },
	{ 'k', "kind", "log|notification|all", "of this kind (default: all)" },
	{ 'g', "grep", "PATTERN", "whose message matches an extended regular expression" },
	{ OPT_CASE, "case-sensitive", "[BOOL]", "tell case apart in it (default: if it has capitals)" },
	{ 0, NULL, NULL, "In which shape" },
	{ 'n', "lines", "N", "only the newest N ('all': all)" },
	{ 'r', "reverse", NULL, "newest first" },
	{ 'o', "output", "FORMAT", "text, ndjson, csv, cat or wire" },
	{ 'f', "follow", NULL, "go on with what arrives from now on" },
	{ OPT_NO_TAIL, "no-tail", NULL, "with -f: begin with everything, not with the last 10" },
	{ OPT_AFTER, "after-cursor", "CURSOR", "go on behind a position" },
	{ OPT_CURSOR_FILE, "cursor-file", "FILE", "go on behind the position in FILE, and keep it there" },
	{ OPT_SHOW_CURSOR, "show-cursor", NULL, "say the position at the end" },
	{ 0, NULL, NULL, "Instead of records" },
	{ OPT_COUNT, "count", NULL, "their number" },
	{ OPT_HISTOGRAM, "histogram", "[INTERVAL]", "their number over time" },
	{ OPT_SENDERS, "senders", NULL, "their senders, and how many of each" },
	{ OPT_WATCHDOGS, "watchdogs", NULL, "their watchdogs, and how many of each" },
	{ OPT_TOP, "top", "N", "only the N senders (watchdogs) with the most, most first" },
	{ OPT_STATS, "stats", NULL, "what the store holds, and its size" },
	{ OPT_BACKUP, "backup", "FILE", "copy the store to a new file, while writers run" },
	{ OPT_VERIFY, "verify", NULL, "look through the store for anything wrong" },
	{ 0, NULL, NULL, "How it looks" },
	{ OPT_UTC, "utc", NULL, "times in UTC, read and written" },
	{ OPT_COLOR, "color", "[WHEN]", "auto, always or never" },
	{ OPT_NO_PAGER, "no-pager", NULL, "no pager" },
	{ 'q', "quiet", NULL, "no remarks, only errors" },
	CLI_COMMON_OPTIONS,
	{ 'p', "priority", CLI_ELSEWHERE, "levels are chosen by -l" },
	{ 'u', "unit", CLI_ELSEWHERE, "senders are chosen by -s" },
	{ 't', "identifier", CLI_ELSEWHERE, "senders are chosen by -s" },
	{ 'i', "ignore-case", CLI_ELSEWHERE, "-g takes any case where there are no capitals in it" },
	{ OPT_CURSOR, "cursor", CLI_ELSEWHERE, "positions are given by --after-cursor" },
	{ 0 },
};

/* What can only be made sense of when everything has been read. */
struct raw {
	const char *store, *since, *until, *window, *pattern, *after, *level, *kind, *color;
	int case_sensitive;      /* -1: by the pattern */
	struct str *watchdogs, *senders;
	unsigned actions;        /* how many were given */
};

static void
die_memory(void)
{
	cli_die(EXIT_QUERY_ERROR, "out of memory");
}

static void
add_name(struct str **names, size_t *n, const char *name)
{
	struct str *more = realloc(*names, (*n + 1) * sizeof(*more));

	if (more == NULL)
		die_memory();
	more[(*n)++] = str_of(name);
	*names = more;
}

static bool
read_bool(const char *text)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0)
			return i % 2 == 1;
	cli_usage("--case-sensitive: '%s' is neither yes nor no", text);
}

static int64_t
read_level(const char *text)
{
	struct error e;
	int64_t level = 0;

	if (record_level_parse(text, &level, &e) == -1)
		cli_usage("--level: %s", e.text);
	return level;
}

/* A threshold, or "A..B" with either end open. */
static void
read_levels(struct query *q, const char *text)
{
	const char *dots = strstr(text, "..");
	char *first;
	int64_t a = INT64_MIN, b = INT64_MAX;

	if (dots == NULL) {
		q->level_min = INT64_MIN;
		q->level_max = read_level(text);
		return;
	}
	if ((first = strndup(text, (size_t)(dots - text))) == NULL)
		die_memory();
	if (*first != '\0')
		a = read_level(first);
	if (dots[2] != '\0')
		b = read_level(dots + 2);
	free(first);
	q->level_min = a < b ? a : b;
	q->level_max = a < b ? b : a;
}

static unsigned
read_kinds(const char *text)
{
	enum record_kind kind;

	if (strcmp(text, "all") == 0)
		return RECORD_ALL_KINDS;
	if (record_kind_parse(str_of(text), &kind) == -1)
		cli_usage("--kind: '%s' is none of log, notification, all", text);
	return RECORD_KIND_BIT(kind);
}

static double
read_time(const char *option, const char *text, double now, bool utc)
{
	struct error e;
	double time = 0;

	if (when_parse(text, now, utc, &time, &e) == -1)
		cli_usage("%s: %s", option, e.text);
	return time;
}

static double
read_interval(const char *text)
{
	double seconds = cli_duration("--histogram", text, 0, INFINITY);

	if (!(seconds >= 0.001))
		cli_usage("--histogram: an interval is at least 1ms");
	return seconds;
}

/* Does a pattern hold a capital letter? One behind a backslash is none: "\S". */
static bool
has_capital(const char *pattern)
{
	mbstate_t state = { 0 };
	const char *end = pattern + strlen(pattern);
	wchar_t c;
	size_t n;

	while (pattern < end) {
		n = mbrtowc(&c, pattern, (size_t)(end - pattern), &state);
		if (n == (size_t)-1 || n == (size_t)-2) {
			state = (mbstate_t){ 0 };
			pattern++;
			continue;
		}
		if (c == L'\\' && n == 1 && pattern[1] != '\0')
			n = 2;
		else if (iswupper((wint_t)c))
			return true;
		pattern += n;
	}
	return false;
}

/* Perl's "\d" would quietly find the letter. */
static void
check_escapes(const char *pattern)
{
	for (const char *p = pattern; (p = strchr(p, '\\')) != NULL && p[1] != '\0'; p += 2)
		if (isalpha((unsigned char)p[1]) && strchr("bBsSwW", p[1]) == NULL)
			cli_usage("--grep: '\\%c' has no meaning in an extended regular expression%s",
			    p[1], p[1] == 'd' ? ": a digit is [0-9]" : "");
}

static void
read_pattern(struct request *r, const struct raw *raw)
{
	bool sensitive = raw->case_sensitive == -1 ? has_capital(raw->pattern) :
	    raw->case_sensitive != 0;
	struct error e;

	check_escapes(raw->pattern);
	r->match = match_new(str_of(raw->pattern),
	    MATCH_PATTERN | (sensitive ? 0 : MATCH_IGNORE_CASE), &e);
	if (r->match == NULL)
		cli_usage("--grep: %s", e.text);
	r->query.match = r->view.highlight = r->match;
}

static bool
want_color(const char *when, bool terminal)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when == NULL || strcmp(when, "auto") == 0)
		return terminal && (none == NULL || *none == '\0') &&
		    (term == NULL || strcmp(term, "dumb") != 0);
	if (strcmp(when, "always") != 0 && strcmp(when, "never") != 0)
		cli_usage("--color: '%s' is none of auto, always, never", when);
	return strcmp(when, "always") == 0;
}

/* One option, if it is one of those that choose records. */
static bool
take_filter(struct request *r, struct raw *raw, int key)
{
	struct query *q = &r->query;

	switch (key) {
	case 'w': raw->window = optarg; break;
	case 'S': raw->since = optarg; break;
	case 'U': raw->until = optarg; break;
	case 's': add_name(&raw->senders, &q->sender_count, optarg); break;
	case 'l': read_levels(q, raw->level = optarg); break;
	case 'W': add_name(&raw->watchdogs, &q->watchdog_count, cli_watchdog(optarg).data); break;
	case 'k': q->kinds = read_kinds(raw->kind = optarg); break;
	case 'g':
		if (raw->pattern != NULL)
			cli_usage("--grep is given twice; 'A|B' finds either");
		raw->pattern = optarg;
		break;
	case OPT_CASE: raw->case_sensitive = optarg == NULL || read_bool(optarg); break;
	default: return false;
	}
	return true;
}

/* ... of those that ask for something else. */
static bool
take_action(struct request *r, struct raw *raw, int key)
{
	enum action action = ACTION_SHOW;

	switch (key) {
	case OPT_COUNT: action = ACTION_COUNT; break;
	case OPT_HISTOGRAM:
		action = ACTION_HISTOGRAM;
		if (optarg != NULL)
			r->interval = read_interval(optarg);
		break;
	case OPT_SENDERS: action = ACTION_SENDERS; break;
	case OPT_WATCHDOGS: action = ACTION_WATCHDOGS; break;
	case OPT_STATS: action = ACTION_STATS; break;
	case OPT_BACKUP:
		action = ACTION_BACKUP;
		r->backup = optarg;
		break;
	case OPT_VERIFY: action = ACTION_VERIFY; break;
	default: return false;
	}
	r->action = action;
	raw->actions |= 1u << action;
	return true;
}

/* ... of those about the shape of the answer, and the rest. */
static void
take_shape(struct request *r, struct raw *raw, int key)
{
	switch (key) {
	case 'd': raw->store = cli_store(optarg); break;
	case 'n':
	case OPT_NO_TAIL:
		r->limited = true;
		r->query.limit = key == OPT_NO_TAIL || strcmp(optarg, "all") == 0 ? SIZE_MAX :
		    cli_count("--lines", optarg, 0, SIZE_MAX - 1);
		break;
	case 'r': r->query.reverse = true; break;
	case 'o':
		r->output_given = true;
		if ((r->output = output_find(optarg)) == NULL)
			cli_usage("--output: '%s' is none of text, ndjson, csv, cat, wire", optarg);
		break;
	case 'f': r->follow = true; break;
	case OPT_AFTER: raw->after = optarg; break;
	case OPT_CURSOR_FILE: r->cursor_file = optarg; break;
	case OPT_SHOW_CURSOR: r->show_cursor = true; break;
	case OPT_TOP:
		if ((r->top = cli_count("--top", optarg, 0, SIZE_MAX - 1)) == 0)
			cli_usage("--top: of nobody there is nothing to say");
		break;
	case OPT_UTC: r->view.utc = true; break;
	case OPT_COLOR: raw->color = optarg != NULL ? optarg : "always"; break;
	case OPT_NO_PAGER: r->pager = false; break;
	case 'q': r->quiet = true; break;
	}
}

/* What does not go together. */
static void
check(const struct request *r, const struct raw *raw)
{
	bool filtered = raw->window != NULL || raw->since != NULL || raw->until != NULL ||
	    raw->senders != NULL || raw->watchdogs != NULL || raw->level != NULL ||
	    raw->kind != NULL || raw->pattern != NULL;
	bool cursors = raw->after != NULL || r->cursor_file != NULL;

	if ((raw->actions & (raw->actions - 1)) != 0)
		cli_usage("two questions at once: one of --count, --histogram, --senders, "
		    "--watchdogs, --stats, --backup, --verify");
	if (r->action != ACTION_SHOW && (r->follow || r->limited || r->query.reverse ||
	    r->show_cursor || cursors))
		cli_usage("--follow, --lines, --reverse and cursors are for records, "
		    "not for a summary of them");
	if (r->action >= ACTION_STATS && filtered)
		cli_usage("--stats, --backup and --verify are about the whole store, without filters");
	if (r->action >= ACTION_STATS && r->remote.url != NULL)
		cli_usage("--stats, --backup and --verify need a local store: --url asks a daemon");
	if (r->action != ACTION_SHOW && r->output_given && r->output != &output_text &&
	    r->output != &output_ndjson)
		cli_usage("--output: a summary is text or ndjson");
	if (r->top > 0 && r->action != ACTION_SENDERS && r->action != ACTION_WATCHDOGS)
		cli_usage("--top is for --senders or --watchdogs");
	if (r->query.reverse && (r->follow || r->cursor_file != NULL))
		cli_usage("--reverse does not go with --follow or --cursor-file: "
		    "they are in the order of arrival");
	if (raw->after != NULL && r->cursor_file != NULL)
		cli_usage("--after-cursor and --cursor-file are two places to begin at");
}

/* Operands: none, but for "--histogram 1h". */
static void
take_operands(struct request *r, int argc, char *argv[])
{
	if (r->action == ACTION_HISTOGRAM && r->interval == 0 && optind < argc)
		r->interval = read_interval(argv[optind++]);
	if (optind < argc)
		cli_usage("'%s': there are no operands; -d names a store, -g looks for a text", argv[optind]);
}

static void
set_times(struct query *q, const struct raw *raw, bool utc)
{
	double now = when_now(), since;

	if (raw->since != NULL)
		q->since = read_time("--since", raw->since, now, utc);
	if (raw->until != NULL)
		q->until = read_time("--until", raw->until, now, utc);
	if (raw->window != NULL) {
		/* Younger than the window, not as old as it. */
		since = nextafter(now - cli_duration("--timewindow", raw->window, 0, INFINITY), INFINITY);
		q->since = since > q->since ? since : q->since;
	}
}

static void
set_view(struct request *r, const struct raw *raw)
{
	bool terminal = isatty(STDOUT_FILENO);

	r->view.color = want_color(raw->color, terminal);
	r->view.guarded = terminal;
	r->view.watchdogs = r->query.watchdog_count != 1;
	if (r->output == NULL)
		r->output = terminal ? &output_text : &output_ndjson;
	r->pager = r->pager && terminal && !r->follow && r->output == &output_text &&
	    r->action < ACTION_BACKUP;
}

void
request_parse(struct request *r, int argc, char *argv[])
{
	struct cli cli = { .program = "monitor-query", .synopsis = "[OPTION]...",
	    .about = "Ask a store for its records, or the daemon before it.", .options = options, .argc = argc, .argv = argv };
	struct raw raw = { .case_sensitive = -1 };
	struct error e;
	int key;

	*r = (struct request){ .query = query_all(), .pager = true };
	while ((key = cli_next(&cli)) != -1)
		if (!remote_take(&r->remote, key) && !take_filter(r, &raw, key) &&
		    !take_action(r, &raw, key))
			take_shape(r, &raw, key);
	if (r->top > 0 && raw.actions == 0)
		r->action = ACTION_SENDERS;
	remote_check(&r->remote, raw.store);
	check(r, &raw);
	take_operands(r, argc, argv);
	r->store = r->remote.url != NULL ? r->remote.url :
	    raw.store != NULL ? raw.store : cli_read_store(STORE_DEFAULT);
	r->shown = cli_shown(r->store);
	r->query.watchdogs = raw.watchdogs;
	r->query.senders = raw.senders;
	set_times(&r->query, &raw, r->view.utc);
	if (raw.pattern != NULL)
		read_pattern(r, &raw);
	if (raw.after != NULL) {
		if (cursor_parse(raw.after, &r->cursor, &e) == -1)
			cli_usage("--after-cursor: %s", e.text);
		r->query.after = &r->cursor;
	}
	set_view(r, &raw);
}

void
request_free(struct request *r)
{
	match_free(&r->match);
	free(r->shown);
	free((void *)(uintptr_t)r->query.watchdogs);
	free((void *)(uintptr_t)r->query.senders);
}
