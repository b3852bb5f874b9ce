#include "pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

enum { WORDS = 32 };

static const int fatal[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };

static pid_t pager;   /* 0: none. The signal handlers have no other way to it. */

/* The pager shares our terminal: it must be gone before the shell is back. */
static void
end_with_pager(int signal)
{
	close(STDOUT_FILENO);
	while (waitpid(pager, NULL, 0) == -1 && errno == EINTR)
		;
	raise(signal);   /* SA_RESETHAND: this time it kills, as soon as we return */
}

/* Could it not be run? A shell says so by 126 or 127, and on standard error. */
static bool
not_run(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) >= 126;
}

/* Whoever leaves the pager has seen enough. */
static void
child_ended(int signal)
{
	int saved = errno, status;

	(void)signal;
	if (waitpid(pager, &status, WNOHANG) == pager)
		_exit(not_run(status) ? EXIT_QUERY_ERROR : EXIT_SUCCESS);
	errno = saved;
}

static void
handle_signals(void)
{
	struct sigaction ending = { .sa_handler = end_with_pager, .sa_flags = (int)SA_RESETHAND };
	struct sigaction ended = { .sa_handler = child_ended,
	    .sa_flags = SA_RESTART | SA_NOCLDSTOP };

	sigemptyset(&ending.sa_mask);
	sigaddset(&ending.sa_mask, SIGCHLD);
	sigemptyset(&ended.sa_mask);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaction(fatal[i], &ending, NULL);
	sigaction(SIGCHLD, &ended, NULL);
}

/* Cut a command at its blanks, in place; one with anything in it that means
 * something to a shell is left to a shell. Returns the number of words. */
static size_t
cut_words(char *command, char *words[WORDS + 1])
{
	static char shell[] = "sh", option[] = "-c";
	size_t n = 0;
	char *save, *word;

	if (strpbrk(command, "|&;<>()$`\\\"'*?[#~=%\n") != NULL) {
		words[n++] = shell;
		words[n++] = option;
		words[n++] = command;
	} else {
		for (word = strtok_r(command, " \t", &save); word != NULL && n < WORDS;
		    word = strtok_r(NULL, " \t", &save))
			words[n++] = word;
	}
	words[n] = NULL;
	return n;
}

/* Start the program with `input` as its standard input: an errno. */
static int
spawn(char *words[], int input)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t set, before;
	pid_t pid;
	int status;

	if ((status = posix_spawn_file_actions_init(&actions)) != 0)
		return status;
	if ((status = posix_spawnattr_init(&attributes)) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return status;
	}
	/* Its end must not be reported before we know its name. */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &before);
	posix_spawnattr_setsigmask(&attributes, &before);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	posix_spawnattr_setsigdefault(&attributes, &set);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	status = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	if (status == 0)
		status = posix_spawnp(&pid, words[0], &actions, &attributes, words, environ);
	if (status == 0) {
		pager = pid;
		handle_signals();
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return status;
}

/* Try one pager. False: take the next. */
static bool
try_pager(const char *command)
{
	char *copy = strdup(command), *words[WORDS + 1];
	int pipes[2], status = 0;
	bool done = true;

	if (copy == NULL || cut_words(copy, words) == 0 || strcmp(words[0], "cat") == 0) {
		free(copy);
		return true;
	}
	if (pipe2(pipes, O_CLOEXEC) == -1) {
		status = errno;
	} else {
		status = spawn(words, pipes[0]);
		if (status == 0 && dup2(pipes[1], STDOUT_FILENO) == -1)
			cli_die(EXIT_QUERY_ERROR, "standard output: %s", strerror(errno));
		close(pipes[0]);
		close(pipes[1]);
	}
	if (status != 0) {
		cli_warn("pager '%s': %s", command, strerror(status));
		done = false;
	}
	free(copy);
	return done;
}

void
pager_start(void)
{
	const char *const commands[] = { getenv("MONITOR_PAGER"), getenv("PAGER"), "less" };

	if (setenv("LESS", "FRSXMK", 0) == -1)
		return;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i] != NULL && try_pager(commands[i]))
			return;
}

int
pager_wait(void)
{
	int status = 0;

	if (pager == 0)
		return 0;
	signal(SIGCHLD, SIG_DFL);
	/* They are for the pager now. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	while (waitpid(pager, &status, 0) == -1 && errno == EINTR)
		;
	return not_run(status) ? -1 : 0;
}
