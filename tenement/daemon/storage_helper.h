/*
 * The process beside the daemon that looks at how much tenants have stored: begun with
 * the daemon, and again when it ended and there is something to look at; it ends with the daemon.
 *
 * It is our own program once more, so that it has nothing of the daemon's memory; it is told of
 * folders by messages, and has of root's rights only those to read and to set quotas.
 */
#ifndef TEN_STORAGE_HELPER_H
#define TEN_STORAGE_HELPER_H

#include "daemon/daemon.h"

#define STORAGE_HELPER_FLAG "--storage-helper"
#define STORAGE_JOBS_MAX    4 /* looked at side by side: a large one holds up no small one */
#define STORAGE_MESSAGE_MAX 65536
#define STORAGE_HELPER_LINK 3
#define STORAGE_HELPER_DATA 4
#define STORAGE_ERROR_TEXT  160

/* Followed by the folders, each relative to data_dir and NUL-terminated. */
struct storage_ask {
	uint64_t id;
	uint32_t project; /* the folders are to belong to it; 0: there are no project quotas */
	uint32_t audit;   /* also where the file system counts: whether it counts all */
	uint64_t limit_bytes;
};

struct storage_answer {
	uint64_t id;
	uint64_t bytes, entries;
	uint64_t took_us;
	uint32_t partial, too_deep, counted; /* counted: by the file system */
	char problem[STORAGE_ERROR_TEXT];    /* "": it could be looked at */
};

/* Told of each answer; and that what was asked and not answered will not be. */
typedef void storage_answered(struct daemon *d, const struct storage_answer *answer);
typedef void storage_lost(struct daemon *d);
void storage_helper_start(struct daemon *d, storage_answered *answered, storage_lost *lost);

/* FOLDERS, absolute and below data_dir, are to be looked at. False: that cannot be asked now. */
bool storage_helper_ask(
	struct daemon *d, const struct storage_ask *ask, const char *const *folders);

/* What the helper does: does not return. */
void storage_helper_main(void) __attribute__((noreturn));

#endif
