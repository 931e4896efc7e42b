/*
 * usage.db: what each tenant used in each hour, in SQLite. Used by a process of its own beside the
 * daemon, since a disk may take its time.
 *
 *	usage   a row per hour and tenant that used anything
 *	run     what was seen last of each process: see usage.h
 *	slot    likewise of each slot of the board
 *
 * A database that is new begins with what is used from then on: what counted before it was there
 * has been, or would have been, in the one before.
 */
#ifndef TEN_USAGE_DB_H
#define TEN_USAGE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "usage.h"

#define USAGE_DB_FILE    "usage.db"
#define USAGE_DB_VERSION 1
#define USAGE_DB_PAGE    500 /* rows that one question gets at the most */

struct usage_db;

/* What is the case when a database has to be made. */
struct usage_begin {
	char boot[40];        /* which boot of the machine this is */
	uint64_t since_ms;    /* CLOCK_MONOTONIC: processes that began before are only looked at */
	uint64_t known_board; /* likewise slots of this board; 0: of none */
};

/* usage.db in the working directory, made when it is not there. err->code: EUCLEAN: what is there
 * is damaged. */
int usage_db_open(struct usage_db **db, const struct usage_begin *begin, struct ten_error *err);
void usage_db_close(struct usage_db *db);

/* Credit what COUNT readings show, all or none. */
int usage_db_credit(struct usage_db *db, const struct usage_reading *readings, size_t count,
	struct ten_error *err);

/* Rename a damaged database out of the way. It must be closed. The caller frees the new name. */
char *usage_db_set_aside(void);

/* Forget hours before KEEP_FROM, the oldest first and at most MOST of them, and sources that will
 * not be heard of again, as of hour NOW. */
int usage_db_prune(
	struct usage_db *db, int64_t now, int64_t keep_from, unsigned most, struct ten_error *err);

/* Fill ROWS, which has place for USAGE_DB_PAGE; returns how many there are, -1 on failure. */
int usage_db_query(struct usage_db *db, const struct usage_query *query, struct usage_row *rows,
	struct ten_error *err);

#endif
