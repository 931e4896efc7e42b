/*
 * Whether a tenant's command is there, looked for as its process would: what can be known before
 * anything is stopped for it.
 */
#ifndef TEN_COMMAND_CHECK_H
#define TEN_COMMAND_CHECK_H

#include "daemon/daemon.h"

/* -1: it cannot be started for sure, and *err says why. */
int command_check(struct daemon *d, const struct ten_spec *spec, struct ten_error *err);

#endif
