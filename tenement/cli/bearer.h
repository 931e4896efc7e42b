/*
 * The token that is shown to the daemon: --token, else TENEMENT_TOKEN, else, to a URL of this
 * machine, the one that `ten token-gen` saved as {data_dir}/api_token.
 *
 * The saved one is shown only at the addresses where the daemon of that data folder says that it
 * listens itself: a port that is free for a moment is anybody's, and so is the same port of [::1].
 */
#ifndef TEN_BEARER_H
#define TEN_BEARER_H

#include "cli/cli.h"
#include "cli/server.h"

/* Find it, once, into cli->token (NULL: there is none) and cli->token_from. SERVER is NULL for the
 * control socket. Returns an exit code; what is wrong was said. */
int bearer_find(struct cli *cli, const struct server *server);

#endif
