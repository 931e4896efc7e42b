/*
 * `ten exec` into the namespaces and control groups of a tenant's process.
 */
#ifndef TEN_EXEC_JOIN_H
#define TEN_EXEC_JOIN_H

#include <jansson.h>
#include <stdbool.h>

#include "common/become.h"

#define EXEC_DOORS_MAX 16

struct exec_join {
	int process; /* a pidfd of the first process in there; -1: it is in no namespaces */
	int namespaces;
	int doors[EXEC_DOORS_MAX]; /* of its control groups */
	size_t door_count;
	bool guarded; /* by exec_guard.h */
};

/* What IDENTITY, the daemon's answer, names. WHO is what we are to become. -1: *err. */
int exec_join_open(struct exec_join *join, const json_t *identity, const char *target,
	const struct become *who, struct ten_error *err);
void exec_join_close(struct exec_join *join);

/* Go there. Returns in a child, which is in the tenant's PID namespace and is to become WHO; the
 * parent waits for it and ends as it does. -1: *err. */
int exec_join_go(struct exec_join *join, struct ten_error *err);

#endif
