#include "usage_sqlite.h"

#include <errno.h>

int usage_sqlite_fail(struct usage_db *db, struct ten_error *err)
{
	int code = sqlite3_errcode(db->sqlite);

	return ten_error_set(err, code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? EUCLEAN : EIO,
		"%s: %s", USAGE_DB_FILE, sqlite3_errmsg(db->sqlite));
}

int usage_sqlite_run(struct usage_db *db, const char *text, struct ten_error *err)
{
	return sqlite3_exec(db->sqlite, text, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : usage_sqlite_fail(db, err);
}

sqlite3_stmt *usage_sqlite_prepare(
	struct usage_db *db, const char *text, const int64_t *numbers, int count)
{
	sqlite3_stmt *statement;
	int i = 0;

	while (i < STATEMENTS - 1 && db->texts[i] && db->texts[i] != text)
		i++;
	if (db->texts[i] != text) {
		sqlite3_finalize(db->statements[i]);
		db->statements[i] = NULL;
		db->texts[i] = NULL;
		if (sqlite3_prepare_v3(db->sqlite, text, -1, SQLITE_PREPARE_PERSISTENT,
			    &db->statements[i], NULL) != SQLITE_OK)
			return NULL;
		db->texts[i] = text;
	}
	statement = db->statements[i];
	sqlite3_reset(statement);
	for (int n = 0; n < count; n++)
		sqlite3_bind_int64(statement, n + 1, numbers[n]);
	return statement;
}

int usage_sqlite_step(sqlite3_stmt *statement)
{
	int rc = statement ? sqlite3_step(statement) : SQLITE_ERROR;

	/* A statement that has said its last holds nothing. */
	if (statement && rc != SQLITE_ROW)
		sqlite3_reset(statement);
	return rc;
}

int usage_sqlite_finish(struct usage_db *db, sqlite3_stmt *statement, struct ten_error *err)
{
	return usage_sqlite_step(statement) == SQLITE_DONE ? 0 : usage_sqlite_fail(db, err);
}

uint64_t usage_sqlite_number(sqlite3_stmt *statement, int number)
{
	return (uint64_t)sqlite3_column_int64(statement, number);
}
