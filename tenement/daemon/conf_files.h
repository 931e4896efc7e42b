/*
 * The configuration files as they lie on disk: which there are, which differ from the last look,
 * and what is in them. What it means is confdir.c's business.
 */
#ifndef TEN_CONF_FILES_H
#define TEN_CONF_FILES_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <uthash.h>

#include "daemon/daemon.h"

struct conf_file {
	struct conf_file *prev, *next; /* of those with anything to be done about */
	uint64_t identity; /* a hash of where it lies, its size and times when it was read */
	bool present;      /* at the last look */
	bool dirty;        /* to be looked at */
	bool waiting;      /* a change that would remove tenants, not in force yet */
	bool meant;        /* its removal was asked for by name: the guard does not count it */
	bool rejected;  /* its last good text is in force; judged again with every other change */
	bool seen;      /* in the present scan */
	bool was_dirty; /* what is judged now was not judged before */
	bool listed;    /* there is, or may be, something to be done about it */
	UT_hash_handle hh;
	char name[];
};

struct conf_files {
	struct conf_file *by_name;
	struct conf_file *listed; /* all that are dirty, waiting or rejected, and maybe others; so
				     that a change costs the same however many files there are */
	char *problem;            /* with the folder as a whole; NULL: none */
	bool again;               /* for want of a descriptor, say, something could not be read */
	dev_t device;             /* of the folder when it was last seen with its files */
};

/* What was read of one file in this turn. */
struct conf_reading {
	struct conf_file *file;
	char *text; /* NULL: gone, or WHY says why it cannot be read */
	size_t len;
	char *why;
};

struct conf_batch {
	struct conf_reading *readings;
	size_t count;
};

/* Whether PATH may be believed: root's or the daemon's own, and not for others to write. */
int conf_files_check_owner(
	struct daemon *d, const struct stat *st, const char *path, struct ten_error *err);

struct conf_file *conf_files_find(const struct conf_files *files, const char *name); /* or NULL */
struct conf_file *conf_files_get(struct conf_files *files, const char *name); /* made if need be */
void conf_files_mark(struct conf_files *files, struct conf_file *file);       /* it is dirty */

/* Look at the whole folder; what differs is dirty. A folder that is not there says nothing. */
void conf_files_scan(struct daemon *d, struct conf_files *files);

/* Read what is dirty, and with it what waits or was rejected; those also when nothing is dirty if
 * LOOK_AGAIN. False: the folder is not there. */
bool conf_files_read(
	struct daemon *d, struct conf_files *files, bool look_again, struct conf_batch *batch);
void conf_batch_free(struct conf_batch *batch);

/* Forget what is neither there nor in force. */
void conf_files_forget(struct daemon *d, struct conf_files *files);

#endif
