/*
 * Whether a tenant with a view of its own may write to its folders (storage_over = "readonly").
 *
 * The mounts in its namespace are changed under it; where that cannot be, for it has files open to
 * write to, it is drained and started again.
 */
#ifndef TEN_STORAGE_MODE_H
#define TEN_STORAGE_MODE_H

#include "daemon/instance.h"

/* The ready INSTANCE is to be able to write, or not to: READS_ONLY. Nothing to do where that is so.
 */
void storage_mode_want(struct daemon *d, struct instance *instance, bool reads_only);

/* Of a process that was taken over: what it can do. */
void storage_mode_find(struct instance *instance);

#endif
