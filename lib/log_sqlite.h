/*
 * SQLite as the store of log lines uses it: statements that are kept, its failures as ours, and
 * what is in the file.
 */
#ifndef TEN_LOG_SQLITE_H
#define TEN_LOG_SQLITE_H

#include <sqlite3.h>
#include <stdint.h>

#include "error.h"
#include "log_db.h"

#define LOG_STATEMENTS 32

/* In each document of the index the word of its tenant, which no line can hold. */
#define LOG_TENANT_WORD "_%lld"

struct log_sqlite {
	sqlite3 *sqlite;
	sqlite3_stmt *statements[LOG_STATEMENTS];
	const char *texts[LOG_STATEMENTS];
};

/* logs.db in FOLDER, opened to be read, or to be written, and made when it is not there. err->code
 * as log_db_open() says. */
int log_sqlite_open_reader(struct log_sqlite *db, const char *folder, struct ten_error *err);
int log_sqlite_open_writer(struct log_sqlite *db, const char *folder, struct ten_error *err);
void log_sqlite_close(struct log_sqlite *db);

/* Rename a damaged logs.db out of the way. It must be closed. The caller frees the new name; NULL:
 * it cannot be done. */
char *log_sqlite_set_aside(const char *folder);

/* Fill ERR by what SQLite said last; EUCLEAN: the database is damaged; EAGAIN: another has it.
 * Returns -1. */
int log_sqlite_fail(struct log_sqlite *db, struct ten_error *err);

int log_sqlite_run(struct log_sqlite *db, const char *text, struct ten_error *err);

/* The statement of TEXT (one of few, static), with COUNT numbers bound from the first ? on. NULL:
 * it cannot be made. */
sqlite3_stmt *log_sqlite_prepare(
	struct log_sqlite *db, const char *text, const int64_t *numbers, int count);
#define LOG_SQLITE_PREPARE(db, text, ...)                                                          \
	log_sqlite_prepare(db, text, (const int64_t[]){ __VA_ARGS__ },                             \
		(int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)))

/* SQLITE_ROW, SQLITE_DONE, or the failure. */
int log_sqlite_step(sqlite3_stmt *statement);

/* Run it to its end. */
int log_sqlite_finish(struct log_sqlite *db, sqlite3_stmt *statement, struct ten_error *err);

/* The first number of its first row; NONE when there is no row, or a NULL. */
int log_sqlite_number(struct log_sqlite *db, sqlite3_stmt *statement, int64_t none, int64_t *number,
	struct ten_error *err);

#endif
