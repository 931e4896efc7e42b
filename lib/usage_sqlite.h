/*
 * SQLite as usage_db.c and usage_query.c use it: statements that are kept, and its failures as
 * ours.
 */
#ifndef TEN_USAGE_SQLITE_H
#define TEN_USAGE_SQLITE_H

#include <sqlite3.h>
#include <stdint.h>

#include "usage_db.h"

#define STATEMENTS 24

struct usage_db {
	sqlite3 *sqlite;
	sqlite3_stmt *statements[STATEMENTS];
	const char *texts[STATEMENTS];
	struct usage_begin begin; /* of the database: see usage_db.h */
};

/* Fill ERR by what SQLite said last; EUCLEAN: the database is damaged. Returns -1. */
int usage_sqlite_fail(struct usage_db *db, struct ten_error *err);

int usage_sqlite_run(struct usage_db *db, const char *text, struct ten_error *err);

/* The statement of TEXT (one of few, static), with COUNT numbers bound from the first ? on. NULL:
 * it cannot be made. */
sqlite3_stmt *usage_sqlite_prepare(
	struct usage_db *db, const char *text, const int64_t *numbers, int count);
#define USAGE_SQLITE_PREPARE(db, text, ...)                                                        \
	usage_sqlite_prepare(db, text, (const int64_t[]){ __VA_ARGS__ },                           \
		(int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)))

/* SQLITE_ROW, SQLITE_DONE, or the failure. */
int usage_sqlite_step(sqlite3_stmt *statement);

/* Run it to its end. */
int usage_sqlite_finish(struct usage_db *db, sqlite3_stmt *statement, struct ten_error *err);

uint64_t usage_sqlite_number(sqlite3_stmt *statement, int column);

#endif
