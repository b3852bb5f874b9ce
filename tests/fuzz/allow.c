/*
 * Give the reader of allow files any bytes at all. Who is let in must stand in the file, under a
 * key, and may do what stands behind that, nothing else.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which mutates seeds of its own:
 *     fuzz-allow [RUNS [SEED]]
 */
#include "monitor-zmq/allow.h"
#include "monitor-zmq/key.h"
#include "textfile.h"

#define STRANGER "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

static unsigned long accepted;

static bool
says(struct str rights, const char *what, const char *value)
{
	struct str word;
	char right[80];

	snprintf(right, sizeof(right), "%s%s", what, value);
	while ((word = str_take_word(&rights)).len > 0)
		if (str_equal(word, str_of(right)))
			return true;
	return false;
}

/* What a line says, read in the plainest way. */
static void
try_line(const struct allow *a, struct str line)
{
	struct str key = str_take_word(&line), name = str_take_word(&line), known;

	if (key.len == 0 || key.data[0] == '#')
		return;
	require(key_valid(key) && name.len > 0, "a line without key and name");
	require(allow_has(a, key, &known) && str_equal(known, name), "it is not let in, or under another name");
	require(allow_action(a, key, str_of("w1"), str_of("getLogs")) ==
	    ((says(line, "watchdog=", "w1") || says(line, "watchdog=", "*")) &&
	    (says(line, "action=", "getLogs") || says(line, "action=", "*"))), "it may do something else");
}

static void
proper_list(const struct allow *a)
{
	struct str rest = input, line;

	while (str_take_line(&rest, &line))
		try_line(a, line);
	if (memmem(input.data, input.len, STRANGER, strlen(STRANGER)) == NULL)
		require(!allow_has(a, str_of(STRANGER), NULL), "a stranger is let in");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = { .kind = ERROR_NONE };
	struct allow *a;

	input = (struct str){ (const char *)data, size };
	if ((a = allow_read(textfile(input), &e)) != NULL) {
		accepted++;
		proper_list(a);
	} else {
		require(e.kind == ERROR_INVALID && e.text[0] != '\0', "no proper error");
	}
	allow_free(&a);
	return 0;
}

#ifdef FUZZ_STANDALONE

#include "mutate.h"

#define A "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
#define C "%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0"

static const char *const seeds[] = {
	"# who may\n\n" A " north\n" STRANGER " south watchdog=w1 action=getLogs\n",
	A " a watchdog=* action=uploadLogs action=getLogs\r\n\t" C " c action=*",
	C " c watchdog=w1 watchdog=w2 action=getRecords\n#" A " a\n",
};

static const char *const pieces[] = {
	"\n", "\r\n", " ", "\t", "#", "\n#", A, C, STRANGER, A " a", "\n" STRANGER " b", "watchdog=", "action=",
	" watchdog=w1", " watchdog=*", " action=getLogs", " action=*", " action=getlogs", "*", "=", "0", "\xff",
};

int
main(int argc, char **argv)
{
	struct mutate m = { seeds, COUNT(seeds), pieces, COUNT(pieces), 0 };
	unsigned long runs = mutate_main(&m, argc, argv, 60000, mutate_seed);

	require(runs < 1000 || accepted > runs / 20, "hardly any file was taken");
	printf(", %lu files taken\n", accepted);
	return 0;
}

#endif
