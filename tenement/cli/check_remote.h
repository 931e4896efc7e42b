/*
 * `ten check` where the configuration is a server's: it judges, by what it knows.
 */
#ifndef TEN_CHECK_REMOTE_H
#define TEN_CHECK_REMOTE_H

#include "cli/cli.h"

/* What the command's arguments name, or without any what the server holds. Returns an exit code. */
int check_remote(struct cli *cli);

#endif
