/* allow.h and key.h: the files that say who may what. */
#include "allow.h"

#include <sys/stat.h>

#include "fixture.h"
#include "key.h"

#define A "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
#define B "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define C "%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0"   /* the largest */

static void
write_text(const char *path, const char *text)
{
	fixture_write(path, text, strlen(text));
}

/* ---- keys ---- */

static void
keys(void)
{
	tap_ok(key_valid(str_of(A)), "40 characters of Z85 are a key");
	tap_ok(!key_valid(str_of("")) && !key_valid((struct str){ A, 39 }) && !key_valid(str_of(A "0")),
	    "fewer or more are none");
	tap_ok(!key_valid(str_of("\"TKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6")), "nor are others");
	tap_ok(!key_valid((struct str){ "\0TKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6", 40 }),
	    "nor is one with a U+0000 in it");
	tap_ok(key_valid(str_of(C)) &&
	    !key_valid(str_of("%nSc1%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0")),
	    "nor is one that is more than 32 bytes");
}

/* What does the file hold? */
static void
file_is(const char *text, const char *want, const char *name)
{
	char key[KEY_SIZE] = "";
	struct error e;

	write_text("key", text);
	chmod("key", 0600);
	if (key_read_secret("key", key, &e) == -1)
		tap_is(e.text, want, name);
	else
		tap_is(key, want, name);
}

static void
key_files(void)
{
	static const char none[] = "key: has no key (40 characters of Z85)";
	char key[KEY_SIZE], large[5000];
	struct error e;

	file_is(A, A, "a file with a key");
	file_is("# a comment\n\n  \t" A "\r\n", A, "with a comment and spaces");
	file_is("#" A "\n" B "\n", B, "a key that is commented out");
	file_is("", none, "an empty file");
	file_is("x\n" A "\n", none, "another word before the key");
	memset(large, '\n', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	file_is(large, "key: is too large to be a key", "a large file");
	write_text("key", A);
	chmod("key", 0640);
	tap_ok(key_read_secret("key", key, &e) == 0, "its group may read a secret key");
	for (mode_t mode = 1; mode <= 4; mode *= 2) {
		chmod("key", 0600 | mode);
		tap_ok(key_read_secret("key", key, &e) == -1 && e.kind == ERROR_DENIED,
		    "others may not (%o)", (unsigned)mode);
	}
	tap_ok(key_read_public("key", key, &e) == 0 && strcmp(key, A) == 0, "a public key may be read");
	tap_ok(key_read_public(B, key, &e) == 0 && strcmp(key, B) == 0, "or given as it is");
	tap_ok(key_read_public("nothing", key, &e) == -1 && e.kind == ERROR_ABSENT, "or be missing");
}

/* ---- the list ---- */

static bool
may(const struct allow *a, const char *key, const char *watchdog, const char *action)
{
	return allow_action(a, str_of(key), str_of(watchdog), str_of(action));
}

static void
rights(void)
{
	struct error e;
	struct allow *a;
	struct str name;

	write_text("list", "# who may\n\n" B " bert watchdog=w1 watchdog=w2 action=getLogs action=ping\n"
	    "\t" A "  anna \r\n" C " all watchdog=* action=*");
	if ((a = allow_read("list", &e)) == NULL)
		fixture_fail("allow_read", e.text);
	tap_ok(allow_has(a, str_of(A), &name) && str_equal(name, str_of("anna")), "who is in it");
	tap_ok(!allow_has(a, str_of("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf8"), NULL) &&
	    !allow_has(a, str_of("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf"), NULL) &&
	    !allow_has(a, (struct str){ 0 }, NULL), "who is not");
	tap_ok(may(a, B, "w1", "getLogs") && may(a, B, "w2", "getLogs") && may(a, B, "w2", "ping"),
	    "all that is named is allowed");
	tap_ok(!may(a, B, "w3", "getLogs") && !may(a, B, "w", "getLogs") && !may(a, B, "w12", "getLogs") &&
	    !may(a, B, "w1", "getNotifications") && !may(a, B, "w1", "get") && !may(a, B, "*", "*"),
	    "nothing else is");
	tap_ok(!may(a, A, "w1", "getLogs") && !may(a, A, "", ""), "nothing is where nothing is named");
	tap_ok(may(a, C, "w1", "uploadLogs") && may(a, C, "x", "ping"), "everything is with stars");
	allow_free(&a);
	tap_ok(a == NULL, "the list is gone");
}

static void
refused(const char *text, const char *want)
{
	struct error e = { .text = "it was read" };
	struct allow *a;

	write_text("list", text);
	a = allow_read("list", &e);
	tap_is(e.text, want, want);
	allow_free(&a);
}

static void
mistakes(void)
{
	struct error e;

	refused("x anna\n", "list: line 1: must begin with a public key, 40 characters of Z85");
	refused(A " a\n\n" A, "list: line 3: must have a name behind its key");
	refused(A " a watchdog=w.1\n", "list: line 1: watchdog=: not a watchdog's code");
	refused(A " a watchdog=\n", "list: line 1: watchdog=: not a watchdog's code");
	refused(A " a action=getlogs\n", "list: line 1: action=: there is no such action");
	refused(A " a action=\n", "list: line 1: action=: there is no such action");
	refused(A " a getLogs\n", "list: line 1: behind key and name there may only be watchdog=CODE and "
	    "action=ACTION");
	refused(A " a\n" B " b\n" A " c\n", "list: a key is there twice (one is c's)");
	unlink("list");
	tap_ok(allow_read("list", &e) == NULL && e.kind == ERROR_ABSENT, "there is no list");
}

static void
reloading(void)
{
	struct error e;
	struct allow *a;

	write_text("list", A " a\n");
	a = allow_read("list", &e);
	write_text("list", B " b\n");
	tap_ok(allow_has(a, str_of(A), NULL) && !allow_has(a, str_of(B), NULL), "it is not read by itself");
	tap_ok(allow_reload(a, &e) == 0 && !allow_has(a, str_of(A), NULL) && allow_has(a, str_of(B), NULL),
	    "it is read again");
	write_text("list", A " a\nx\n");
	tap_ok(allow_reload(a, &e) == -1 && !allow_has(a, str_of(A), NULL) && allow_has(a, str_of(B), NULL),
	    "and stays as it was where the file is wrong");
	write_text("list", "");
	tap_ok(allow_reload(a, &e) == 0 && !allow_has(a, str_of(B), NULL), "an empty one allows nobody");
	allow_free(&a);
}

int
main(void)
{
	fixture_begin();
	keys();
	key_files();
	rights();
	mistakes();
	reloading();
	return tap_done();
}
