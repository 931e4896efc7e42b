/*
 * `ten exec` on a server elsewhere: what is typed goes there, what the command writes comes here.
 */
#ifndef TEN_EXEC_REMOTE_H
#define TEN_EXEC_REMOTE_H

#include "cli/cli.h"

/* Run the command of CLI; its exit code, or ours and the failure said. */
int exec_remote(struct cli *cli);

#endif
