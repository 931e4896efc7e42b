/*
 * Memory of a frozen tenant handed back to the kernel (frozen_reclaim): by its control group where
 * that has memory.reclaim (version 2), else by process_madvise(MADV_PAGEOUT) over what its
 * processes have mapped. Best effort, by a helper process at the lowest priority, one at a time:
 * the kernel may take seconds over it, and the daemon waits for none of them. Nothing is told of
 * its success but by the memory that is free.
 */
#ifndef TEN_RECLAIM_H
#define TEN_RECLAIM_H

#include "daemon/instance.h"

/* INSTANCE has just been frozen. */
void reclaim_start(struct daemon *d, struct instance *instance);

/* It is about to be thawed, or goes: what is being done for it is given up. */
void reclaim_cancel(struct daemon *d, struct instance *instance);

#endif
