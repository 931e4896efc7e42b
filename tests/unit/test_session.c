#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "session.h"

#define NOW  INT64_C(1000000)
#define BOOT "0f2c"

static struct sessions *sessions;
static unsigned made;

static void setup(void)
{
	sessions = sessions_new();
	made = 0;
}

static void teardown(void)
{
	sessions_free(sessions);
}

static void begin(const char *id, int64_t now, char value[SESSION_TEXT_SIZE])
{
	unsigned char random[SESSION_BYTES] = { 0 };

	made++;
	memcpy(random, &made, sizeof(made));
	session_add(sessions, random, id, now, value);
}

static const char *find(const char *value, int64_t now)
{
	return session_find(sessions, value, strlen(value), now);
}

START_TEST(is_found_until_it_is_ended)
{
	char value[SESSION_TEXT_SIZE], other[SESSION_TEXT_SIZE];

	begin("3fa9c2d1", NOW, value);
	begin("00000001", NOW, other);
	ck_assert_uint_eq(strlen(value), 64);
	ck_assert_str_ne(value, other);
	ck_assert_str_eq(find(value, NOW), "3fa9c2d1");
	ck_assert_str_eq(find(other, NOW), "00000001");
	ck_assert(session_lives(sessions, value, strlen(value), NOW));
	ck_assert(session_remove(sessions, value, strlen(value)));
	ck_assert(!session_remove(sessions, value, strlen(value)));
	ck_assert_ptr_null(find(value, NOW));
	ck_assert(!session_lives(sessions, value, strlen(value), NOW));
	ck_assert_str_eq(find(other, NOW), "00000001");
}
END_TEST

START_TEST(to_live_is_no_use)
{
	char value[SESSION_TEXT_SIZE];

	begin("3fa9c2d1", NOW, value);
	ck_assert(session_lives(sessions, value, strlen(value), NOW + SESSION_IDLE_SECS - 1));
	ck_assert(!session_lives(sessions, value, strlen(value), NOW + SESSION_IDLE_SECS));
	ck_assert_ptr_null(find(value, NOW + SESSION_IDLE_SECS));
}
END_TEST

START_TEST(others_are_none)
{
	char value[SESSION_TEXT_SIZE];

	begin("3fa9c2d1", NOW, value);
	ck_assert_ptr_null(session_find(sessions, value, 63, NOW));
	ck_assert_ptr_null(session_find(sessions, "", 0, NOW));
	value[5] ^= 1;
	ck_assert_ptr_null(find(value, NOW));
}
END_TEST

START_TEST(ends_when_it_is_old_or_idle)
{
	char idle[SESSION_TEXT_SIZE], busy[SESSION_TEXT_SIZE];
	int64_t now;

	begin("3fa9c2d1", NOW, idle);
	begin("3fa9c2d1", NOW, busy);
	ck_assert_ptr_nonnull(find(idle, NOW + SESSION_IDLE_SECS - 1));
	ck_assert_ptr_null(find(idle, NOW + 2 * SESSION_IDLE_SECS - 1));
	for (now = NOW; now < NOW + SESSION_LIFE_SECS; now += SESSION_IDLE_SECS - 1)
		ck_assert_ptr_nonnull(find(busy, now));
	ck_assert_ptr_null(find(busy, NOW + SESSION_LIFE_SECS));
	ck_assert_uint_eq(sessions_count(sessions), 0);
}
END_TEST

START_TEST(a_token_has_so_many)
{
	char first[SESSION_TEXT_SIZE], second[SESSION_TEXT_SIZE], more[SESSION_TEXT_SIZE];
	char others[SESSION_TEXT_SIZE];

	begin("00000001", NOW, others);
	begin("3fa9c2d1", NOW, first);
	begin("3fa9c2d1", NOW + 1, second);
	ck_assert_ptr_nonnull(find(first, NOW + 2));
	for (unsigned i = 2; i <= SESSIONS_PER_TOKEN; i++)
		begin("3fa9c2d1", NOW + 3, more);
	ck_assert_ptr_null(find(second, NOW + 3));
	ck_assert_ptr_nonnull(find(first, NOW + 3));
	ck_assert_ptr_nonnull(find(more, NOW + 3));
	ck_assert_ptr_nonnull(find(others, NOW + 3));
}
END_TEST

START_TEST(there_are_so_many)
{
	char first[SESSION_TEXT_SIZE], more[SESSION_TEXT_SIZE], id[TOKEN_ID_SIZE];

	begin("ffffffff", NOW, first);
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		snprintf(id, sizeof(id), "%08x", i / SESSIONS_PER_TOKEN);
		begin(id, NOW + 1, more);
	}
	ck_assert_uint_eq(sessions_count(sessions), SESSIONS_MAX);
	ck_assert_ptr_null(find(first, NOW + 1));
	ck_assert_ptr_nonnull(find(more, NOW + 1));
}
END_TEST

START_TEST(are_read_back)
{
	char value[SESSION_TEXT_SIZE], old[SESSION_TEXT_SIZE];
	autotext struct text record = { 0 };
	struct sessions *again = sessions_new();
	struct ten_error err;

	begin("00000001", NOW, old);
	begin("3fa9c2d1", NOW + SESSION_LIFE_SECS - 10, value);
	sessions_format(sessions, BOOT, &record);
	ck_assert_ptr_null(strstr(record.data, value));
	ck_assert_uint_le(record.len, SESSIONS_RECORD_MAX);
	ck_assert_int_eq(
		sessions_parse(again, record.data, record.len, BOOT, NOW + SESSION_LIFE_SECS, &err),
		0);
	ck_assert_uint_eq(sessions_count(again), 1);
	ck_assert_str_eq(
		session_find(again, value, strlen(value), NOW + SESSION_LIFE_SECS), "3fa9c2d1");
	sessions_free(again);
	again = sessions_new();
	ck_assert_int_eq(sessions_parse(again, record.data, record.len, "another", NOW, &err), 0);
	ck_assert_uint_eq(sessions_count(again), 0);
	sessions_free(again);
}
END_TEST

#define DIGEST "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
static const char *const no_records[] = {
	"",
	"tenement-sessions 1 0f2c",
	"tenement-sessions 2 0f2c\n",
	"tenement-sessions 1 0f2c\n" DIGEST " 3fa9c2d1 5 6",
	"tenement-sessions 1 0f2c\n" DIGEST " 3fa9c2d1 6 5\n",
	"tenement-sessions 1 0f2c\n" DIGEST " 3fa9c2d 5 6\n",
	"tenement-sessions 1 0f2c\n" DIGEST " 3fa9c2d1 +5 6\n",
	"tenement-sessions 1 0f2c\n" DIGEST " 3fa9c2d1 5 6 7\n",
	"tenement-sessions 1 0f2c\n" DIGEST " 3fa9c2d1 5 6\n" DIGEST " 3fa9c2d1 5 6\n",
	"tenement-sessions 1 0f2c\n\n" DIGEST " 3fa9c2d1 5 6\n",
};

START_TEST(what_is_no_record_gives_none)
{
	struct ten_error err;

	ck_assert_int_eq(
		sessions_parse(sessions, no_records[_i], strlen(no_records[_i]), BOOT, 7, &err),
		-1);
	ck_assert_uint_eq(sessions_count(sessions), 0);
}
END_TEST

START_TEST(a_record_with_a_nul_is_none)
{
	static const char record[] = "tenement-sessions 1 0f2c\n\0\n";
	struct ten_error err;

	ck_assert_int_eq(sessions_parse(sessions, record, sizeof(record) - 1, BOOT, 7, &err), -1);
}
END_TEST

static const struct {
	const char *field, *values;
} cookies[] = {
	{ "tenement_session=abc", "abc " },
	{ "a=b; tenement_session=abc;c=d", "abc " },
	{ "tenement_session=1;  tenement_session=2 ; x=3", "1 2 " },
	{ "xtenement_session=1; tenement_session2=2; tenement_session", "" },
	{ "tenement_session=", " " },
	{ "", "" },
	{ ";;; tenement_session=a=b;", "a=b " },
};

START_TEST(cookies_are_found)
{
	autotext struct text found = { 0 };
	struct http_text value;
	size_t at = 0;

	text_puts(&found, "");
	while (session_cookie_next(
		cookies[_i].field, strlen(cookies[_i].field), SESSION_COOKIE, &at, &value)) {
		text_add(&found, value.data, value.len);
		text_puts(&found, " ");
	}
	ck_assert_str_eq(found.data ? found.data : "", cookies[_i].values);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *tests = tcase_create("session");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, is_found_until_it_is_ended);
	tcase_add_test(tests, to_live_is_no_use);
	tcase_add_test(tests, others_are_none);
	tcase_add_test(tests, ends_when_it_is_old_or_idle);
	tcase_add_test(tests, a_token_has_so_many);
	tcase_add_test(tests, there_are_so_many);
	tcase_add_test(tests, are_read_back);
	tcase_add_loop_test(tests, what_is_no_record_gives_none, 0,
		(int)(sizeof(no_records) / sizeof(*no_records)));
	tcase_add_test(tests, a_record_with_a_nul_is_none);
	tcase_add_loop_test(tests, cookies_are_found, 0, (int)(sizeof(cookies) / sizeof(*cookies)));
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
