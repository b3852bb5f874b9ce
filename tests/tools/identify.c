/*
 * identify - who is there, for tests of lib/auth.
 *
 *   identify [--none] [--tokens FILE] [--key FILE] [--url URL] [--ca FILE]
 *            [--insecure] [--fresh S] [--retry S] [--timeout S] [--now TIME]
 *
 * Each line of standard input is a token, or a command; each gets its answer on
 * standard output, at once:
 *   TOKEN            who that is, until when; or what the wire says. First "later"
 *                    where another key may help, and how fetching it went
 *   !refresh !reload as the daemon does them: "done", or "failed: " and why
 *   !due !ready      yes or no
 *   !holds           is whoever was let in last still to be let in?
 *   !local           who is there without a token
 *   !begin           !refresh, on a thread: it is answered when it ends
 *   !cancel          from now on no fetch succeeds; not answered
 *   !text TOKEN      what of it is signed
 *   !new CODE ROLE   a new opaque token, and its line for the file
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "when.h"

static struct identity last;

static void
show(const struct identity *who)
{
	printf("%s %s", auth_role_name(who->role), who->watchdog);
	if (who->user[0] != '\0')
		printf(" (%s)", who->user);
	if (isfinite(who->expires))
		printf(" until %.17g", who->expires);
	putchar('\n');
	last = *who;
}

static void
done(int r, const struct error *e)
{
	if (r == 0)
		puts("done");
	else
		printf("failed: %s\n", e->text);
}

static void *
refresh(void *arg)
{
	struct error e;
	int r = auth_refresh(arg, &e);

	done(r, &e);
	return NULL;
}

static pthread_t
begin(struct auth *a)
{
	pthread_t worker;

	if (pthread_create(&worker, NULL, refresh, a) != 0)
		abort();
	return worker;
}

static void
check(struct auth *a, struct str token, double now)
{
	struct identity who;
	struct error e = { .text = "" };
	enum auth_result r;

	while ((r = auth_check(a, token, now, &who, &e)) == AUTH_LATER) {
		puts("later");
		pthread_join(begin(a), NULL);
	}
	if (r == AUTH_OK)
		show(&who);
	else if (r == AUTH_FAILED)
		printf("no verdict: %s\n", e.text);
	else
		printf("%s: %s\n", auth_comment(r), e.text);
}

static void
show_text(struct str json, double now)
{
	struct error e = { .text = "" };
	struct token t;
	enum token_result r = token_read(&t, json, now, &e);

	printf("%.*s\n", r == TOKEN_OK ? (int)t.text.len : (int)strlen(e.text),
	    r == TOKEN_OK ? t.text.data : e.text);
	token_free(&t);
}

static void
new_token(const char *code, const char *role)
{
	char token[AUTH_TOKEN_SIZE];
	struct buf line = { 0 };
	enum auth_role r;
	struct error e;

	if (auth_role_parse(str_of(role), &r) == -1)
		puts("failed: no such role");
	else if (auth_new_token(str_of(code), r, token, &line, &e) == -1)
		printf("failed: %s\n", e.text);
	else
		printf("%s\n%.*s", token, (int)line.len, line.data);
	buf_free(&line);
}

static void
command(struct auth *a, char *line, double now)
{
	char *save = NULL, *verb = strtok_r(line, " ", &save), *code, *role;
	struct identity who;
	struct error e;

	if (strcmp(verb, "!text") == 0) {
		show_text(str_of(save), now);
	} else if (strcmp(verb, "!refresh") == 0) {
		done(auth_refresh(a, &e), &e);
	} else if (strcmp(verb, "!begin") == 0) {
		pthread_detach(begin(a));
	} else if (strcmp(verb, "!reload") == 0) {
		done(auth_reload(a, &e), &e);
	} else if (strcmp(verb, "!due") == 0) {
		puts(auth_due(a) ? "yes" : "no");
	} else if (strcmp(verb, "!ready") == 0) {
		puts(auth_ready(a) ? "yes" : "no");
	} else if (strcmp(verb, "!holds") == 0) {
		puts(auth_holds(a, &last) ? "yes" : "no");
	} else if (strcmp(verb, "!cancel") == 0) {
		auth_cancel(a);
	} else if (strcmp(verb, "!local") == 0) {
		if (auth_local(a, &who))
			show(&who);
		else
			puts("nobody");
	} else if (strcmp(verb, "!new") == 0 && (code = strtok_r(NULL, " ", &save)) != NULL &&
	    (role = strtok_r(NULL, " ", &save)) != NULL) {
		new_token(code, role);
	} else {
		puts("what?");
	}
}

static int
options(int argc, char **argv, struct auth_settings *s, double *now)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--none") == 0)
			s->none = true;
		else if (strcmp(argv[i], "--insecure") == 0)
			s->key.insecure = true;
		else if (i + 1 == argc)
			return -1;
		else if (strcmp(argv[i], "--tokens") == 0)
			s->tokens = argv[++i];
		else if (strcmp(argv[i], "--key") == 0)
			s->key.file = argv[++i];
		else if (strcmp(argv[i], "--url") == 0)
			s->key.url = argv[++i];
		else if (strcmp(argv[i], "--ca") == 0)
			s->key.ca = argv[++i];
		else if (strcmp(argv[i], "--fresh") == 0)
			s->key.fresh = strtod(argv[++i], NULL);
		else if (strcmp(argv[i], "--retry") == 0)
			s->key.retry = strtod(argv[++i], NULL);
		else if (strcmp(argv[i], "--timeout") == 0)
			s->key.timeout = strtod(argv[++i], NULL);
		else if (strcmp(argv[i], "--now") == 0)
			*now = strtod(argv[++i], NULL);
		else
			return -1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct auth_settings s = { .key = { .fresh = AUTHKEY_FRESH, .retry = AUTHKEY_RETRY,
	    .timeout = AUTHKEY_TIMEOUT } };
	double now = when_now();
	char *line = NULL;
	struct auth *a;
	struct error e;
	size_t room = 0;
	ssize_t len;

	if (options(argc, argv, &s, &now) == -1) {
		fprintf(stderr, "identify: which option?\n");
		return 2;
	}
	if ((a = auth_new(&s, &e)) == NULL) {
		fprintf(stderr, "identify: %s\n", e.text);
		return e.kind == ERROR_USAGE ? 2 : 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((len = getline(&line, &room, stdin)) != -1) {
		if (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		if (line[0] == '!')
			command(a, line, now);
		else
			check(a, (struct str){ line, (size_t)len }, now);
	}
	free(line);
	auth_free(&a);
	return 0;
}
