/*
 * monitor-zmq keygen - a pair of keys: the secret one to a file, the public one shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "key.h"
#include "socket.h"
#include "verb.h"

static const struct cli_option options[] = {
	{ 0, NULL, NULL, "Options" },
	CLI_COMMON_OPTIONS,
	{ 0 },
};

/* The last part of the path: it becomes a word in allow lists. */
static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;

	if (*name == '\0' || *name == '.' || name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789_.-")] != '\0')
		cli_usage("%s: a name must be of A-Z, a-z, 0-9, _ . and -", path);
	return name;
}

static int
write_all(int fd, const char *text, size_t len, struct error *e)
{
	ssize_t n = write(fd, text, len);

	if (n == -1)
		return error_errno(e, errno, "cannot be written");
	if ((size_t)n != len)
		return error_set(e, ERROR_FULL, "cannot be written whole");
	return fsync(fd) == -1 ? error_errno(e, errno, "cannot be written") : 0;
}

static int
write_secret(const char *path, const char *name, const char *public_key, const char *secret_key,
    struct error *e)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "# The secret key of %.200s. Its public key is\n# %s\n%s\n",
	    name, public_key, secret_key);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640), r;

	if (fd == -1 && errno == EEXIST)
		error_set(e, ERROR_USAGE, "%s: is there already, and is left as it is", path);
	else if (fd == -1)
		error_errno(e, errno, "%s", path);
	r = fd == -1 ? -1 : write_all(fd, text, (size_t)len, e);
	if (fd != -1 && close(fd) == -1 && r == 0)
		r = error_errno(e, errno, "cannot be written");
	if (fd != -1 && r == -1) {
		error_prefix(e, "%s", path);
		unlink(path);
	}
	explicit_bzero(text, sizeof(text));
	return r;
}

static int
keygen(const char *path)
{
	char public_key[KEY_SIZE], secret_key[KEY_SIZE], *file;
	const char *name = name_of(path);
	struct error e;
	int r;

	if (asprintf(&file, "%s.key", path) == -1)
		cli_die(EXIT_ERROR, "out of memory");
	r = socket_keypair(public_key, secret_key, &e);
	if (r == 0)
		r = write_secret(file, name, public_key, secret_key, &e);
	explicit_bzero(secret_key, sizeof(secret_key));
	free(file);
	if (r == -1)
		cli_die(EXIT_ERROR, "%s", e.text);
	printf("%s %s\n", public_key, name);
	return cli_close_stdout() == 0 ? EXIT_SUCCESS : EXIT_ERROR;
}

static int
run(struct cli *cli, char *const *command)
{
	(void)command;
	while (cli_next(cli) != -1)
		;
	if (cli->argc - optind > 1)
		cli_usage("%s: there is one name at most", cli->argv[optind + 1]);
	return keygen(optind < cli->argc ? cli->argv[optind] : "monitor-zmq");
}

const struct verb verb_keygen = {
	.name = "keygen",
	.synopsis = "[OPTION]... [NAME]",
	.about = "Make a pair of keys: the secret one goes to NAME.key, the public one is shown.",
	.options = options,
	.run = run,
};
