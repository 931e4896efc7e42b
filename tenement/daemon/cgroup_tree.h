/*
 * The hierarchies that our control groups are in, and the files of a group there. What keeps the
 * processes of a group together (CGROUP_CORE: it freezes and ends them) and what limits or counts
 * each resource may be in different ones: where version 2 is mounted beside version 1, the former
 * has no controllers and the latter does.
 *
 * A group has the same name in all of them.
 */
#ifndef TEN_CGROUP_TREE_H
#define TEN_CGROUP_TREE_H

#include "daemon/daemon.h"

enum cgroup_part {
	CGROUP_CORE,
	CGROUP_MEMORY,
	CGROUP_CPU,
	CGROUP_CPUACCT, /* of version 1; in version 2 every group counts its time */
	CGROUP_PIDS,
	CGROUP_IO,
	CGROUP_PARTS
};

/* Find them and make our folder in each. -1: what [settings] cgroups wants cannot be had. */
int cgroup_tree_start(struct daemon *d, struct ten_error *err);

/* Remove our folders, which must be empty, and all that came with them. */
void cgroup_tree_stop(void);

/* 1, 2, or 0 where there is none that is ours to write. */
unsigned cgroup_tree_version(enum cgroup_part part);
const char *cgroup_tree_why_not(enum cgroup_part part); /* for people, of 0 */
const char *cgroup_tree_folder(enum cgroup_part part);  /* ours; NULL of 0 */

/* A file of the group NAME ("": our folder); errors as open() and write() have them. */
int cgroup_tree_open(enum cgroup_part part, const char *name, const char *file, int flags);
int cgroup_tree_write(enum cgroup_part part, const char *name, const char *file, const char *text);
char *cgroup_tree_read(enum cgroup_part part, const char *name, const char *file);
bool cgroup_tree_has(enum cgroup_part part, const char *name, const char *file);

/* The group itself, in all hierarchies or in none. -1 with errno. */
int cgroup_tree_make(const char *name);
int cgroup_tree_remove(const char *name);
void cgroup_tree_remove_below(const char *name); /* what a tenant made in its own */

/* Names of the groups that there are. */
void cgroup_tree_each(struct daemon *d, void (*visit)(struct daemon *d, const char *name));

/* Where one that is to be in NAME writes "0" to enter, of each hierarchy but that which it is born
 * into (see cgroup_open()). Returns how many; -1 with errno. */
int cgroup_tree_doors(const char *name, int doors[CGROUP_PARTS]);

/* The files by which any process enters NAME (NULL: nothing), as a strv for the caller to free. */
char **cgroup_tree_doors_of(const char *name);

#endif
