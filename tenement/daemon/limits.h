/*
 * The limits of tenants, put in force in their control groups: before the process begins, when a
 * file that asks for others is changed, and when a process is taken over.
 */
#ifndef TEN_LIMITS_H
#define TEN_LIMITS_H

#include "daemon/instance.h"

/* Find out what can be limited; what cannot be goes to d->machine. After cgroup_start(). */
void limits_start(struct daemon *d);
void limits_find_lacks(struct daemon *d);

/* For people: "memory, cpu, pids by version 1; not: io (why)". The caller frees. */
char *limits_describe(void);

/* All limits of a process that is to begin; with startup_cpu_boost. -1: one that was asked for
 * cannot be put in force, so it must not begin. */
int limits_begin(struct instance *instance, struct ten_error *err);

/* What is wanted now, where it differs from what is in force. What cannot be done at the moment
 * (less memory than is in use, with version 1) is tried again, and limits_problem() says so. */
void limits_update(struct daemon *d, struct instance *instance);
char *limits_problem(const struct instance *instance); /* the caller frees; NULL: none */

#endif
