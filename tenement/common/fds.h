/*
 * Descriptors that a parent of ours left for us: from 3 on, named by TENEMENT_FDS as a comma list
 * (sd_listen_fds_with_names(3) has the same idea).
 */
#ifndef TEN_FDS_H
#define TEN_FDS_H

#include <stddef.h>

#define FDS_FIRST    3
#define FDS_NAME_MAX 160
#define FDS_LIST_MAX 65536 /* a longer list comes by a file: TENEMENT_FDS=@FD */

/* The descriptor called NAME, or -1. All of them are made close-on-exec by the first call. */
int fds_find(const char *name);

/* The name of the INDEX-th descriptor (3 + INDEX), or NULL past the end. */
const char *fds_name(size_t index);

#endif
