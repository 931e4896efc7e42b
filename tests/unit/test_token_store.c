#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/token_store.h"
#include "mem.h"

static char place[64];
static int own = -1, folder = -1;

static void setup(void)
{
	strcpy(place, "/tmp/test-token-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place));
	own = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	folder = token_store_open(own, TOKEN_STORE_MAKE, NULL);
	ck_assert_int_ge(folder, 0);
}

static void teardown(void)
{
	autofree char *command = mem_printf("rm -rf %s", place);

	close(folder);
	close(own);
	ck_assert_int_eq(system(command), 0);
}

static struct token add(char text[TOKEN_TEXT_SIZE])
{
	struct token token = { .by = "uid 0", .description = "a test" };

	ck_assert_int_eq(token_set_scope(&token, TOKEN_TENANT, "alice", NULL), 0);
	ck_assert_int_eq(token_store_add(folder, &token, text, NULL), 0);
	return token;
}

static int read_one(const char *id, int64_t *used)
{
	struct token token;
	struct stat st;
	struct ten_error err = { 0 };
	int result = token_store_read(folder, id, &token, used, &st, &err);

	ck_assert_int_eq(result < 0, *err.text != '\0');
	return result;
}

static void count(void *data, const char *name)
{
	(void)name;
	++*(unsigned *)data;
}

static unsigned listed(void)
{
	DIR *dir = fdopendir(dup(folder));
	unsigned found = 0;

	ck_assert_int_eq(token_store_list(dir, count, NULL, &found, NULL), 0);
	closedir(dir);
	return found;
}

START_TEST(there_and_back)
{
	char text[TOKEN_TEXT_SIZE], other[TOKEN_TEXT_SIZE];
	struct token token = add(text), again, second = add(other);
	unsigned char digest[TOKEN_DIGEST_BYTES];
	struct stat st;
	int64_t used;

	ck_assert_str_ne(text, other);
	ck_assert_str_ne(token.id, second.id);
	ck_assert(token_digest(text, strlen(text), digest));
	ck_assert(token_same(digest, token.digest));
	ck_assert_int_eq(token_store_read(folder, token.id, &again, &used, &st, NULL), 0);
	ck_assert_mem_eq(&again, &token, sizeof(token));
	ck_assert_int_eq(used, 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(fstat(folder, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_uint_eq(listed(), 2);

	token_store_mark_used(folder, token.id, 1795199273);
	ck_assert_int_eq(read_one(token.id, &used), 0);
	ck_assert_int_eq(used, 1795199273);

	ck_assert_int_eq(token_store_remove(folder, token.id, NULL), 1);
	ck_assert_int_eq(token_store_remove(folder, token.id, NULL), 0);
	ck_assert_uint_eq(listed(), 1);
}
END_TEST

static void write_file(const char *name, const char *text, size_t len, mode_t mode)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

/* What grants nothing, though a sound record is in it or behind it. */
START_TEST(hostile)
{
	char text[TOKEN_TEXT_SIZE], record[TOKEN_RECORD_MAX], big[8192];
	struct token token = add(text);
	autotext struct text sound = { 0 };
	int64_t used;
	size_t len;

	token_format(&token, &sound);
	len = sound.len;
	memcpy(record, sound.data, len);
	memset(big, 'x', sizeof(big));
	write_file("00000001", record, len, 0600); /* another's */
	ck_assert_int_lt(read_one("00000001", &used), 0);
	write_file(token.id, record, len, 0640);
	ck_assert_int_lt(read_one(token.id, &used), 0);
	write_file(token.id, record, len, 0602);
	ck_assert_int_lt(read_one(token.id, &used), 0);
	write_file(token.id, record, len, 0600);
	ck_assert_int_eq(read_one(token.id, &used), 0);
	write_file(token.id, record, len - 1, 0600);
	ck_assert_int_lt(read_one(token.id, &used), 0);
	write_file(token.id, "", 0, 0600);
	ck_assert_int_lt(read_one(token.id, &used), 0);
	write_file(token.id, big, sizeof(big), 0600);
	ck_assert_int_lt(read_one(token.id, &used), 0);
	write_file(token.id, record, len, 0600);
	ck_assert_int_eq(renameat(folder, token.id, own, "elsewhere"), 0);
	ck_assert_int_eq(symlinkat("../elsewhere", folder, token.id), 0);
	ck_assert_int_lt(read_one(token.id, &used), 0);
	ck_assert_int_eq(unlinkat(folder, token.id, 0), 0);
	ck_assert_int_eq(mkfifoat(folder, token.id, 0600), 0);
	ck_assert_int_lt(read_one(token.id, &used), 0);
	ck_assert_int_eq(unlinkat(folder, token.id, 0), 0);
	ck_assert_int_eq(mkdirat(folder, token.id, 0700), 0);
	ck_assert_int_lt(read_one(token.id, &used), 0);
	if (geteuid() == 0) {
		write_file("00000002", record, len, 0600);
		ck_assert_int_eq(fchownat(folder, "00000002", 12345, 12345, 0), 0);
		ck_assert_int_lt(read_one("00000002", &used), 0);
	}
}
END_TEST

START_TEST(folder_of_others)
{
	struct ten_error err = { 0 };

	ck_assert_int_eq(fchmod(folder, 0770), 0);
	ck_assert_int_lt(token_store_open(own, TOKEN_STORE_TAKE, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "not ours alone"));
	ck_assert_int_lt(token_store_open(own, TOKEN_STORE_MAKE, &err), 0);
	ck_assert_int_eq(fchmod(folder, 0700), 0);
	ck_assert_int_eq(renameat(own, "tokens", own, "real"), 0);
	ck_assert_int_lt(token_store_open(own, TOKEN_STORE_TAKE, &err), 0);
	ck_assert_int_eq(err.code, ENOENT);
	ck_assert_int_eq(symlinkat("real", own, "tokens"), 0);
	ck_assert_int_lt(token_store_open(own, TOKEN_STORE_TAKE, &err), 0);
	ck_assert_int_lt(token_store_open(own, TOKEN_STORE_MAKE, &err), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("token_store");
	TCase *tests = tcase_create("token_store");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, there_and_back);
	tcase_add_test(tests, hostile);
	tcase_add_test(tests, folder_of_others);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
