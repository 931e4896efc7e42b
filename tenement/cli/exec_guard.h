/*
 * `ten exec` that a daemon has started, for somebody elsewhere: the command ends with the daemon,
 * however that ends.
 */
#ifndef TEN_EXEC_GUARD_H
#define TEN_EXEC_GUARD_H

#include <stdbool.h>

#include "error.h"

/* Go on in a child, which a guard stays beside; the guard never returns: its exit code is the
 * child's. Nothing happens where no daemon has started us. */
int exec_guard_begin(bool *guarded, struct ten_error *err);

#endif
