/*
 * `ten exec` into a native sandbox: the command takes on what the tenant's own process took on
 * (common/confine.h), by what the daemon says.
 */
#ifndef TEN_EXEC_CONFINE_H
#define TEN_EXEC_CONFINE_H

#include <jansson.h>

#include "error.h"

/* In the namespaces and as the tenant, last before exec; nothing for who is in no sandbox. -1 with
 * *err: the process may be half confined and must end. */
int exec_confine(const json_t *identity, struct ten_error *err);

#endif
