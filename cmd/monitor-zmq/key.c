#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 4096

/* What a character of Z85 stands for; -1: it is none. */
static int
digit(char c)
{
	static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    ".-:+=^!/*?&<>()[]{}@%$#";
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

bool
key_valid(struct str text)
{
	uint64_t word = 0;
	int d;

	if (text.len != KEY_SIZE - 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (i % 5 == 0)
			word = 0;
		if ((d = digit(text.data[i])) == -1)
			return false;
		/* Five characters are four bytes: not all that can be written fits. */
		word = word * 85 + (uint64_t)d;
		if (word > UINT32_MAX)
			return false;
	}
	return true;
}

/* The first word in the text that is no comment. */
static int
find_key(struct str text, char key[KEY_SIZE], struct error *e)
{
	struct str line, word;

	while (str_take_line(&text, &line)) {
		word = str_take_word(&line);
		if (word.len == 0 || word.data[0] == '#')   /* no key begins so: it would be too large */
			continue;
		if (!key_valid(word))
			break;
		memcpy(key, word.data, word.len);
		key[word.len] = '\0';
		return 0;
	}
	return error_set(e, ERROR_INVALID, "has no key (40 characters of Z85)");
}

static int
read_file(int fd, char key[KEY_SIZE], struct error *e)
{
	char text[FILE_MAX];
	size_t len = 0;
	ssize_t n;
	int r;

	while ((n = read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	if (n == -1)
		r = error_errno(e, errno, "cannot be read");
	else if (len == sizeof(text))
		r = error_set(e, ERROR_INVALID, "is too large to be a key");
	else
		r = find_key((struct str){ text, len }, key, e);
	explicit_bzero(text, sizeof(text));
	return r;
}

static int
check_secret(int fd, struct error *e)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return error_errno(e, errno, "cannot be looked at");
	if ((st.st_mode & S_IRWXO) != 0)
		return error_set(e, ERROR_DENIED,
		    "others may use it: a secret key is for its owner and group (chmod o= it)");
	return 0;
}

static int
read_path(const char *path, bool secret, char key[KEY_SIZE], struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd == -1)
		return error_errno(e, errno, "%s", path);
	r = secret ? check_secret(fd, e) : 0;
	if (r == 0)
		r = read_file(fd, key, e);
	if (r == -1)
		error_prefix(e, "%s", path);
	close(fd);
	return r;
}

int
key_read_secret(const char *path, char key[KEY_SIZE], struct error *e)
{
	return read_path(path, true, key, e);
}

int
key_read_public(const char *text, char key[KEY_SIZE], struct error *e)
{
	/* A path may look like a key, if it is as long as one. */
	if (!key_valid(str_of(text)) || access(text, F_OK) == 0)
		return read_path(text, false, key, e);
	memcpy(key, text, KEY_SIZE);
	return 0;
}
