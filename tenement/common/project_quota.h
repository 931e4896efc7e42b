/*
 * Project quotas of a file system (XFS and ext4 mounted with prjquota): the kernel itself counts
 * what belongs to a project, and refuses what would be more than its limit.
 */
#ifndef TEN_PROJECT_QUOTA_H
#define TEN_PROJECT_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct project_quota {
	bool counted, enforced;
};

/* What the file system that FD is on has. Fails, with the reason, where there is nothing. */
int project_quota_find(int fd, struct project_quota *found, struct ten_error *err);

/* What PROJECT has stored; bytes and number of files. */
int project_quota_used(
	int fd, uint32_t project, uint64_t *bytes, uint64_t *entries, struct ten_error *err);

/* It may store LIMIT_BYTES (0: any number); written only where it differs. */
int project_quota_limit(int fd, uint32_t project, uint64_t limit_bytes, struct ten_error *err);

/* Whether the folder FD belongs to PROJECT, and what is made in it will. */
bool project_quota_is_of(int fd, uint32_t project);

/* The file or folder NAME in FOLDER belongs to PROJECT from now on, and of a folder what is made in
 * it. No link is followed and nothing but files and folders opened. */
int project_quota_give(int folder, const char *name, uint32_t project, struct ten_error *err);

#endif
