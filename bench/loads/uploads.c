/*
 * Uploads: the records of the corpus, again and again, each with the time at which it is sent.
 */
#include "requests.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "ndjson.h"

#define MESSAGES_MAX 256
#define TIME_SIZE 17           /* 1732280000.123456 */

/* A message, and where the times stand in it. */
struct message {
	struct buf text;
	size_t *times;
};

struct uploads {
	size_t records;            /* in a message */
	size_t count, next;
	struct message messages[MESSAGES_MAX];
};

static void
check(int failed)
{
	if (failed != 0)
		errx(1, "out of memory");
}

static void
add_record(struct message *m, size_t nth, const struct record *r)
{
	check(buf_printf(&m->text, "%s{\"level\":%" PRId64 ",\"time\":", nth > 0 ? "," : "", r->level));
	m->times[nth] = m->text.len;
	check(buf_printf(&m->text, "%.*s,\"sender\":", TIME_SIZE, "0000000000.000000"));
	check(ndjson_write_string(&m->text, r->sender));
	check(buf_printf(&m->text, ",\"message\":"));
	check(ndjson_write_string(&m->text, r->message));
	check(buf_add(&m->text, "}", 1));
}

/* The next record of the corpus, which begins again at its end. */
static struct record
next_record(FILE *corpus, struct ndjson *reader, char **text, size_t *size)
{
	struct ndjson_line line;
	struct error e;
	ssize_t len;

	if ((len = getline(text, size, corpus)) == -1) {
		rewind(corpus);
		if ((len = getline(text, size, corpus)) == -1)
			errx(1, "no records");
	}
	len -= (*text)[len - 1] == '\n';
	if (ndjson_read(reader, (struct str){ *text, (size_t)len }, &line, &e) == -1)
		errx(1, "%s", e.text);
	return line.record;
}

static void
make_message(struct message *m, size_t records, FILE *corpus, struct ndjson *reader)
{
	char *text = NULL;
	size_t size = 0;
	struct record r;

	if ((m->times = calloc(records, sizeof(*m->times))) == NULL)
		err(1, NULL);
	check(buf_printf(&m->text, "{\"action\":\"uploadLogs\",\"logs\":["));
	for (size_t i = 0; i < records; i++) {
		r = next_record(corpus, reader, &text, &size);
		add_record(m, i, &r);
	}
	check(buf_add(&m->text, "]}", 2));
	free(text);
}

static void
make_messages(struct uploads *u, const struct load *l)
{
	const struct ndjson_defaults defaults = { .kind = RECORD_LOG, .watchdog = str_of("local") };
	struct ndjson *reader;
	struct error e;
	FILE *corpus;

	if (l->corpus == NULL)
		errx(2, "which records? -f CORPUS");
	if ((corpus = fopen(l->corpus, "r")) == NULL)
		err(1, "%s", l->corpus);
	if ((reader = ndjson_new(&defaults, &e)) == NULL)
		errx(1, "%s", e.text);
	u->records = l->records;
	for (u->count = 0; u->count < MESSAGES_MAX; u->count++)
		make_message(&u->messages[u->count], l->records, corpus, reader);
	ndjson_free(&reader);
	fclose(corpus);
}

static struct str
next_upload(void *arg, size_t i)
{
	struct uploads *u = arg;
	struct message *m = &u->messages[u->next++ % u->count];
	char now[48];
	struct timespec t;

	(void)i;
	clock_gettime(CLOCK_REALTIME, &t);
	snprintf(now, sizeof(now), "%010jd.%06ld", (intmax_t)t.tv_sec, t.tv_nsec / 1000);
	for (size_t n = 0; n < u->records; n++)
		memcpy(m->text.data + m->times[n], now, TIME_SIZE);
	return (struct str){ m->text.data, m->text.len };
}

void
load_uploads(const struct load *l)
{
	struct requests_result result;
	struct uploads u = { 0 };
	double rate;

	make_messages(&u, l);
	result = requests_run(l, next_upload, &u);
	rate = (double)result.answers / result.seconds;
	printf("%.1f %.1f ", rate, rate * (double)l->records);
	printf("%.6f ", latencies_at(&result.took, 0.5));
	printf("%.6f ", latencies_at(&result.took, 0.99));
	printf("%.6f %.3f\n", latencies_at(&result.took, 1), result.connect);
	free(result.took.seconds);
	for (size_t i = 0; i < u.count; i++) {
		buf_free(&u.messages[i].text);
		free(u.messages[i].times);
	}
}
