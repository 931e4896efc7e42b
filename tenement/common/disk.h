/*
 * Which disk a folder is on.
 */
#ifndef TEN_DISK_H
#define TEN_DISK_H

#include "error.h"

/* The number of the whole disk, "8:0", that PATH is on, as control groups want it: of a partition
 * the disk that it is part of. -1: it is on none, or on one that only its file system knows. */
#define DISK_SIZE 24
int disk_find(const char *path, char disk[DISK_SIZE], struct ten_error *err);

#endif
