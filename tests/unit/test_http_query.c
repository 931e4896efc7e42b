#include <check.h>
#include <stdlib.h>

#include "http_query.h"
#include "mem.h"

static void expect(const char *query, const char *name, const char *wanted)
{
	autofree char *value = http_query_get(query, name);

	if (wanted)
		ck_assert_str_eq(value ? value : "(none)", wanted);
	else
		ck_assert_ptr_null(value);
}

START_TEST(finds_a_value)
{
	expect("process=notes&id=alice", "process", "notes");
	expect("process=notes&id=alice", "id", "alice");
	expect("process=notes&id=alice", "i", NULL);
	expect("process=notes&id=alice", "idx", NULL);
	expect("id=a&id=b", "id", "a");
	expect("&&id=a", "id", "a");
	expect("follow&id=a", "follow", "");
	expect("follow=&id=a", "follow", "");
	expect("id=a=b", "id", "a=b");
	expect("", "id", NULL);
	expect("id", "id", "");
}
END_TEST

START_TEST(undoes_escapes)
{
	expect("search=a%20AND+%22b%22", "search", "a AND \"b\"");
	expect("search=%3a%3A%c3%A9", "search", "::\xc3\xa9");
	expect("search=%26&x=1", "search", "&");
	expect("search=1%2B1", "search", "1+1");
}
END_TEST

START_TEST(keeps_what_is_no_escape)
{
	expect("search=100%", "search", "100%");
	expect("search=%4", "search", "%4");
	expect("search=%zz%4g", "search", "%zz%4g");
	expect("search=a%00b", "search", "a%00b");
	expect("search=%&id=41", "search", "%");
	expect("search=%2541", "search", "%41");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_query");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(all, finds_a_value);
	tcase_add_test(all, undoes_escapes);
	tcase_add_test(all, keeps_what_is_no_escape);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
