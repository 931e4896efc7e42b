#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/audit_log.h"
#include "mem.h"

static char place[64];
static int own = -1;
static struct audit_log *audit;

static void setup(void)
{
	strcpy(place, "/tmp/test-audit-log-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place));
	own = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	audit = audit_log_new(own);
}

static void teardown(void)
{
	autofree char *command = mem_printf("rm -rf %s", place);

	audit_log_free(audit);
	close(own);
	ck_assert_int_eq(system(command), 0);
}

static int add(enum audit_series series, int64_t time_ms, const char *path)
{
	const struct audit_entry entry = { .time_ms = time_ms,
		.by = "token 3fa9c2d1",
		.address = "192.0.2.1",
		.method = "POST",
		.path = path,
		.status = 200 };
	struct ten_error err;

	return audit_log_add(audit, series, &entry, &err);
}

static json_t *read_all(int64_t since_ms, size_t limit)
{
	json_t *list = audit_log_read(audit, since_ms, limit, NULL);

	ck_assert(json_is_array(list));
	return list;
}

static const char *path_at(const json_t *list, size_t at)
{
	const char *path = json_string_value(json_object_get(json_array_get(list, at), "path"));

	return path ? path : "";
}

/* How many files of SERIES there are. */
static unsigned files_of(const char *series, off_t *bytes)
{
	int fd = openat(own, "audit", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	struct stat st;
	unsigned found = 0;

	*bytes = 0;
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, series, strlen(series)) == 0) {
			found++;
			ck_assert_int_eq(fstatat(fd, entry->d_name, &st, 0), 0);
			ck_assert_uint_eq(st.st_mode & 07777, 0600);
			*bytes += st.st_size;
		}
	closedir(dir);
	return found;
}

START_TEST(in_order)
{
	json_t *list;

	ck_assert_int_eq(add(AUDIT_DONE, 1000, "/a"), 0);
	ck_assert_int_eq(add(AUDIT_REFUSED, 2000, "/b"), 0);
	ck_assert_int_eq(add(AUDIT_DONE, 3000, "/c"), 0);
	list = read_all(0, 10);
	ck_assert_uint_eq(json_array_size(list), 3);
	ck_assert_str_eq(path_at(list, 0), "/a");
	ck_assert_str_eq(path_at(list, 1), "/b");
	ck_assert_str_eq(path_at(list, 2), "/c");
	json_decref(list);
	list = read_all(0, 2);
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(path_at(list, 0), "/b");
	json_decref(list);
	list = read_all(3000, 10);
	ck_assert_uint_eq(json_array_size(list), 1);
	json_decref(list);
}
END_TEST

static const struct {
	const char *path, *wanted;
} paths[] = {
	{ "/api/\x1b[2J\n\xff\xc3\xbc", "/api/?[2J??\xc3\xbc" },
	{ "/x/ten_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff/y",
		"/x/ten_***/y" },
	{ "/x/ten_ants", "/x/ten_ants" },
	{ "\"}\n{\"by\":\"uid 0\"", "\"}?{\"by\":\"uid 0\"" },
	{ "", "" },
};

START_TEST(harmless)
{
	json_t *list;

	ck_assert_int_eq(add(AUDIT_DONE, 1000, paths[_i].path), 0);
	list = read_all(0, 10);
	ck_assert_uint_eq(json_array_size(list), 1);
	ck_assert_str_eq(path_at(list, 0), paths[_i].wanted);
	json_decref(list);
}
END_TEST

START_TEST(long_ones_are_cut)
{
	char path[100000];
	json_t *list;

	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(add(AUDIT_DONE, 1000, path), 0);
	list = read_all(0, 10);
	ck_assert_uint_eq(strlen(path_at(list, 0)), 256 + 3);
	json_decref(list);
}
END_TEST

/* However much is written, so many files of so many bytes are kept, and the newest lines. */
START_TEST(bounded)
{
	json_t *list;
	off_t bytes;

	ck_assert_int_eq(add(AUDIT_DONE, 1, "/first"), 0);
	for (int64_t i = 0; i < 100000; i++)
		ck_assert_int_eq(add(AUDIT_REFUSED, 1000 + i, "/api/instances/notes:alice"), 0);
	ck_assert_uint_eq(files_of("refused-", &bytes), 8);
	ck_assert_int_le(bytes, 8 * ((1 << 20) + 1024));
	list = read_all(0, AUDIT_LOG_LIMIT_MAX);
	ck_assert_uint_eq(json_array_size(list), AUDIT_LOG_LIMIT_MAX);
	ck_assert_int_eq(json_integer_value(json_object_get(
				 json_array_get(list, AUDIT_LOG_LIMIT_MAX - 1), "timestamp")),
		1000 + 99999);
	json_decref(list);
	ck_assert_uint_eq(files_of("done-", &bytes), 1); /* of which a flood pushes out nothing */
}
END_TEST

/* Another one goes on in the same files, also after a line that was cut off. */
START_TEST(torn)
{
	struct audit_log *other = audit_log_new(own);
	const struct audit_entry entry = { .time_ms = 3000,
		.by = "uid 0",
		.address = "files",
		.method = "POST",
		.path = "/other",
		.status = 201 };
	json_t *list;
	int fd;

	ck_assert_int_eq(add(AUDIT_DONE, 1000, "/a"), 0);
	fd = openat(own, "audit/done-0000000001.jsonl", O_WRONLY | O_APPEND | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "{\"timestamp\":2000,\"by", 20), 20);
	close(fd);
	ck_assert_int_eq(audit_log_add(other, AUDIT_DONE, &entry, NULL), 0);
	audit_log_free(other);
	ck_assert_int_eq(add(AUDIT_DONE, 4000, "/b"), 0);
	list = read_all(0, 10);
	ck_assert_uint_eq(json_array_size(list), 3);
	ck_assert_str_eq(path_at(list, 0), "/a");
	ck_assert_str_eq(path_at(list, 1), "/other");
	ck_assert_str_eq(path_at(list, 2), "/b");
	json_decref(list);
}
END_TEST

/* Where no byte more can be written, lines are lost and counted, and a line says so later. */
START_TEST(no_room)
{
	struct rlimit none = { .rlim_cur = 150, .rlim_max = RLIM_INFINITY };
	const struct rlimit enough = { RLIM_INFINITY, RLIM_INFINITY };
	json_t *list;
	int first, second;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(add(AUDIT_DONE, 1000, "/a"), 0);
	/* (the limit is on what is asserted, too) */
	setrlimit(RLIMIT_FSIZE, &none);
	first = add(AUDIT_DONE, 2000, "/lost");
	second = add(AUDIT_DONE, 3000, "/lost");
	setrlimit(RLIMIT_FSIZE, &enough);
	ck_assert_int_lt(first, 0);
	ck_assert_int_lt(second, 0);
	ck_assert_uint_eq(audit_log_lost(audit), 2);
	ck_assert_int_eq(add(AUDIT_DONE, 4000, "/b"), 0);
	list = read_all(0, 10);
	ck_assert_uint_eq(json_array_size(list), 3);
	ck_assert_str_eq(path_at(list, 0), "/a");
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 1), "lost")), 2);
	ck_assert_str_eq(path_at(list, 2), "/b");
	json_decref(list);
}
END_TEST

START_TEST(removed_by_hand)
{
	json_t *list;

	ck_assert_int_eq(add(AUDIT_DONE, 1000, "/a"), 0);
	ck_assert_int_eq(unlinkat(own, "audit/done-0000000001.jsonl", 0), 0);
	ck_assert_int_eq(unlinkat(own, "audit", AT_REMOVEDIR), 0);
	ck_assert_int_eq(add(AUDIT_DONE, 2000, "/b"), 0);
	list = read_all(0, 10);
	ck_assert_uint_eq(json_array_size(list), 1);
	json_decref(list);
}
END_TEST

START_TEST(not_ours)
{
	off_t bytes;

	ck_assert_int_eq(add(AUDIT_DONE, 1000, "/a"), 0);
	ck_assert_int_eq(unlinkat(own, "audit/done-0000000001.jsonl", 0), 0);
	ck_assert_int_eq(symlinkat("/tmp/somewhere", own, "audit/done-0000000001.jsonl"), 0);
	ck_assert_int_lt(add(AUDIT_DONE, 2000, "/b"), 0);
	ck_assert_int_eq(unlinkat(own, "audit/done-0000000001.jsonl", 0), 0);
	ck_assert_int_eq(fchmodat(own, "audit", 0777, 0), 0);
	ck_assert_int_lt(add(AUDIT_DONE, 3000, "/b"), 0);
	ck_assert_uint_eq(files_of("done-", &bytes), 0);
	ck_assert_uint_eq(audit_log_lost(audit), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("audit_log");
	TCase *tests = tcase_create("audit_log");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, in_order);
	tcase_add_loop_test(tests, harmless, 0, sizeof(paths) / sizeof(*paths));
	tcase_add_test(tests, long_ones_are_cut);
	tcase_add_test(tests, bounded);
	tcase_add_test(tests, torn);
	tcase_add_test(tests, no_room);
	tcase_add_test(tests, removed_by_hand);
	tcase_add_test(tests, not_ours);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
