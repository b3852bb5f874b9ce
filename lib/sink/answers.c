#include "sink/answers.h"

#include <stdlib.h>
#include <string.h>

#include "scan.h"

#define SIZE 65536

struct sink_answers {
	struct ndjson *reader;
	size_t at, len;            /* what has not been taken: data[at..len) */
	size_t searched;           /* no newline before here */
	bool overlong;             /* let the rest of this line pass by */
	char data[SIZE];
};

struct sink_answers *
sink_answers_new(struct error *e)
{
	const struct ndjson_defaults none = { .kind = RECORD_LOG };
	struct sink_answers *a = malloc(sizeof(*a));

	if (a == NULL) {
		error_memory(e);
		return NULL;
	}
	sink_answers_reset(a);
	if ((a->reader = ndjson_new(&none, e)) == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

void
sink_answers_free(struct sink_answers **a)
{
	if (*a == NULL)
		return;
	ndjson_free(&(*a)->reader);
	free(*a);
	*a = NULL;
}

void
sink_answers_reset(struct sink_answers *a)
{
	a->at = a->len = a->searched = 0;
	a->overlong = false;
}

char *
sink_answers_room(struct sink_answers *a, size_t *size)
{
	if (a->at > 0) {
		memmove(a->data, a->data + a->at, a->len - a->at);
		a->len -= a->at;
		a->searched -= a->at;
		a->at = 0;
	}
	*size = SIZE - a->len;
	return a->data + a->len;
}

void
sink_answers_add(struct sink_answers *a, size_t n)
{
	a->len += n;
}

/* The usual acknowledgement, {"ack":{"source":"S","seq":N}}. Whether S is proper
 * UTF-8 does not matter: a name that nobody has is nobody's. */
static bool
read_usual(struct str line, struct ndjson_answer *out)
{
	static const char head[] = "{\"ack\":{\"source\":\"", seq[] = "\",\"seq\":", tail[] = "}}";
	const char *p = line.data, *end = p + line.len, *name;

	if (!scan_text(&p, end, head, sizeof(head) - 1))
		return false;
	for (name = p; p < end && *p != '"'; p++)
		if (*p == '\\')
			return false;
	out->type = NDJSON_ACK;
	out->source = (struct str){ name, (size_t)(p - name) };
	return scan_text(&p, end, seq, sizeof(seq) - 1) && scan_digits(&p, end, &out->seq) &&
	    scan_text(&p, end, tail, sizeof(tail) - 1) && p == end;
}

/* There is no newline yet. */
static void
wait_for_rest(struct sink_answers *a)
{
	a->searched = a->len;
	if (a->at == 0 && a->len == SIZE) {
		a->at = a->len;
		a->overlong = true;
	}
}

int
sink_answers_next(struct sink_answers *a, struct ndjson_answer *out, struct error *e)
{
	const char *newline = memchr(a->data + a->searched, '\n', a->len - a->searched);
	struct str line;

	if (newline == NULL) {
		wait_for_rest(a);
		return 0;
	}
	line = (struct str){ a->data + a->at, (size_t)(newline - a->data) - a->at };
	a->at = a->searched = (size_t)(newline + 1 - a->data);
	if (a->overlong) {
		a->overlong = false;
		return error_set(e, ERROR_INVALID, "longer than %d bytes", SIZE);
	}
	if (read_usual(line, out))
		return 1;
	return ndjson_read_answer(a->reader, line, out, e) == 0 ? 1 : -1;
}
