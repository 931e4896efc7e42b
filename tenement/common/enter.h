/*
 * The way into a view (lib/view.h): for a process that was born with a mount namespace and a PID
 * namespace of its own, and as a plain user a user namespace as well.
 */
#ifndef TEN_ENTER_H
#define TEN_ENTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "view.h"

struct enter {
	const struct view *view; /* sorted */
	const char *rootfs;      /* a folder that is to be its root; NULL: the host's is */
	char *const *kept;   /* real paths that nothing with VIEW_ASKED may show; NULL at the end */
	uint64_t tmp_bytes;  /* that may be in all of /tmp, /var/tmp and /dev/shm together */
	bool user_namespace; /* we are in one, in which these are to be as they are outside: */
	uid_t uid;
	gid_t gid;
};

/* What clone(2) makes of a process that is to call enter_view(). */
uint64_t enter_clone_flags(bool user_namespace);

/* Change our mount namespace into the view, for good. When it fails *err says at which place, and
 * the process must end. */
int enter_view(const struct enter *enter, struct ten_error *err);

/* Into a /proc of our own PID namespace alone: for who makes the view himself. */
int enter_processes(const struct enter *enter, struct ten_error *err);

#endif
