#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log_question.h"
#include "mem.h"

static struct log_question question;
static const char *parameter;
static struct ten_error err;

static void read_well(const char *query)
{
	ck_assert_msg(log_question_read(&question, query, &parameter, &err) == 0, "%s: %s", query,
		err.text);
}

START_TEST(reads_what_is_asked)
{
	read_well("");
	ck_assert_str_eq(question.service, "");
	ck_assert_str_eq(question.id, "");
	ck_assert_str_eq(question.level, "");
	ck_assert_str_eq(question.search, "");
	ck_assert_int_eq(question.limit, LOG_QUESTION_LIMIT);
	ck_assert_int_eq(question.since_ms, 0);
	read_well("process=notes&id=alice&level=stderr&search=a+%22b%22&since=12&until=34&limit=0");
	ck_assert_str_eq(question.service, "notes");
	ck_assert_str_eq(question.id, "alice");
	ck_assert_str_eq(question.level, "stderr");
	ck_assert_str_eq(question.search, "a \"b\"");
	ck_assert_int_eq(question.since_ms, 12);
	ck_assert_int_eq(question.until_ms, 34);
	ck_assert_int_eq(question.limit, 0);
	read_well("id=notes%3Aalice&limit=");
	ck_assert_str_eq(question.service, "notes");
	ck_assert_str_eq(question.id, "alice");
	ck_assert_int_eq(question.limit, LOG_QUESTION_LIMIT);
	read_well("id=notes:alice&process=notes");
	read_well("id=alice");
	ck_assert_str_eq(question.service, "");
	ck_assert_str_eq(question.id, "alice");
}
END_TEST

START_TEST(says_what_is_wrong)
{
	static const struct {
		const char *query, *parameter;
	} wrong[] = {
		{ "process=../etc", "process" },
		{ "process=Notes", "process" },
		{ "id=a/b", "id" },
		{ "id=notes:", "id" },
		{ "id=:", "id" },
		{ "id=:alice", "id" },
		{ "id=a:b:c", "id" },
		{ "id=notes:alice&process=wiki", "id" },
		{ "level=error", "level" },
		{ "level=stdoutstdoutstdout", "level" },
		{ "search=%ff", "search" },
		{ "search=%ed%a0%80", "search" },
		{ "since=1h", "since" },
		{ "since=-1", "since" },
		{ "until=9999999999999999999", "until" },
		{ "limit=100001", "limit" },
		{ "limit=many", "limit" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		ck_assert_msg(log_question_read(&question, wrong[i].query, &parameter, &err) < 0,
			"%s was taken", wrong[i].query);
		ck_assert_str_eq(parameter, wrong[i].parameter);
	}
}
END_TEST

START_TEST(bounds_the_search)
{
	char query[LOG_QUESTION_SEARCH_MAX + 16] = "search=";
	size_t at = strlen(query);

	memset(query + at, 'x', LOG_QUESTION_SEARCH_MAX);
	read_well(query);
	ck_assert_uint_eq(strlen(question.search), LOG_QUESTION_SEARCH_MAX);
	query[at + LOG_QUESTION_SEARCH_MAX] = 'x';
	ck_assert(log_question_read(&question, query, &parameter, &err) < 0);
	ck_assert_str_eq(parameter, "search");
}
END_TEST

static struct principal scoped(enum principal_scope scope, const char *of)
{
	struct principal who = { .scope = scope };

	snprintf(who.of, sizeof(who.of), "%s", of);
	return who;
}

/* What is left of QUERY for WHO: "service:id", or "" when it is nothing. */
static const char *narrowed(const char *query, struct principal who)
{
	static char left[2 * NAMES_MAX + 2];

	read_well(query);
	if (!log_question_narrow(&question, &who))
		return "";
	snprintf(left, sizeof(left), "%s:%s", question.service, question.id);
	return left;
}

START_TEST(narrows_to_what_one_sees)
{
	struct principal all = scoped(SCOPE_ALL, "");
	struct principal alice = scoped(SCOPE_TENANT, "alice");
	struct principal one = scoped(SCOPE_INSTANCE, "notes:alice");

	ck_assert_str_eq(narrowed("", all), ":");
	ck_assert_str_eq(narrowed("process=notes", all), "notes:");
	ck_assert_str_eq(narrowed("", alice), ":alice");
	ck_assert_str_eq(narrowed("process=notes", alice), "notes:alice");
	ck_assert_str_eq(narrowed("id=alice", alice), ":alice");
	ck_assert_str_eq(narrowed("id=wiki:alice", alice), "wiki:alice");
	ck_assert_str_eq(narrowed("id=bob", alice), "");
	ck_assert_str_eq(narrowed("id=alic", alice), "");
	ck_assert_str_eq(narrowed("id=alicex", alice), "");
	ck_assert_str_eq(narrowed("", one), "notes:alice");
	ck_assert_str_eq(narrowed("process=notes", one), "notes:alice");
	ck_assert_str_eq(narrowed("id=alice", one), "notes:alice");
	ck_assert_str_eq(narrowed("process=note", one), "");
	ck_assert_str_eq(narrowed("id=wiki:alice", one), "");
	ck_assert_str_eq(narrowed("id=notes:bob", one), "");
	/* A principal without what it is limited to sees nothing at all. */
	ck_assert_str_eq(narrowed("", scoped(SCOPE_TENANT, "")), "");
	ck_assert_str_eq(narrowed("", scoped(SCOPE_INSTANCE, "")), "");
	ck_assert_str_eq(narrowed("", scoped(SCOPE_INSTANCE, "notes")), "");
}
END_TEST

START_TEST(comes_through_the_wire)
{
	struct wire_buffer *message = mem_alloc(sizeof(*message));
	struct log_question *other = mem_alloc(sizeof(*other));
	struct wire *wire = mem_alloc(sizeof(*wire));

	read_well("id=notes:alice&level=stdout&search=a%0ab%01&since=1&until=2&limit=3");
	question.kind = LOG_QUESTION_FOLLOW;
	ck_assert_int_eq(log_question_resume(&question, "9007199254740991", &err), 0);
	log_question_pack(&question, message);
	ck_assert(wire_parse(message->bytes, message->len, wire));
	ck_assert(log_question_unpack(other, wire));
	ck_assert_int_eq(other->kind, LOG_QUESTION_FOLLOW);
	ck_assert_str_eq(other->service, "notes");
	ck_assert_str_eq(other->id, "alice");
	ck_assert_str_eq(other->level, "stdout");
	ck_assert_str_eq(other->search, "a\nb\001");
	ck_assert_int_eq(other->since_ms, 1);
	ck_assert_int_eq(other->until_ms, 2);
	ck_assert_int_eq(other->limit, 3);
	ck_assert(other->resumes);
	ck_assert_uint_eq(other->after, UINT64_C(9007199254740991));
	wire->count--;
	ck_assert(!log_question_unpack(other, wire));
	ck_assert_int_lt(log_question_resume(&question, "12x", &err), 0);
	ck_assert_int_lt(log_question_resume(&question, "-1", &err), 0);
	ck_assert_int_lt(log_question_resume(&question, "", &err), 0);
	free(message);
	free(other);
	free(wire);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_question");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(all, reads_what_is_asked);
	tcase_add_test(all, says_what_is_wrong);
	tcase_add_test(all, bounds_the_search);
	tcase_add_test(all, narrows_to_what_one_sees);
	tcase_add_test(all, comes_through_the_wire);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
