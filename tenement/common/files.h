/*
 * Files that matter: written whole or not at all.
 */
#ifndef TEN_FILES_H
#define TEN_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "error.h"

/* The content of PATH (relative to the folder DIR_FD, or AT_FDCWD), NUL-terminated, at most MAX
 * bytes; the caller frees. NULL with err->code ENOENT, EFBIG, ... */
char *files_read(int dir_fd, const char *path, size_t max, size_t *len, struct ten_error *err);

/* Write PATH by temp + fsync + rename + fsync of its folder. */
int files_write(int dir_fd, const char *path, const char *data, size_t len, mode_t mode,
	struct ten_error *err);

/* The same without waiting for the disk: for tmpfs, and for many files with one syncfs() after. */
int files_write_fast(int dir_fd, const char *path, const char *data, size_t len, mode_t mode,
	struct ten_error *err);

/* All of DATA, however often write(2) must be called; -1 with errno. */
int files_write_all(int fd, const void *data, size_t len);

/* Make the folder PATH (its parent must be there) with MODE, or take the one that is there; never
 * follows a link in the last part. Returns a descriptor of it. */
int files_make_dir(int dir_fd, const char *path, mode_t mode, struct ten_error *err);

/* mkdir -p; returns 0 also when all is there. */
int files_make_dirs(const char *path, mode_t mode, struct ten_error *err);

/* Remove the folder PATH and what is in it, as far as that can be; whoever had it may have put
 * anything there: no link is followed, and there is an end to it. */
void files_remove_tree(int dir_fd, const char *path);

#endif
