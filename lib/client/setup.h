/*
 * setup.h - what a client's settings come to: where it connects, and the message in which it shows
 * its token. Private to client.c.
 */
#ifndef MONITOR_CLIENT_SETUP_H
#define MONITOR_CLIENT_SETUP_H

#include <stdbool.h>

#include "buf.h"
#include "client.h"
#include "error.h"

#define CLIENT_PORT 9000
#define CLIENT_PATH "/ws"

/* A URL taken apart: ws[s]://HOST[:PORT][/PATH]. */
struct client_url {
	bool tls;
	char host[254];         /* a name or an address, without brackets: what is looked up */
	char authority[264];    /* HOST:PORT as the Host header has it */
	int port;
	char *path;             /* the owner's to free */
	bool loopback;          /* this machine, whatever its names are */
};

/* ERROR_USAGE: it is none. (No message quotes what may be a password in it.) */
int client_url_parse(const char *text, struct client_url *u, struct error *e);

/* Append {"action":"auth","token":TOKEN} to `message`, with the token of the settings;
 * without one nothing. The buffer is the caller's to wipe. No error quotes a token. */
int client_auth_message(const struct client_settings *settings, struct buf *message,
    struct error *e);

/* The same anew, in its place, from the token's file, where there is one: whoever lives for
 * long outlives a signed token. What cannot be read leaves the one that there was. */
void client_renew_auth(const struct client_settings *settings, struct buf *message);

/* What has held a token is wiped, and freed. */
void client_wipe(struct buf *b);

/* Do the settings make sense together, and are the files there? */
int client_check(const struct client_settings *settings, const struct client_url *u, bool token,
    struct error *e);

#endif
