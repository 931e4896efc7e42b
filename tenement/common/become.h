/*
 * Taking on the identity of a tenant: for the child that is to be one, and for `ten exec`.
 */
#ifndef TEN_BECOME_H
#define TEN_BECOME_H

#include <stdint.h>
#include <sys/types.h>

#include "error.h"

#define BECOME_KEEP ((uint32_t)-1)

struct become {
	uint32_t uid; /* BECOME_KEEP: stay who we are */
	uint32_t gid;
	const char *workdir;
	mode_t umask;
	uint64_t nofile; /* RLIMIT_NOFILE; 0: leave it */
};

/* For good, in this order: limits, groups, gid, uid, no capabilities, no_new_privs, umask, folder.
 * When it fails the process is half changed and must end. Allocates nothing. */
int become_tenant(const struct become *who, struct ten_error *err);

#endif
