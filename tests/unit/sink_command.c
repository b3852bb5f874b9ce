/* sink.h: a sink that is a command, and how it ends. */
#include "sink_rig.h"

#include <sys/stat.h>

/* Acknowledge every line, at once. */
#define ACK "sed -u 's/{\\(.*\\)}/{\"ack\":{\\1}}/'"

/* The first line of a file, without its newline. */
static const char *
line_of(const char *path)
{
	static char text[256];
	FILE *f = fopen(path, "r");

	text[0] = '\0';
	if (f != NULL && fgets(text, sizeof(text), f) != NULL)
		text[strcspn(text, "\n")] = '\0';
	if (f != NULL)
		fclose(f);
	return text;
}

/* The field "NAME:" of /proc/PID/status. */
static const char *
status_of(const char *pid, const char *name)
{
	static char line[256];
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	if ((f = fopen(path, "r")) == NULL)
		fixture_fail(path, strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL && strncmp(line, name, strlen(name)) != 0)
		;
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return line + strlen(name) + 2;
}

static void
writes_and_hears(void)
{
	struct rig r;

	rig_begin_command(&r, ACK);
	tap_ok(!sink_up(r.sink), "nothing is started at first");
	rig_offer(&r, "a", 1, 1000);
	rig_offer(&r, "b", 1, 1);
	tap_ok(rig_settle(&r, 2), "a command that acknowledges settles");
	rig_offer(&r, "a", 1001, 1001);
	tap_ok(rig_settle(&r, 3), "line by line");
	tap_ok(sink_up(r.sink) && rig_stats(&r).lines == 1002 && rig_stats(&r).starts == 1,
	    "one start is enough");
	tap_is(r.said.data, "", "there is nothing to say about it");
	tap_ok(rig_end(&r, 60) == 0, "it ends when its input does");
}

static void
a_clean_slate(void)
{
	int leak = open(".", O_RDONLY);   /* not O_CLOEXEC */
	struct stat ours, theirs;
	sigset_t some, before;
	const char *pid;
	char path[64];
	struct rig r;

	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	sigaddset(&some, SIGUSR1);
	sigprocmask(SIG_BLOCK, &some, &before);
	signal(SIGHUP, SIG_IGN);
	rig_begin_command(&r, "echo $$ >pid; exec " ACK);
	rig_offer(&r, "a", 1, 1);
	rig_settle(&r, 1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGHUP, SIG_DFL);
	pid = line_of("pid");
	tap_is(status_of(pid, "SigBlk"), "0000000000000000", "a child blocks no signal");
	tap_ok((strtoull(status_of(pid, "SigIgn"), NULL, 16) & 0x7fffffff) == 0, "and ignores none");
	tap_ok(rig_descriptors(pid) == 3, "it has three descriptors");
	tap_ok(getsid((pid_t)atoi(pid)) == atoi(pid), "and a session of its own");
	snprintf(path, sizeof(path), "/proc/%s/fd/2", pid);
	tap_ok(stat(path, &theirs) == 0 && fstat(STDERR_FILENO, &ours) == 0 &&
	    theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino, "the standard error is ours");
	rig_end(&r, 60);
	tap_ok(kill((pid_t)atoi(pid), 0) == -1 && errno == ESRCH, "none is left over");
	close(leak);
}

static void
how_it_ends(void)
{
	static const struct { const char *script, *said, *title; } cases[] = {
		{ "exit 3", "sh: ended with status 3", "a status is told" },
		{ "kill -9 $$", "sh: killed by SIGKILL", "a signal is told" },
		{ "exec <&-; exec sleep 100", "sh: killed by SIGKILL",
		    "one that does not read is ended" },
		{ "exec >&-; exec sleep 100", "sh: killed by SIGKILL",
		    "one that cannot answer is ended" },
	};
	char want[128], script[256];
	struct rig r;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unlink("once");
		snprintf(script, sizeof(script), "[ -e once ] && exec " ACK "; >once; %s",
		    cases[i].script);
		snprintf(want, sizeof(want), "<4>%s; trying again\n", cases[i].said);
		rig_begin_command(&r, script);
		tap_ok(rig_hear(&r, want), "%s", cases[i].title);
		rig_offer(&r, "a", 1, 2);
		tap_ok(rig_settle(&r, 1) && rig_stats(&r).starts == 2, "it is started again");
		tap_ok(strstr(r.said.data, "<5>sh: is back\n") != NULL, "and back");
		rig_end(&r, 60);
	}
}

static void
again_and_again(void)
{
	char *fails[] = { (char *)"sh", (char *)"-c", (char *)"exit 1", NULL };
	struct sink_stats s;
	struct rig r;

	rig_begin_command(&r, "head -n 1 | " ACK "; exit 1");
	for (int i = 1; i <= 5; i++)
		rig_offer(&r, "a", i, i);
	tap_ok(rig_settle(&r, 5), "one that fails after each line gets all done");
	tap_is(r.settled.data, "a:1-1 a:2-2 a:3-3 a:4-4 a:5-5 ", "in order");
	s = rig_stats(&r);
	tap_ok(s.starts == 5 && s.resent == 4 + 3 + 2 + 1, "by being started for each");
	rig_end(&r, 60);
	rig_begin(&r, (struct sink_settings){ .command = fails, .retry_min = 0.2, .retry_max = 0.2 });
	while (rig_stats(&r).starts < 4 && rig_turn(&r))
		;
	tap_is(r.said.data, "<4>sh: ended with status 1; trying again\n",
	    "one that fails at once, again and again, is told once");
	rig_end(&r, 60);
}

/* A script, as a command of its own. */
static void
install(const char *script)
{
	fixture_write("new", script, strlen(script));
	if (chmod("new", 0755) == -1 || rename("new", "command") == -1)
		fixture_fail("command", strerror(errno));
}

static void
no_command(void)
{
	char *command[] = { (char *)"./command", NULL };
	struct sink_settings settings = { .command = command };
	struct rig r;

	rig_begin(&r, settings);
	tap_ok(!rig_work(&r) && r.error.kind == ERROR_ABSENT, "a command that is not there is an error");
	tap_is(r.error.text, "./command: No such file or directory", "that says so");
	rig_end(&r, 60);
	fixture_write("command", "", 0);
	rig_begin(&r, settings);
	tap_ok(!rig_work(&r) && r.error.kind == ERROR_DENIED, "and so is one that cannot be executed");
	rig_end(&r, 60);
	install("#!/bin/sh\nrm command\n");
	rig_begin(&r, settings);
	while (access("command", F_OK) == 0 && rig_turn(&r))
		;
	for (int i = 0; i < 10; i++)
		rig_turn(&r);
	tap_is(r.said.data, "<4>./command: ended with status 0; trying again\n",
	    "but one that was there before is tried again, without a word");
	install("#!/bin/sh\nexec " ACK "\n");
	rig_offer(&r, "a", 1, 1);
	tap_ok(rig_settle(&r, 1), "until it is there");
	rig_end(&r, 60);
}

static void
never_reads(void)
{
	struct rig r;

	rig_begin_command(&r, "exec sleep 100");
	for (int i = 0; i < 100; i++)
		rig_offer(&r, "a", i * 1000, i * 1000 + 999);
	rig_work(&r);
	sink_flush(r.sink);
	tap_ok(sink_up(r.sink) && !rig_ready(&r), "a child that does not read holds nobody up");
	tap_ok(rig_end(&r, 0.01) == 100000, "nor at the end, when patience is over");
}

static void
in_the_end(void)
{
	struct rig r;

	rig_begin_command(&r, "echo $$ >pid; sed -n '$s/{\\(.*\\)}/{\"ack\":{\\1}}/p'; echo done >done");
	rig_offer(&r, "a", 1, 5);
	rig_offer(&r, "a", 6, 9);
	rig_work(&r);
	tap_ok(rig_end(&r, 60) == 0, "what is acknowledged in the end is not left over");
	tap_is(line_of("done"), "done", "a child may take its time to end");
	rig_begin_command(&r, "cat >/dev/null");
	rig_offer(&r, "a", 1, 5);
	rig_offer(&r, "a", 6, 9);
	rig_work(&r);
	tap_ok(rig_end(&r, 60) == 9, "what is not acknowledged is counted, in lines");
	rig_begin_command(&r, "exit 1");
	rig_hear(&r, "trying again");
	rig_offer(&r, "a", 1, 5);
	tap_ok(rig_end(&r, 60) == 5, "also when nobody is there");
}

/* Much is said, just as much as is read at a time, and then no more. */
static void
last_words(void)
{
	struct rig r;

	unlink("once");
	rig_begin_command(&r, "[ -e once ] && exec " ACK "; >once; head -c 65536 /dev/zero | tr '\\0' '\\n'; "
	    "exec >&-; >closed; exec sleep 100");
	rig_work(&r);
	while (access("closed", F_OK) == -1)
		poll(NULL, 0, 1);
	tap_ok(rig_hear(&r, "killed by SIGKILL"), "the end behind its last words is seen");
	rig_end(&r, 60);
}

int
main(void)
{
	static void (*const tests[])(void) = { writes_and_hears, a_clean_slate, how_it_ends,
		again_and_again, no_command, never_reads, last_words, in_the_end,
		NULL };

	return rig_main(tests);
}
