/*
 * How much lies below some folders, as it is allocated, found out a piece at a time.
 *
 * The tree is a tenant's, who may change it meanwhile and means no good: links are not followed,
 * mounts not entered, nothing but folders is opened, and memory and descriptors are bounded however
 * many files there are and however deep they lie. A file with several names counts once; of the
 * very many that have several, each name counts for its share, which comes to the same when all
 * names are below the folders.
 */
#ifndef TEN_STORAGE_WALK_H
#define TEN_STORAGE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORAGE_WALK_DEPTH_MAX 32768 /* folders in folders; far more than a path can name */
#define STORAGE_WALK_LINKED    65536 /* files of several names that are remembered */

struct storage_sum {
	uint64_t bytes;
	uint64_t entries;
	bool partial;  /* some could not be looked at, or was moved away meanwhile */
	bool too_deep; /* it goes on below STORAGE_WALK_DEPTH_MAX */
};

struct storage_walk;

struct storage_walk *storage_walk_new(void);
void storage_walk_free(struct storage_walk *walk); /* NULL is allowed */

/* Count what is below FD as well, a folder, and the folder itself. Takes the descriptor. */
void storage_walk_add(struct storage_walk *walk, int fd);

/* Told of each regular file and folder, with the folder that it is in and its name ("." of those
 * that were added). */
typedef void storage_walk_visit(void *data, int folder, const char *name, bool is_folder);
void storage_walk_tell(struct storage_walk *walk, storage_walk_visit *visit, void *data);

/* Look at about COUNT further entries. True: that was all. */
bool storage_walk_step(struct storage_walk *walk, size_t count);

const struct storage_sum *storage_walk_sum(const struct storage_walk *walk);

#endif
