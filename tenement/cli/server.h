/*
 * Which daemon is meant, when --server or TENEMENT_SERVER says it by a URL.
 *
 * Over https:// any host will do. Plain http:// is for this machine alone, by the address that is
 * connected to and not by its name: a token never crosses a network in the clear.
 */
#ifndef TEN_SERVER_H
#define TEN_SERVER_H

#include <stdbool.h>

#include "cli/cli.h"
#include "error.h"

struct server {
	char *base;     /* "https://ten.example.com:8443/prefix", a path is put behind it; owned */
	char *port;     /* owned */
	bool encrypted; /* https */
	bool near;      /* its host is named as this machine is to itself: localhost, 127.0.0.1 */
};

/* Whether it is said by a URL. What is no URL is an address of the control socket; see socket.h. */
bool server_is_remote(const struct cli *cli);

/* An error is one of usage. */
int server_parse(const char *text, struct server *server, struct ten_error *err);
void server_clear(struct server *server);

/* What does its work here, however the daemon is reached: with --server URL that is said, and
 * CLI_USAGE returned; a variable of the environment is left aside. WHAT begins the sentence. */
int server_leave_aside(struct cli *cli, const char *what);

#endif
