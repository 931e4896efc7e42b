/*
 * Control groups: each process of a tenant is born in one of its own, so that all that came of it
 * can be frozen, ended, limited and counted, whatever sessions it made for itself. One interface
 * over version 2 and version 1, found by looking (cgroup_tree.h); where there is neither, or it is
 * not ours to write, process groups have to do (see freeze.h), and `ten status` says so.
 *
 * The layout: below the group that we run in ourselves, a folder tenement-HASH of this data_dir,
 * and in it a leaf for each process, "notes:alice.5f2". Processes are in leaves alone. A name is
 * never used twice, so that killing what is left in one cannot meet what comes after.
 */
#ifndef TEN_CGROUP_H
#define TEN_CGROUP_H

#include "daemon/daemon.h"

/* Find out what there is. -1: what [settings] cgroups wants cannot be had. */
int cgroup_start(struct daemon *d, struct ten_error *err);

/* For people: "version 2 (/sys/fs/cgroup/...)", "none: process groups". The caller frees. */
char *cgroup_describe(void);

/* A new group for a process of KEY; the caller frees the name. NULL: none can be had. */
char *cgroup_make(const char *key);

/* A descriptor to be born into NAME by (clone3 with CLONE_INTO_CGROUP), or -1: not possible. */
int cgroup_open(const char *name);
/* Its folder as a tenant may see it, where there is one that says something; the caller frees. */
char *cgroup_folder(const char *name);
int cgroup_join(const char *name, pid_t pid, struct ten_error *err);

/* In the child, by cgroup_tree_doors(): enter the hierarchies that it was not born into. */
int cgroup_enter(const int *doors, size_t count);

/* What is written to freeze or thaw NAME: kept open while it is frozen, so that thawing it needs
 * nothing that could be wanting. Both take effect in the background; nothing is waited for. */
int cgroup_freezer_open(const char *name);
int cgroup_freeze(int freezer);
int cgroup_thaw(int freezer);
bool cgroup_is_frozen(const char *name); /* or about to be */

/* Where to write TEXT to have all of its memory handed back. -1: the kernel cannot do it by group.
 */
int cgroup_reclaim_open(const char *name, char text[24]);

/* SIGKILL to all in it. */
void cgroup_kill(const char *name);

/* All of its processes; returns how many, at most MAX. */
size_t cgroup_pids(const char *name, pid_t *pids, size_t max);

/* Whether PID is in it. */
bool cgroup_has(const char *name, pid_t pid);

/* End all that is left in NAME and remove it, as soon as the kernel lets go of it. */
void cgroup_end(struct daemon *d, const char *name);

/* End what an earlier life left: all groups but those of present runs. After adoption. */
void cgroup_sweep(struct daemon *d);

/* Whether groups are still to be removed that are worth waiting for. */
bool cgroup_busy(void);
void cgroup_stop(struct daemon *d); /* remove our own folder */

#endif
