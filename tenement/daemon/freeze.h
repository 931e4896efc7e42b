/*
 * Holding all processes of a tenant still, and letting them go on: by its control group, or by
 * SIGSTOP to its process group where it has none. Nothing is written down: who is frozen is read
 * from the kernel by a daemon that comes back.
 */
#ifndef TEN_FREEZE_H
#define TEN_FREEZE_H

#include "daemon/instance.h"

/* Open what is needed to thaw it, which is kept while it is frozen: a thaw is to want for nothing.
 */
void freeze_prepare(struct run *run);

int freeze_run(struct run *run, struct ten_error *err);

/* Does nothing to who is not frozen. */
void freeze_thaw(struct run *run);

/* What the kernel says of it. */
bool freeze_is_frozen(const struct run *run);

#endif
