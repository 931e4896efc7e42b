/*
 * Files that hold secrets, opened as their path is walked, folder by folder: nobody but root and
 * ourselves may be able to put another file, folder or link in the place of one on the way, for
 * what we read as root goes to a tenant. Links that only those two can have made are followed
 * (volumes exchange their content by them).
 */
#ifndef TEN_SECRET_FILE_H
#define TEN_SECRET_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "error.h"

#define SECRET_FILE_MAX ((size_t)1 << 20)

/* Open the absolute PATH for us, who are SELF: a regular file of root's or ours on a real file
 * system, of SECRET_FILE_MAX bytes at the most, that nobody else may read. *st is its. -1: *err
 * says what is wrong and what to do, err->code ENOENT when it is not there. */
int secret_file_open(const char *path, uid_t self, struct stat *st, struct ten_error *err);

/* All of it, NUL-terminated; the caller wipes it. *stamp is as it was while it was read. NULL with
 * *err likewise. */
char *secret_file_read(
	const char *path, uid_t self, size_t *len, uint64_t *stamp, struct ten_error *err);

/* A number for the file's device, inode, size and times: another one when it was written or
 * exchanged. Nothing of what is in it goes into it. Never 0. */
uint64_t secret_file_stamp(const struct stat *st);

/* Why secrets cannot be kept below FOLDER, in memory alone; NULL: they can. The caller frees. */
char *secret_place_lack(const char *folder);

/* Overwrite the LEN bytes of DATA and free it; NULL is allowed. */
void secret_wipe(char *data, size_t len);

#endif
