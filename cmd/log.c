#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
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
#define TEXT_SIZE 1024
#define LINE_SIZE (TEXT_SIZE + 80)

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
	uint64_t lost;         /* lines that nobody has taken, since the last that somebody did */
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

/* Would a line be taken at once? Who has stopped reading the log must not stop us. (A pipe
 * or a socket that polls writable takes PIPE_BUF.) */
static bool
is_read(void)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
	int r;

	while ((r = poll(&fd, 1, 0)) == -1 && errno == EINTR)
		;
	return r != 0;
}

static size_t
make_line(char line[LINE_SIZE], int priority, const char *text)
{
	int n = logs.journal ? snprintf(line, LINE_SIZE, "<%d>%s\n", priority, text) :
	    snprintf(line, LINE_SIZE, "%s: %s\n", logs.program, text);

	return n > 0 && n < LINE_SIZE ? (size_t)n : 0;
}

static void
say_va(int priority, const char *fmt, va_list ap)
{
	char text[TEXT_SIZE], lines[2 * LINE_SIZE];
	size_t n = 0;

	if (priority > logs.least)
		return;
	if (!is_read()) {
		logs.lost++;
		return;
	}
	if (logs.lost > 0) {
		snprintf(text, sizeof(text), "%" PRIu64 " lines before this are lost: the log was "
		    "not read", logs.lost);
		n = make_line(lines, LOG_WARNING, text);
	}
	logs.lost = 0;
	vsnprintf(text, sizeof(text), fmt, ap);
	disarm(text);
	n += make_line(lines + n, priority, text);
	/* In one piece; and where it cannot be written, nobody can be told. */
	(void)!write(STDERR_FILENO, lines, n);
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
