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
#include <sys/types.h>

#include "cli/cli.h"
#include "text.h"

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

/* A connection to a server elsewhere that has been upgraded to another protocol. */
struct client_link;

/* POST PATH to upgrade to PROTOCOL; BEGUN is what came already of what follows the answer. NULL: it
 * was refused, or there is no such connection: said, and *code is the exit code. */
struct client_link *client_upgrade(
	struct cli *cli, const char *path, const char *protocol, struct text *begun, int *code);
int client_link_fd(const struct client_link *link);
/* As send(2) and recv(2) of a socket that does not wait: -1 with EAGAIN, or another errno. */
ssize_t client_link_send(struct client_link *link, const char *bytes, size_t len);
ssize_t client_link_receive(struct client_link *link, char *bytes, size_t size);
void client_link_free(struct client_link *link); /* NULL is fine */

/* "/api/instances/notes:alice" and what follows it; the caller frees. */
char *client_instance_path(const char *target, const char *rest);
char *client_escape(const char *text); /* the caller frees */

#endif
