/*
 * Files of ours that are to be on disk, and that the disk refused, for it is full: kept in memory
 * and written as soon as there is room. For what is in force though it could not be written down;
 * what must be on disk first is written with files_write() and refused.
 */
#ifndef TEN_OWED_H
#define TEN_OWED_H

#include "daemon/daemon.h"

/* PATH below DIR_FD (one that is open for life) is to hold DATA. SYNC: at once, as files_write().
 */
void owed_write(
	struct daemon *d, int dir_fd, const char *path, const char *data, size_t len, bool sync);
/* PATH is not to be. */
void owed_remove(struct daemon *d, int dir_fd, const char *path);
/* PATH was written in another way. */
void owed_forget(int dir_fd, const char *path);
/* What PATH holds, or is to hold, as files_read(). */
char *owed_read(struct daemon *d, int dir_fd, const char *path, size_t max, size_t *len,
	struct ten_error *err);

/* What status says of it; NULL: nothing is owed. The caller frees. */
char *owed_problem(void);

#endif
