/*
 * measure - run a command and say what it took:
 *
 *   measure [-f] [-i FILE] [-o FILE] COMMAND [ARG]...
 *
 * prints "SECONDS CPU-SECONDS PEAK-KB" on standard output. -i and -o are the
 * command's standard input and output (/dev/null where not given). With -f the
 * time is that until the first byte of its output, and the rest is not read.
 * Exits with the command's status; with -f, 0 if a byte came.
 *
 * The peak is the largest resident set of any one process that the command
 * consisted of. A small program forks it, because what the parent has resident
 * at the fork counts for the child.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "percentile.h"

static double
seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static void
redirect(const char *path, int flags, int fd)
{
	int from = open(path, flags, 0644);

	if (from == -1 || dup2(from, fd) == -1)
		err(126, "%s", path);
	if (from != fd)
		close(from);
}

_Noreturn static void
run(char **command, const char *in, const char *out, const int pipe_fds[2])
{
	redirect(in, O_RDONLY, STDIN_FILENO);
	if (pipe_fds[1] == -1)
		redirect(out, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
	else if (dup2(pipe_fds[1], STDOUT_FILENO) == -1)
		err(126, "dup2");
	if (pipe_fds[1] != -1) {
		close(pipe_fds[0]);
		close(pipe_fds[1]);
	}
	execvp(command[0], command);
	err(127, "%s", command[0]);
}

/* Wait for the first byte; true if one came. */
static bool
first_byte(int fd)
{
	char c;
	ssize_t n;

	while ((n = read(fd, &c, 1)) == -1 && errno == EINTR)
		continue;
	close(fd);
	return n == 1;
}

int
main(int argc, char **argv)
{
	const char *in = "/dev/null", *out = "/dev/null";
	int pipe_fds[2] = { -1, -1 }, option, status;
	bool first = false, came = false;
	struct rusage use;
	double start, took;
	pid_t pid;

	while ((option = getopt(argc, argv, "+fi:o:")) != -1) {
		switch (option) {
		case 'f': first = true; break;
		case 'i': in = optarg; break;
		case 'o': out = optarg; break;
		default: return 2;
		}
	}
	if (optind == argc)
		errx(2, "usage: measure [-f] [-i FILE] [-o FILE] COMMAND [ARG]...");
	if (first && pipe(pipe_fds) == -1)
		err(1, "pipe");
	start = monotonic();
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0)
		run(argv + optind, in, out, pipe_fds);
	if (first) {
		close(pipe_fds[1]);
		came = first_byte(pipe_fds[0]);
	}
	took = monotonic() - start;
	if (waitpid(pid, &status, 0) == -1)
		err(1, "waitpid");
	if (!first)
		took = monotonic() - start;
	if (getrusage(RUSAGE_CHILDREN, &use) == -1)
		err(1, "getrusage");
	printf("%.6f %.6f %ld\n", took, seconds(use.ru_utime) + seconds(use.ru_stime), use.ru_maxrss);
	if (first)
		return !came;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
