/*
 * Controllers of version 2 for our folder. They are let into what lies below a group only while no
 * process is in that group itself, so where one was made over to us (systemd's Delegate=yes, the
 * root of a container) the keeper and all of ours go into a leaf of it, "supervisor". Of a group
 * that is not ours nothing is changed, and above our own never.
 */
#ifndef TEN_CGROUP_DELEGATE_H
#define TEN_CGROUP_DELEGATE_H

#include "daemon/daemon.h"

/* The group that is ours, of the one that we are in: that itself, or its parent when an earlier
 * life (or systemd's DelegateSubgroup=) put us into its leaf. FOLDER_NAME is that of our folder.
 * The caller frees. */
char *cgroup_delegate_group(const char *own, const char *folder_name);

/* Let what there is of the controllers memory, cpu, pids and io into FOLDER, which lies in GROUP.
 * NULL, or why some are missing; the caller frees. */
char *cgroup_delegate_enable(const char *group, const char *folder);

/* As it was before; FOLDER is removed. */
void cgroup_delegate_undo(const char *group, const char *folder);

#endif
