#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "when.h"

#define BURST 10       /* lines of a kind ... */
#define INTERVAL 10    /* ... in so many seconds */
#define KINDS 16

struct kind {
	const char *name;
	double begun;          /* the interval: when_ticks() */
	unsigned said;
	uint64_t unsaid;
	int priority;          /* of the last that was not shown */
};

static struct {
	const char *program;
	int least;
	bool journal;
	struct kind kinds[KINDS];
} logs = { .program = "monitor", .least = LOG_DEBUG };

/* Is standard error what journald reads, as $JOURNAL_STREAM ("DEVICE:INODE") says? */
static bool
is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	struct stat st;
	char own[64];

	if (text == NULL || fstat(STDERR_FILENO, &st) == -1)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(text, own) == 0;
}

void
log_open(const char *program, int least)
{
	logs.program = program;
	logs.least = least;
	logs.journal = is_journal();
}

/* Nothing in a message may act on a terminal, or look like another line. */
static void
disarm(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

static void
say_va(int priority, const char *fmt, va_list ap)
{
	char text[1024], line[1100];
	int n;

	if (priority > logs.least)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	disarm(text);
	if (logs.journal)
		n = snprintf(line, sizeof(line), "<%d>%s\n", priority, text);
	else
		n = snprintf(line, sizeof(line), "%s: %s\n", logs.program, text);
	/* In one piece; and where it cannot be written, nobody can be told. */
	if (n > 0)
		(void)!write(STDERR_FILENO, line, (size_t)n);
}

void
log_say(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_va(priority, fmt, ap);
	va_end(ap);
}

static struct kind *
find_kind(const char *name)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct kind *k = &logs.kinds[i];

		if (k->name == NULL)
			k->name = name;
		if (strcmp(k->name, name) == 0)
			return k;
	}
	abort();
}

static void
say_rest(struct kind *k)
{
	if (k->unsaid > 0)
		log_say(k->priority, "%s: and %" PRIu64 " more like this", k->name, k->unsaid);
	k->unsaid = 0;
	k->said = 0;
	k->begun = when_ticks();
}

void
log_limited(const char *kind, int priority, const char *fmt, ...)
{
	struct kind *k = find_kind(kind);
	va_list ap;

	if (priority > logs.least)
		return;
	if (when_ticks() - k->begun >= INTERVAL)
		say_rest(k);
	if (k->said == BURST) {
		k->unsaid++;
		k->priority = priority;
		return;
	}
	k->said++;
	va_start(ap, fmt);
	say_va(priority, fmt, ap);
	va_end(ap);
}

void
log_rest(bool end)
{
	for (size_t i = 0; i < KINDS && logs.kinds[i].name != NULL; i++)
		if (end || when_ticks() - logs.kinds[i].begun >= INTERVAL)
			say_rest(&logs.kinds[i]);
}
