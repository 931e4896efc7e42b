#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

START_TEST(alloc)
{
	autofree unsigned char *bytes = mem_alloc(1000);
	autofree char *none = mem_alloc(0);

	for (int i = 0; i < 1000; i++)
		ck_assert_uint_eq(bytes[i], 0);
	ck_assert_ptr_nonnull(none);
}
END_TEST

START_TEST(resize)
{
	autofree uint64_t *numbers = mem_resize(NULL, 2, sizeof(*numbers));

	numbers[0] = 1;
	numbers[1] = 2;
	numbers = mem_resize(numbers, 1000, sizeof(*numbers));
	ck_assert_uint_eq(numbers[0], 1);
	ck_assert_uint_eq(numbers[1], 2);
	numbers[999] = 3;
	numbers = mem_resize(numbers, 0, sizeof(*numbers));
	ck_assert_ptr_nonnull(numbers);
	numbers = mem_resize(numbers, 1, sizeof(*numbers));
	numbers[0] = 4;
}
END_TEST

/* A product that does not fit ends the program; it never gives less than was asked for. */
START_TEST(resize_overflow)
{
	free(mem_resize(NULL, SIZE_MAX / 8 + 2, 8));
}
END_TEST

START_TEST(strings)
{
	autofree char *copy = mem_strdup("alice");
	autofree char *part = mem_strndup("alice", 3);
	autofree char *whole = mem_strndup("al", 5);
	autofree char *formatted = mem_printf("%s:%d", "notes", 7);

	ck_assert_str_eq(copy, "alice");
	ck_assert_str_eq(part, "ali");
	ck_assert_str_eq(whole, "al");
	ck_assert_str_eq(formatted, "notes:7");
	ck_assert_ptr_null(mem_strdup(NULL));
}
END_TEST

START_TEST(lists)
{
	char **list = NULL, **copy;

	ck_assert_uint_eq(mem_strv_length(NULL), 0);
	ck_assert_ptr_null(mem_strv_copy(NULL));
	mem_strv_free(NULL);
	for (int i = 0; i < 100; i++) {
		autofree char *text = mem_printf("%d", i);

		mem_strv_append(&list, text);
		ck_assert_uint_eq(mem_strv_length(list), (size_t)i + 1);
	}
	copy = mem_strv_copy(list);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(strtol(copy[i], NULL, 10), i);
		ck_assert_ptr_ne(copy[i], list[i]);
	}
	ck_assert_ptr_null(copy[100]);
	mem_strv_free(list);
	mem_strv_free(copy);
}
END_TEST

START_TEST(empty_list)
{
	char *nothing[] = { NULL };
	char **copy = mem_strv_copy(nothing);

	ck_assert_ptr_nonnull(copy);
	ck_assert_uint_eq(mem_strv_length(copy), 0);
	mem_strv_free(copy);
}
END_TEST

START_TEST(stealing)
{
	char *owner = mem_strdup("x"), *taken = mem_steal(&owner);

	ck_assert_ptr_null(owner);
	ck_assert_str_eq(taken, "x");
	mem_free_cleanup(&taken);
}
END_TEST

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(descriptors)
{
	int ends[2], kept;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	{
		autoclose int closed = ends[0];
		autoclose int stolen = ends[1];
		autoclose int none = -1;

		kept = fd_steal(&stolen);
		ck_assert_int_eq(stolen, -1);
		ck_assert_int_eq(closed, ends[0]);
		ck_assert_int_eq(none, -1);
	}
	ck_assert_int_eq(kept, ends[1]);
	ck_assert(!is_open(ends[0]));
	ck_assert(is_open(kept));
	close(kept);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mem");
	TCase *tests = tcase_create("mem");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, alloc);
	tcase_add_test(tests, resize);
	tcase_add_test_raise_signal(tests, resize_overflow, SIGABRT);
	tcase_add_test(tests, strings);
	tcase_add_test(tests, lists);
	tcase_add_test(tests, empty_list);
	tcase_add_test(tests, stealing);
	tcase_add_test(tests, descriptors);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
