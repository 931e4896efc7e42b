/*
 * What a tenant's process left behind in sessions of its own: children that were orphaned came to
 * the keeper (PR_SET_CHILD_SUBREAPER). They may go on while their tenant lives; then they are
 * ended.
 */
#ifndef TEN_ORPHANS_H
#define TEN_ORPHANS_H

#include "daemon/daemon.h"

/* The variable by which a process is known to be of a tenant. */
#define ORPHANS_MARK "TENEMENT_INSTANCE"

/* SIGKILL to those whose tenant has no process. Called after each exit that the keeper tells of,
 * so that what they leave in turn is found as well. */
void orphans_end(struct daemon *d);

#endif
