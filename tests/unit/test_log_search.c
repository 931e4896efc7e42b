/* What a search finds, and that the index never hides what it finds. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "log_field.h"
#include "log_search.h"
#include "log_words.h"
#include "mem.h"

static struct ten_error err;

static bool matches(const char *text, const char *line)
{
	struct log_search *search = log_search_parse(text, strlen(text), &err);
	bool found;

	ck_assert_msg(search != NULL, "%s: %s", text, err.text);
	found = log_search_matches(search, line, strlen(line));
	if (found)
		ck_assert_msg(
			log_search_may_match(search, line, strlen(line)), "%s: %s", text, line);
	log_search_free(search);
	return found;
}

static void yes(const char *text, const char *line)
{
	ck_assert_msg(matches(text, line), "\"%s\" does not find: %s", text, line);
}

static void no(const char *text, const char *line)
{
	ck_assert_msg(!matches(text, line), "\"%s\" finds: %s", text, line);
}

START_TEST(words)
{
	static const char line[] = "Request TIMEOUT after 30s, GET /api/logs from 10.0.0.1";

	yes("timeout", line);
	yes("TimeOut request", line);
	no("time", line);
	yes("time*", line);
	no("30", line);
	yes("30s", line);
	yes("10.0.0.1", line);
	no("0.10.0.1", line);
	yes("/api/logs", line);
	no("/logs/api", line);
	yes("\"get api\"", line);
	yes("\"get a\"*", line);
	no("\"get logs\"", line);
	yes("", line);
	yes("  ", line);
	yes("***", line);
	yes("- - ( ) \"\"", line);
}
END_TEST

START_TEST(operators)
{
	yes("a AND b", "b a");
	no("a AND b", "a");
	yes("a OR b", "b");
	yes("a NOT b", "a c");
	no("a NOT b", "a b");
	yes("timeout AND NOT health", "timeout of a");
	no("timeout AND NOT health", "timeout of health");
	yes("NOT a", "b");
	yes("a b OR c d", "c d");
	no("a b OR c d", "a c");
	yes("a (b OR c) d", "a c d");
	no("a (b OR c) d", "a b c");
	yes("NOT (a OR b)", "c");
	no("NOT (a OR b)", "b");
	yes("NOT NOT a", "a");
	/* In small letters they are words. */
	yes("this or that", "that or this");
	no("this or that", "that");
}
END_TEST

START_TEST(odd_input)
{
	yes("((a", "a");
	yes("a)) b", "b a");
	yes("\"a b", "a b");
	yes("a AND", "a and");
	yes("AND a", "and a");
	yes("OR", "or");
	yes("NOT", "not");
	yes("a OR OR b", "or b");
	yes("a AND AND b", "a and b");
	yes("(a AND) b", "a and b");
	yes("() a", "a");
	yes("a OR ---", "a");
	yes("NOT --- a", "a");
	yes("foo(bar)", "bar foo");
	yes("'; DROP TABLE block; --", "drop block, table");
	yes("a\"b\"c", "a b c");
	yes("x:\"", "x");
	yes(":::", "anything");
	yes("\xff\xfe", "\xff\xfe");
}
END_TEST

START_TEST(too_large)
{
	autofree char *text = mem_alloc(LOG_SEARCH_BYTES + 2);

	memset(text, 'a', LOG_SEARCH_BYTES + 1);
	ck_assert_ptr_null(log_search_parse(text, LOG_SEARCH_BYTES + 1, &err));
	ck_assert_int_eq(err.code, E2BIG);
	memset(text, '(', LOG_SEARCH_BYTES);
	text[LOG_SEARCH_BYTES - 1] = 'a';
	ck_assert_ptr_null(log_search_parse(text, LOG_SEARCH_BYTES, &err));
	ck_assert_int_eq(err.code, E2BIG);
	for (int i = 0; i < LOG_SEARCH_BYTES; i++)
		text[i] = i % 2 ? ' ' : 'a';
	ck_assert_ptr_null(log_search_parse(text, LOG_SEARCH_BYTES, &err));
	ck_assert_int_eq(err.code, E2BIG);
}
END_TEST

START_TEST(fields)
{
	static const char line[] =
		"{\"level\":\"error\",\"msg\":\"Connection refused by db\",\"user\":{\"id\":42,"
		"\"tags\":[\"new\",\"paid\"]},\"http.status\":500,\"ok\":false,\"a\":{\"b\":{\"c\":"
		"1}}}";

	yes("level:error", line);
	yes("LEVEL:Error", line);
	no("level:info", line);
	no("level:refused", line);
	yes("user.id:42", line);
	no("user.id:4", line);
	yes("user.id:4*", line);
	no("id:42", line);
	yes("msg:\"connection refused\"", line);
	yes("msg:refused", line);
	yes("msg:ref*", line);
	yes("user.tags:paid", line);
	yes("http.status:500", line);
	yes("ok:false", line);
	yes("a.b.c:1", line);
	no("a.c:1", line);
	yes("user:paid", line);
	yes("level:*", line);
	yes("user.id:*", line);
	no("nobody:*", line);
	yes("level:error AND NOT user.id:43", line);
	no("NOT level:error", line);
	yes("error 42", line);
	/* What is no JSON has the two side by side. */
	yes("level:error", "ts=1 level=error msg=x");
	no("level:error", "level=info msg=error");
	yes("level:error", "at {\"level\": \"error\"}");
	yes("level:error", "{\"level\":\"error\",\"cut of");
	yes("http://x.y", "GET http://x.y/z");
	yes("http://x.y", "{\"url\":\"http://x.y/z\"}");
	yes("12:30", "at 12:30");
	yes("level:", "level of water");
}
END_TEST

START_TEST(escapes)
{
	yes("second", "{\"msg\":\"first\\nsecond\"}");
	yes("\"first second\"", "{\"msg\":\"first\\nsecond\"}");
	yes("new", "C:\\new");
	yes("error", "\\x1b[1;31merror\\x1b[0m");
	no("31merror", "\\x1b[1;31merror\\x1b[0m");
	yes("\"a b\"", "a\\x00b");
	yes("x00", "x00");
	yes("gr\xc3\xb6\xc3\x9f"
	    "e",
		"die Gr\xc3\xb6\xc3\x9f"
		"e");
}
END_TEST

static bool always(void *data, const char *value, size_t len)
{
	(void)data, (void)value, (void)len;
	return true;
}

START_TEST(fields_of_what_is_none)
{
	static const struct {
		const char *line;
		enum log_field found;
	} cases[] = {
		{ "{\"a\":1}", LOG_FIELD_YES },
		{ " {\"a\" : \"\\\"\"} ", LOG_FIELD_YES },
		{ "{}", LOG_FIELD_NO },
		{ "{\"b\":[1,2,{\"a\":3}]}", LOG_FIELD_NO },
		{ "", LOG_FIELD_NOT_JSON },
		{ "[1]", LOG_FIELD_NOT_JSON },
		{ "{", LOG_FIELD_NOT_JSON },
		{ "{\"b\"", LOG_FIELD_NOT_JSON },
		{ "{\"b\":", LOG_FIELD_NOT_JSON },
		{ "{\"b\":\"\\", LOG_FIELD_NOT_JSON },
		{ "{\"b\":1,}", LOG_FIELD_NOT_JSON },
		{ "{\"b\":[1,{\"c\":2}", LOG_FIELD_NOT_JSON },
		{ "{\"b\":1} x", LOG_FIELD_NOT_JSON },
	};
	char deep[400];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		ck_assert_msg(log_field_find(cases[i].line, strlen(cases[i].line), "a", 1, always,
				      NULL) == cases[i].found,
			"%s", cases[i].line);
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "{\"b\":", 5);
	ck_assert_int_eq(
		log_field_find(deep, sizeof(deep), "a", 1, always, NULL), LOG_FIELD_NOT_JSON);
}
END_TEST

/* Each of these finds its line by the index, too: what is asked of it is a superset. */
START_TEST(the_index)
{
	static const struct {
		const char *search, *line;
	} cases[] = {
		{ "a AND b", "b a" },
		{ "a OR NOT b", "c" },
		{ "(a OR b) (c OR d e)", "b d e" },
		{ "a b OR c (d OR e f) OR g", "c e f" },
		{ "NOT x (a OR b)", "b" },
		{ "con*", "connected" },
		{ "\"a b\"*", "a bc" },
		{ "level:err*", "{\"level\":\"error\"}" },
		{ "level:*", "{\"level\":\"error\"}" },
		{ "second", "first\\nsecond" },
		{ "10.0.0.1", "10.0.0.1" },
		{ "AND near NEAR", "and near" },
		{ "\"\"\"", "anything" },
		{ "gr\xc3\xb6\xc3\x9f"
		  "e",
			"gr\xc3\xb6\xc3\x9f"
			"e" },
		{ "((((((((((((((a OR b) c) OR d) e) OR f) g) OR h) i) OR j) k) OR l) m) OR n) o)",
			"n o" },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg",
			"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg" },
	};
	sqlite3 *sqlite;

	ck_assert_int_eq(sqlite3_open(":memory:", &sqlite), SQLITE_OK);
	ck_assert_int_eq(
		sqlite3_exec(sqlite,
			"CREATE VIRTUAL TABLE w USING fts5 (words, content = '', detail = none,"
			" columnsize = 0, tokenize = \"ascii tokenchars '_'\")",
			NULL, NULL, NULL),
		SQLITE_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct log_wordset *set = log_wordset_new();
		struct log_search *search =
			log_search_parse(cases[i].search, strlen(cases[i].search), &err);
		autotext struct text expression = { 0 };
		sqlite3_stmt *statement;
		const struct text *document;

		ck_assert_ptr_nonnull(search);
		ck_assert(log_search_matches(search, cases[i].line, strlen(cases[i].line)));
		log_wordset_add(set, cases[i].line, strlen(cases[i].line));
		document = log_wordset_text(set);
		sqlite3_prepare_v2(
			sqlite, "INSERT INTO w (rowid, words) VALUES (?, ?)", -1, &statement, NULL);
		sqlite3_bind_int64(statement, 1, (int64_t)i + 1);
		sqlite3_bind_text(statement, 2, document->data, (int)document->len, SQLITE_STATIC);
		ck_assert_int_eq(sqlite3_step(statement), SQLITE_DONE);
		sqlite3_finalize(statement);
		if (log_search_index(search, &expression)) {
			sqlite3_prepare_v2(sqlite, "SELECT 1 FROM w WHERE w MATCH ? AND rowid = ?",
				-1, &statement, NULL);
			sqlite3_bind_text(statement, 1, expression.data, -1, SQLITE_STATIC);
			sqlite3_bind_int64(statement, 2, (int64_t)i + 1);
			ck_assert_msg(sqlite3_step(statement) == SQLITE_ROW, "%s: %s: %s",
				cases[i].search, expression.data, sqlite3_errmsg(sqlite));
			sqlite3_finalize(statement);
		}
		log_search_free(search);
		log_wordset_free(set);
	}
	sqlite3_close(sqlite);
}
END_TEST

/* What begins words takes the index long: of many not all are asked for, and nothing is missed. */
START_TEST(many_beginnings)
{
	static const char *const cases[][2] = {
		{ "a* zanzibar", "\"zanzibar\"" },
		{ "a*", NULL },
		{ "ab* zanzibar", "\"ab\"* AND \"zanzibar\"" },
		{ "ab* bc* cd* de* ef* fg*", "\"ab\"* AND \"bc\"* AND \"cd\"* AND \"de\"*" },
		{ "ab* OR bc* OR cd* OR de* OR ef*", NULL },
		{ "\"zanzibar a\"*", "\"zanzibar\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct log_search *search =
			log_search_parse(cases[i][0], strlen(cases[i][0]), NULL);
		autotext struct text expression = { 0 };

		ck_assert_int_eq(log_search_index(search, &expression), cases[i][1] != NULL);
		if (cases[i][1])
			ck_assert_str_eq(expression.data, cases[i][1]);
		log_search_free(search);
	}
}
END_TEST

/* As many words and as deep as a search may be. */
START_TEST(the_largest)
{
	autotext struct text text = { 0 };
	autotext struct text expression = { 0 };
	struct log_search *search;
	sqlite3 *sqlite;
	sqlite3_stmt *statement;

	for (int i = 0; i < LOG_SEARCH_DEPTH; i++)
		text_printf(&text, "w%d (v%d OR ", i, i);
	for (int i = 0; i < 64; i++)
		text_printf(&text, "x%d ", i);
	search = log_search_parse(text.data, text.len, &err);
	ck_assert_msg(search != NULL, "%s", err.text);
	ck_assert(log_search_index(search, &expression));
	ck_assert_int_eq(sqlite3_open(":memory:", &sqlite), SQLITE_OK);
	sqlite3_exec(sqlite,
		"CREATE VIRTUAL TABLE w USING fts5 (words, content = '', detail = none)", NULL,
		NULL, NULL);
	sqlite3_prepare_v2(sqlite, "SELECT 1 FROM w WHERE w MATCH ?", -1, &statement, NULL);
	sqlite3_bind_text(statement, 1, expression.data, -1, SQLITE_STATIC);
	ck_assert_msg(sqlite3_step(statement) == SQLITE_DONE, "%s", sqlite3_errmsg(sqlite));
	sqlite3_finalize(statement);
	sqlite3_close(sqlite);
	log_search_free(search);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_search");
	TCase *tcase = tcase_create("log_search");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, words);
	tcase_add_test(tcase, operators);
	tcase_add_test(tcase, odd_input);
	tcase_add_test(tcase, too_large);
	tcase_add_test(tcase, fields);
	tcase_add_test(tcase, escapes);
	tcase_add_test(tcase, fields_of_what_is_none);
	tcase_add_test(tcase, the_index);
	tcase_add_test(tcase, the_largest);
	tcase_add_test(tcase, many_beginnings);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
