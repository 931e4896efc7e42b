/*
 * Processes that the kernel killed for want of memory, told apart from those that crashed: the
 * control group counts them. One such may be the tenant's only, or one of its children that it goes
 * on without.
 */
#ifndef TEN_OOM_H
#define TEN_OOM_H

#include "daemon/instance.h"

/* While there is a process, all are looked at every few seconds. */
void oom_run_begins(struct daemon *d);

/* What is new of INSTANCE's is counted and logged. Before its group is removed, too. */
void oom_look(struct daemon *d, struct instance *instance);

/* For its record, how many are told of: one line; and back, from what is in TEXT of it (programs
 * before wrote none). The caller frees. */
char *oom_record(const struct run *run);
void oom_recall(struct run *run, const char *text);

/* What came while there was no daemon is counted; what one before us told of is no news. */
void oom_adopted(struct daemon *d, struct instance *instance);

/* How RUN ended, HOW for people, or that it was for want of memory. The caller frees. */
char *oom_reason(const struct run *run, const char *how);

#endif
