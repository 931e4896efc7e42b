/*
 * Where the daemon's control socket is.
 */
#ifndef TEN_SOCKET_H
#define TEN_SOCKET_H

#include <sys/types.h>

#include "cli/cli.h"
#include "error.h"

struct control_socket {
	char *path;        /* as people know it; owned */
	char *data_dir;    /* owned; NULL with --server */
	bool unplaced;     /* data_dir is a guess: no configuration and no flag says it */
	int folder;        /* O_PATH descriptor of its folder, -1 when it is not there */
	int code;          /* why it is not: an errno */
	char address[128]; /* a path short enough to connect to */
};

/* Find it. An error is one of usage (--server); that there is no daemon is told by .code. */
int control_socket_find(const struct cli *cli, struct control_socket *sock, struct ten_error *err);
void control_socket_free(struct control_socket *sock);
#define autosocket __attribute__((cleanup(control_socket_free)))

/* Whom the daemon runs as, by the owner of its socket. */
int control_socket_owner(const struct cli *cli, uid_t *uid, gid_t *gid, struct ten_error *err);

/* Say that nothing answers there because of CODE, an errno. Returns the exit code. */
int control_socket_explain(const struct control_socket *sock, int code);

#endif
