#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "token.h"

#define DIGEST "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define HEAD   "tenement-token 1\nid 3fa9c2d1\nsha256 " DIGEST "\n"
#define TAIL   "by uid 0\ndescription x y\n"

START_TEST(shown)
{
	unsigned char random[TOKEN_BYTES];
	char text[TOKEN_TEXT_SIZE], id[TOKEN_ID_SIZE];

	for (unsigned i = 0; i < TOKEN_BYTES; i++)
		random[i] = (unsigned char)(8 * i + i);
	token_show(random, text);
	ck_assert_str_eq(
		text, "ten_0009121b242d363f48515a636c757e879099a2abb4bdc6cfd8e1eaf3fc050e17");
	ck_assert_uint_eq(strlen(text), TOKEN_TEXT_SIZE - 1);
	token_show_id(random, id);
	ck_assert_str_eq(id, "0009121b");
	ck_assert(token_is_id(id));
	ck_assert(!token_is_id("0009121B"));
	ck_assert(!token_is_id("0009121b0"));
	ck_assert(!token_is_id("../../ab"));
	ck_assert(!token_is_id(""));
}
END_TEST

/* By another program: printf ten_000...0 | sha256sum. */
START_TEST(digested)
{
	static const unsigned char wanted[] = { 0x6d, 0x18, 0x94, 0xe9 };
	char text[TOKEN_TEXT_SIZE] = "ten_";
	unsigned char digest[TOKEN_DIGEST_BYTES], other[TOKEN_DIGEST_BYTES];

	memset(text + 4, '0', TOKEN_TEXT_SIZE - 5);
	ck_assert(token_digest(text, strlen(text), digest));
	ck_assert_mem_eq(digest, wanted, sizeof(wanted));
	ck_assert(token_same(digest, digest));
	text[TOKEN_TEXT_SIZE - 2] = '1';
	ck_assert(token_digest(text, strlen(text), other));
	ck_assert(!token_same(digest, other));
	memcpy(other, digest, sizeof(other));
	other[TOKEN_DIGEST_BYTES - 1] ^= 1;
	ck_assert(!token_same(digest, other));
	ck_assert(!token_digest(text, strlen(text) - 1, digest));
	ck_assert(!token_digest("", 0, digest));
	text[0] = 'T';
	ck_assert(!token_digest(text, strlen(text), digest));
}
END_TEST

static const char *const sound[] = {
	HEAD "scope all\nrights all\ncreated 1795199273\nexpires 0\n" TAIL,
	HEAD "scope tenant alice\nrights read\ncreated 1795199273\nexpires 1802975273\n" TAIL,
	HEAD "scope instance notes:alice\nrights all\ncreated 0\nexpires 1\nby \ndescription \n",
	HEAD "scope all\nrights all\ncreated 1\nexpires 0\nby uid 0\ndescription f\xc3\xbcr\n",
};

START_TEST(there_and_back)
{
	struct token token;
	autotext struct text again = { 0 };

	ck_assert_int_eq(token_parse(sound[_i], strlen(sound[_i]), &token, NULL), 0);
	token_format(&token, &again);
	ck_assert_str_eq(again.data, sound[_i]);
}
END_TEST

/* Cut off anywhere, or with a byte changed to what ends a line, it grants nothing. */
START_TEST(torn)
{
	size_t len = strlen(sound[_i]);
	autofree char *copy = mem_strdup(sound[_i]);
	struct token token;

	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_lt(token_parse(sound[_i], cut, &token, NULL), 0);
	for (size_t at = 0; at < len; at++) {
		char was = copy[at];

		if (was == '\n')
			continue;
		copy[at] = '\0';
		ck_assert_int_lt(token_parse(copy, len, &token, NULL), 0);
		copy[at] = '\n';
		ck_assert_int_lt(token_parse(copy, len, &token, NULL), 0);
		copy[at] = was;
	}
}
END_TEST

static const char *const unsound[] = {
	"",
	"\n",
	"tenement-token 2\n",
	HEAD "scope all\nrights all\ncreated 1\nexpires 0\n" TAIL "scope all\n",
	HEAD "scope all\nrights all\ncreated 1\nexpires 0\n" TAIL "\n",
	HEAD "scope all alice\nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope all \nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope tenant\nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope tenant \nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope tenant notes:alice\nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope tenant Alice\nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope instance alice\nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope instance notes:\nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope instance a:b:c\nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope instance ../x:b\nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope god\nrights all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope all\nrights write\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope all\nrights\ncreated 1\nexpires 0\n" TAIL,
	HEAD "rights all\nscope all\ncreated 1\nexpires 0\n" TAIL,
	HEAD "scope all\nrights all\ncreated 1\nexpires -1\n" TAIL,
	HEAD "scope all\nrights all\ncreated 1\nexpires 007\n" TAIL,
	HEAD "scope all\nrights all\ncreated 1\nexpires 99999999999999\n" TAIL,
	HEAD "scope all\nrights all\ncreated 1\nexpires 0x10\n" TAIL,
	HEAD "scope all\nrights all\ncreated 1\nexpires \n" TAIL,
	HEAD "scope all\nrights all\ncreated 1\nexpires 0\nby uid 0\ndescription a\x1b[2J\n",
	HEAD "scope all\nrights all\ncreated 1\nexpires 0\nby uid 0\ndescription \xc2\x9b\n",
	HEAD "scope all\nrights all\ncreated 1\nexpires 0\nby uid 0\ndescription \xff\n",
	"tenement-token 1\nid 3FA9C2D1\nsha256 " DIGEST
	"\nscope all\nrights all\ncreated 1\nexpires 0\n" TAIL,
	"tenement-token 1\nid 3fa9c2d1\nsha256 9f86\nscope all\nrights all\ncreated 1\nexpires "
	"0\n" TAIL,
	"tenement-token 1\r\nid 3fa9c2d1\r\n",
};

START_TEST(refused)
{
	struct token token;
	struct ten_error err = { 0 };

	ck_assert_int_lt(token_parse(unsound[_i], strlen(unsound[_i]), &token, &err), 0);
	ck_assert_str_ne(err.text, "");
}
END_TEST

START_TEST(expiry)
{
	struct token token = { .expires = 0 };

	ck_assert(!token_expired(&token, INT64_MAX));
	token.expires = 100;
	ck_assert(!token_expired(&token, 99));
	ck_assert(token_expired(&token, 100));
}
END_TEST

START_TEST(what_it_may_say)
{
	struct token token = { 0 };
	struct ten_error err;
	char long_name[CONFIG_INSTANCE_MAX + 1], long_text[TOKEN_DESCRIPTION_MAX + 2];

	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	memset(long_text, 'a', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	ck_assert_int_eq(token_set_scope(&token, TOKEN_TENANT, "alice", &err), 0);
	ck_assert_int_lt(token_set_scope(&token, TOKEN_TENANT, "Alice", &err), 0);
	ck_assert_int_lt(token_set_scope(&token, TOKEN_TENANT, long_name, &err), 0);
	ck_assert_int_lt(token_set_scope(&token, TOKEN_INSTANCE, long_name, &err), 0);
	ck_assert_int_lt(token_set_scope(&token, TOKEN_INSTANCE, ":alice", &err), 0);
	ck_assert_int_lt(token_set_scope(&token, TOKEN_ALL, "alice", &err), 0);
	ck_assert_str_eq(token.of, "alice"); /* what is refused changes nothing */
	ck_assert_int_eq(token.scope, TOKEN_TENANT);
	ck_assert_int_lt(token_set_description(&token, long_text, &err), 0);
	ck_assert_int_lt(token_set_description(&token, "two\nlines", &err), 0);
	long_text[TOKEN_DESCRIPTION_MAX] = '\0';
	ck_assert_int_eq(token_set_description(&token, long_text, &err), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("token");
	TCase *tests = tcase_create("token");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, shown);
	tcase_add_test(tests, digested);
	tcase_add_loop_test(tests, there_and_back, 0, sizeof(sound) / sizeof(*sound));
	tcase_add_loop_test(tests, torn, 0, sizeof(sound) / sizeof(*sound));
	tcase_add_loop_test(tests, refused, 0, sizeof(unsound) / sizeof(*unsound));
	tcase_add_test(tests, expiry);
	tcase_add_test(tests, what_it_may_say);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
