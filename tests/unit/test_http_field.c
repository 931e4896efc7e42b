#include <check.h>
#include <string.h>

#include "http_field.h"
#include "http_host.h"

START_TEST(test_known_names)
{
	static const struct {
		const char *name;
		enum http_field_id id;
	} rows[] = {
		{ "Host", HTTP_FIELD_HOST },
		{ "hOST", HTTP_FIELD_HOST },
		{ "TE", HTTP_FIELD_TE },
		{ "Accept", HTTP_FIELD_ACCEPT },
		{ "Expect", HTTP_FIELD_EXPECT },
		{ "Trailer", HTTP_FIELD_TRAILER },
		{ "Upgrade", HTTP_FIELD_UPGRADE },
		{ "Forwarded", HTTP_FIELD_FORWARDED },
		{ "X-Real-IP", HTTP_FIELD_X_REAL_IP },
		{ "Connection", HTTP_FIELD_CONNECTION },
		{ "Keep-Alive", HTTP_FIELD_KEEP_ALIVE },
		{ "X-Request-Id", HTTP_FIELD_X_REQUEST_ID },
		{ "Content-Length", HTTP_FIELD_CONTENT_LENGTH },
		{ "X-Forwarded-For", HTTP_FIELD_X_FORWARDED_FOR },
		{ "X-Forwarded-Host", HTTP_FIELD_X_FORWARDED_HOST },
		{ "Proxy-Connection", HTTP_FIELD_PROXY_CONNECTION },
		{ "X-Forwarded-Proto", HTTP_FIELD_X_FORWARDED_PROTO },
		{ "Transfer-Encoding", HTTP_FIELD_TRANSFER_ENCODING },
		{ "Proxy-Authenticate", HTTP_FIELD_PROXY_AUTHENTICATE },
		{ "Proxy-Authorization", HTTP_FIELD_PROXY_AUTHORIZATION },
		{ "X-Forwarded-", HTTP_FIELD_X_FORWARDED_OTHER },
		{ "X-Forwarded-Port", HTTP_FIELD_X_FORWARDED_OTHER },
		{ "x-forwarded-a-name-longer-than-the-others", HTTP_FIELD_X_FORWARDED_OTHER },
		{ "X_Forwarded_For", HTTP_FIELD_ALIAS },
		{ "X-Forwarded_Port", HTTP_FIELD_ALIAS },
		{ "x_real-ip", HTTP_FIELD_ALIAS },
		{ "Content_Length", HTTP_FIELD_ALIAS },
		{ "X-Forwarded", HTTP_FIELD_OTHER },
		{ "Authorization", HTTP_FIELD_OTHER },
		{ "X_Other", HTTP_FIELD_OTHER },
		{ "Hos", HTTP_FIELD_OTHER },
		{ "Hosts", HTTP_FIELD_OTHER },
		{ "a", HTTP_FIELD_OTHER },
		{ "", HTTP_FIELD_OTHER },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(http_field_identify(rows[i].name, strlen(rows[i].name)) == rows[i].id,
			"%s", rows[i].name);
}
END_TEST

START_TEST(test_characters)
{
	static const char token_marks[] = "!#$%&'*+-.^_`|~";

	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		bool letter =
			(c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		bool token = letter || (c && strchr(token_marks, c));
		bool value = c == '\t' || (c >= ' ' && c != 0x7f);

		ck_assert_msg(http_is_token(&byte, 1) == token, "%d", c);
		ck_assert_msg(http_is_value(&byte, 1) == value, "%d", c);
	}
	ck_assert(!http_is_token("", 0) && http_is_value("", 0));
}
END_TEST

START_TEST(test_lists)
{
	static const char list[] = " , a ,\tb c\t,,d";
	static const char *const want[] = { "a", "b c", "d" };
	struct http_text item;
	size_t at = 0;

	for (size_t i = 0; i < 3; i++) {
		ck_assert(http_list_next(list, sizeof(list) - 1, &at, &item));
		ck_assert(http_text_is(item.data, item.len, want[i]));
	}
	ck_assert(!http_list_next(list, sizeof(list) - 1, &at, &item));
	at = 0;
	ck_assert(!http_list_next("", 0, &at, &item));
}
END_TEST

START_TEST(test_hosts)
{
	static const struct {
		const char *text, *name; /* NULL: not valid */
	} rows[] = {
		{ "A.Example", "a.example" },
		{ "a.example.", "a.example" },
		{ "a.example.:80", "a.example" },
		{ "a_b-c:1", "a_b-c" },
		{ "[::1]", "[::1]" },
		{ "[2001:DB8::1]:443", "[2001:db8::1]" },
		{ "", NULL },
		{ ":80", NULL },
		{ "a:65536", NULL },
		{ "a:000080", NULL },
		{ "a..", NULL },
		{ "::1", NULL },
		{ "[]", NULL },
		{ "[1.2.3.4]", NULL },
		{ "a%41", NULL },
	};
	char name[HTTP_HOST_MAX + 1];
	struct http_text host, port;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool valid = http_host_split(rows[i].text, strlen(rows[i].text), &host, &port);
		ck_assert_msg(valid == (rows[i].name != NULL), "%s", rows[i].text);
		if (valid) {
			ck_assert_uint_eq(http_host_normalize(&host, name), strlen(rows[i].name));
			ck_assert_str_eq(name, rows[i].name);
		}
	}
}
END_TEST

START_TEST(test_long_hosts)
{
	char text[300], name[HTTP_HOST_MAX + 1];
	struct http_text host = { text, 0 }, port;

	memset(text, 'a', sizeof(text));
	ck_assert(!http_host_split(text, sizeof(text), &host, &port));
	host = (struct http_text){ text, HTTP_HOST_MAX };
	ck_assert_uint_eq(http_host_normalize(&host, name), HTTP_HOST_MAX);
	host.len++;
	ck_assert_uint_eq(http_host_normalize(&host, name), 0);
	text[HTTP_HOST_MAX] = '.';
	ck_assert_uint_eq(http_host_normalize(&host, name), HTTP_HOST_MAX);
	ck_assert(http_host_is_address("127.0.0.1", 9) && http_host_is_address("[::]", 4));
	ck_assert(!http_host_is_address("127.0.0", 7) && !http_host_is_address("::", 2));
	ck_assert(!http_host_is_address("", 0) && !http_host_is_address("[]", 2));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_field");
	TCase *tests = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, test_known_names);
	tcase_add_test(tests, test_characters);
	tcase_add_test(tests, test_lists);
	tcase_add_test(tests, test_hosts);
	tcase_add_test(tests, test_long_hosts);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
