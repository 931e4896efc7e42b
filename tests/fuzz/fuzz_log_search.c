/*
 * Whatever is searched for in whatever lines: what is before the first zero byte in what is behind
 * it. A line that matches is never hidden by the quicker look, and the index finds each set of
 * words that a matching line is part of.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "log_search.h"
#include "log_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static sqlite3 *open_index(void)
{
	static sqlite3 *sqlite;

	if (sqlite)
		return sqlite;
	require(sqlite3_open(":memory:", &sqlite) == SQLITE_OK);
	require(sqlite3_exec(sqlite,
			"CREATE VIRTUAL TABLE w USING fts5 (words, content = '', detail = none,"
			" columnsize = 0, tokenize = \"ascii tokenchars '_'\")",
			NULL, NULL, NULL) == SQLITE_OK);
	return sqlite;
}

static bool index_finds(const struct text *expression, const struct text *words)
{
	sqlite3 *sqlite = open_index();
	sqlite3_stmt *statement;
	int rc;

	sqlite3_exec(sqlite, "BEGIN", NULL, NULL, NULL);
	require(sqlite3_prepare_v2(sqlite, "INSERT INTO w (rowid, words) VALUES (1, ?)", -1,
			&statement, NULL) == SQLITE_OK);
	sqlite3_bind_text(statement, 1, words->data, (int)words->len, SQLITE_STATIC);
	require(sqlite3_step(statement) == SQLITE_DONE);
	sqlite3_finalize(statement);
	require(sqlite3_prepare_v2(sqlite, "SELECT 1 FROM w WHERE w MATCH ?", -1, &statement,
			NULL) == SQLITE_OK);
	sqlite3_bind_text(statement, 1, expression->data, (int)expression->len, SQLITE_STATIC);
	rc = sqlite3_step(statement);
	require(rc == SQLITE_ROW || rc == SQLITE_DONE);
	sqlite3_finalize(statement);
	sqlite3_exec(sqlite, "ROLLBACK", NULL, NULL, NULL);
	return rc == SQLITE_ROW;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t len = strnlen(text, size);
	const char *line = text + len + (len < size);
	size_t line_len = size - len - (len < size);
	struct log_search *search = log_search_parse(text, len, NULL);
	autotext struct text expression = { 0 };
	struct log_wordset *words;
	bool found, indexed;

	if (!search)
		return 0;
	found = log_search_matches(search, line, line_len);
	require(!found || log_search_may_match(search, line, line_len));
	require(!log_search_is_empty(search) || found);
	indexed = log_search_index(search, &expression);
	words = log_wordset_new();
	log_wordset_add(words, line, line_len);
	/* (SQLite's own trouble with a text that ends early is not what is looked for) */
	if (indexed && log_wordset_text(words)->len && !memchr(line, '\0', line_len)) {
		bool has = index_finds(&expression, log_wordset_text(words));

		require(has || !found);
	} else if (indexed) {
		require(!found || log_wordset_text(words)->len);
	}
	log_wordset_free(words);
	log_search_free(search);
	return 0;
}
