/*
 * Asking the daemon: HTTP and JSON over its unix socket, or over the network with a token.
 *
 * The socket is at {data_dir}/.tenement/run/control.sock, where `run` is a link into the runtime
 * folder; --server says otherwise: unix:/path, or a URL (server.h, remote.h). Every failure is said
 * here, with what to do about it.
 */
#ifndef TEN_CLIENT_H
#define TEN_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"

#define CLIENT_BODY_MAX (8u << 20) /* bytes that the daemon takes */

struct client_request {
	const char *method;  /* NULL: GET */
	const char *path;    /* escaped, with its query */
	json_t *body;        /* NULL: none; taken over */
	const char *waiting; /* what is said while it takes long; NULL: nothing */
	bool waits;          /* the daemon may take --timeout for it */
};

/* Ask. CLI_DONE with *answer (the caller's to release), or another exit code and the failure said.
 */
int client_ask(struct cli *cli, const struct client_request *request, json_t **answer);

/* GET PATH. */
int client_get(struct cli *cli, const char *path, json_t **answer);

/* GET PATH and give each line of the answer, without its newline, to VISIT as it comes. */
int client_stream(struct cli *cli, const char *path,
	void (*visit)(void *data, const char *line, size_t len), void *data);

/* GET PATH of a daemon that may not be there: NULL then, and nothing is said. */
json_t *client_peek(struct cli *cli, const char *path);

/* Whether there is a daemon to ask, or one elsewhere is answered for; says nothing. */
bool client_reachable(struct cli *cli);

/* "/api/instances/notes:alice" and what follows it; the caller frees. */
char *client_instance_path(const char *target, const char *rest);
char *client_escape(const char *text); /* the caller frees */

#endif
