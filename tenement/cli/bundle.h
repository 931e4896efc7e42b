/*
 * Files on their way to the daemon.
 */
#ifndef TEN_BUNDLE_H
#define TEN_BUNDLE_H

#include <jansson.h>

#include "cli/cli.h"

/* The files that the arguments of apply or diff stand for (a file, a folder, "-"), as a list of
 * {"name", "text"}. CLI_DONE with *files (the caller's), or another code and what is wrong said. */
int bundle_read(const struct cli *cli, json_t **files);

#endif
