/*
 * What a process of isolation = "sandbox" with sandbox = "native" is left with beside its
 * namespaces: the system calls that server programs need (seccomp), and of the file system what it
 * was given (Landlock). For good, and for all that it starts.
 *
 * The filters are made once (confine_filter.h) and handed to each child; no_new_privs must be set.
 */
#ifndef TEN_CONFINE_H
#define TEN_CONFINE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* Of the two the kernel takes what is stricter: which calls there are, and with what. */
enum { CONFINE_CALLS, CONFINE_ARGUMENTS, CONFINE_FILTERS };

struct confine_filters {
	struct sock_fprog programs[CONFINE_FILTERS];
};

enum confine_right {
	CONFINE_READ = 1,     /* files and folders read, programs run */
	CONFINE_WRITE = 2,    /* files written, made, removed, moved within */
	CONFINE_DEVICES = 4,  /* devices that are there opened for writing, and their ioctls */
	CONFINE_OPTIONAL = 8, /* what is not there is left out, also if it is for writing */
};

struct confine_path {
	const char *path; /* one that is only read may be missing */
	unsigned rights;
};

struct confine {
	const struct confine_filters *filters;
	const struct confine_path *paths;
	size_t path_count;
	uint16_t port; /* the one TCP port that may be bound */
};

/* The kernel's version of Landlock, 0 where there is none. */
int confine_landlock_version(void);

/* -1 with *err: the process is half confined and must end. Allocates nothing. */
int confine_apply(const struct confine *confine, struct ten_error *err);

#endif
