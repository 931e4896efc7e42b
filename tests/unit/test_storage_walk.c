#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/storage_walk.h"
#include "check_often.h"
#include "mem.h"

static char folder[64];
static int top = -1;

static void setup_in(const char *place)
{
	snprintf(folder, sizeof(folder), "%s/test-storage-walk-XXXXXX", place);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(top, 0);
}

static void setup(void)
{
	setup_in("/tmp");
}

/* Thousands of files, in memory where that can be had. */
static void setup_large(void)
{
	setup_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static void teardown(void)
{
	autofree char *command = mem_printf("rm -rf %s", folder);

	close(top);
	ck_assert_int_eq(system(command), 0);
}

static uint64_t make_file(int at, const char *name, size_t bytes)
{
	autofree char *data = mem_alloc(bytes + 1);
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, bytes), (ssize_t)bytes);
	fsync(fd);
	ck_assert_int_eq(fstat(fd, &st), 0);
	close(fd);
	return (uint64_t)st.st_blocks * 512;
}

static uint64_t own_bytes(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static struct storage_sum sum_of(int root)
{
	struct storage_walk *walk = storage_walk_new();
	struct storage_sum sum;

	storage_walk_add(walk, root);
	while (!storage_walk_step(walk, 7))
		;
	sum = *storage_walk_sum(walk);
	storage_walk_free(walk);
	return sum;
}

static struct storage_sum sum_of_all(void)
{
	return sum_of(openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

START_TEST(what_is_allocated_counts_once)
{
	uint64_t wanted = own_bytes(top);
	struct storage_sum sum;
	int fd;

	wanted += make_file(top, "a", 100000);
	wanted += make_file(top, "b", 1);
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "a%d", i);
		ck_assert_int_eq(linkat(top, "a", top, name, 0), 0);
	}
	/* It says that it is large, and holds nothing. */
	fd = openat(top, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(fd, (off_t)1 << 40), 0);
	wanted += own_bytes(fd);
	close(fd);
	sum = sum_of_all();
	ck_assert_uint_eq(sum.bytes, wanted);
	ck_assert_uint_eq(sum.entries, 24);
	ck_assert(!sum.partial && !sum.too_deep);
}
END_TEST

START_TEST(links_and_special_files_lead_nowhere)
{
	uint64_t wanted = own_bytes(top);
	struct storage_sum sum;

	ck_assert_int_eq(symlinkat("/", top, "root"), 0);
	ck_assert_int_eq(symlinkat("/proc/self/root", top, "proc"), 0);
	ck_assert_int_eq(symlinkat(".", top, "itself"), 0);
	ck_assert_int_eq(mkfifoat(top, "pipe", 0600), 0);
	sum = sum_of_all();
	ck_assert_uint_eq(sum.bytes, wanted);
	ck_assert_uint_eq(sum.entries, 5);
	ck_assert(!sum.partial);
}
END_TEST

START_TEST(folders_in_folders_are_followed_with_few_descriptors)
{
	struct rlimit few = { 64, 64 };
	int at = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t wanted = own_bytes(top);
	struct storage_sum sum;

	/* After each way down and back, what else is there is seen. */
	for (int i = 0; i < 2000; i++) {
		int next;

		wanted += make_file(at, "a", 5000) + make_file(at, "z", 5000);
		ck_assert_int_eq(mkdirat(at, "m", 0700), 0);
		next = openat(at, "m", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(next, 0);
		close(at);
		at = next;
		wanted += own_bytes(at);
	}
	close(at);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	sum = sum_of_all();
	ck_assert(!sum.partial);
	ck_assert_uint_eq(sum.entries, 1 + 2000 * 3);
	ck_assert_uint_eq(sum.bytes, wanted);
}
END_TEST

START_TEST(wide_folders_are_seen_whole)
{
	uint64_t wanted = 0;
	struct storage_sum sum;

	for (int i = 0; i < 3000; i++) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "d%d", i);
		ck_assert_int_eq(mkdirat(top, name, 0700), 0);
		fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		wanted += make_file(fd, "f", 10);
		wanted += own_bytes(fd);
		close(fd);
	}
	wanted += own_bytes(top);
	sum = sum_of_all();
	ck_assert(!sum.partial);
	ck_assert_uint_eq(sum.entries, 6001);
	ck_assert_uint_eq(sum.bytes, wanted);
}
END_TEST

/* What is deep down is moved to the top while the walk is there. */
START_TEST(a_folder_that_is_moved_is_told_of)
{
	struct storage_walk *walk = storage_walk_new();
	int at = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), deep = -1;

	for (int i = 0; i < 100; i++) {
		int next;

		ck_assert_int_eq(mkdirat(at, "m", 0700), 0);
		next = openat(at, "m", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (i == 60)
			deep = at;
		else
			close(at);
		at = next;
	}
	close(at);
	storage_walk_add(walk, openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	while (storage_walk_sum(walk)->entries < 90)
		ck_assert(!storage_walk_step(walk, 1));
	ck_assert_int_eq(renameat(deep, "m", top, "moved"), 0);
	close(deep);
	while (!storage_walk_step(walk, 100))
		;
	ck_assert(storage_walk_sum(walk)->partial);
	ck_assert(!storage_walk_sum(walk)->too_deep);
	storage_walk_free(walk);
}
END_TEST

static int mount_at(const char *type, const char *name, const char *options)
{
	autofree char *path = mem_printf("%s/%s", folder, name);

	ck_assert_int_eq(mkdirat(top, name, 0700), 0);
	return mount("none", path, type, 0, options);
}

/* On overlays, as on btrfs, what is in one tree has several numbers of devices. */
START_TEST(another_device_number_hides_nothing_and_a_mount_is_not_entered)
{
	autofree char *options = NULL;
	struct storage_sum sum;
	uint64_t wanted;
	int at;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return; /* (not root) */
	/* (the one that was opened before is not in this namespace) */
	close(top);
	top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(mount_at("tmpfs", "lower", NULL), 0);
	ck_assert_int_eq(mount_at("tmpfs", "upper", NULL), 0);
	ck_assert_int_eq(mkdirat(top, "upper/data", 0700), 0);
	ck_assert_int_eq(mkdirat(top, "upper/work", 0700), 0);
	wanted = make_file(top, "lower/a", 100000);
	options = mem_printf(
		"lowerdir=%1$s/lower,upperdir=%1$s/upper/data,workdir=%1$s/upper/work", folder);
	ck_assert_int_eq(mount_at("overlay", "both", options), 0);
	wanted += make_file(top, "both/b", 50000);
	ck_assert_int_eq(mount_at("tmpfs", "both/other", NULL), 0);
	make_file(top, "both/other/c", 200000);
	at = openat(top, "both", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	wanted += own_bytes(at);
	sum = sum_of(at);
	ck_assert_uint_eq(sum.bytes, wanted);
	ck_assert(!sum.partial);
	ck_assert_int_eq(chdir(folder), 0);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(
			umount2((const char *[]){ "both/other", "both", "upper", "lower" }[i], 0),
			0);
}
END_TEST

START_TEST(there_is_an_end_to_the_depth)
{
	int at = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct storage_sum sum;

	for (int i = 0; i < STORAGE_WALK_DEPTH_MAX + 10; i++) {
		int next;

		ck_assert_int_eq(mkdirat(at, "m", 0700), 0);
		next = openat(at, "m", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(next, 0);
		close(at);
		at = next;
	}
	close(at);
	sum = sum_of_all();
	ck_assert(sum.too_deep && sum.partial);
	ck_assert_uint_ge(sum.entries, STORAGE_WALK_DEPTH_MAX);
}
END_TEST

START_TEST(of_too_many_linked_files_each_name_has_its_share)
{
	enum { FILES = STORAGE_WALK_LINKED + 2000 };
	uint64_t wanted = own_bytes(top);
	struct storage_sum sum;
	int other;

	ck_assert_int_eq(mkdirat(top, "other", 0700), 0);
	other = openat(top, "other", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < FILES; i++) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "%d", i);
		fd = openat(top, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		ck_assert_int_eq(write(fd, "x", 1), 1);
		close(fd);
		ck_assert_int_eq(linkat(top, name, other, name, 0), 0);
	}
	sync();
	wanted = own_bytes(top) + own_bytes(other) + (uint64_t)FILES * 4096;
	close(other);
	sum = sum_of_all();
	ck_assert_uint_eq(sum.entries, 2 + 2 * FILES);
	ck_assert_uint_eq(sum.bytes, wanted);
}
END_TEST

static void note(void *data, int at, const char *name, bool is_folder)
{
	unsigned *seen = data;

	(void)at;
	seen[is_folder]++;
	ck_assert_str_ne(name, "link");
}

START_TEST(files_and_folders_are_told_of_and_nothing_else)
{
	struct storage_walk *walk = storage_walk_new();
	unsigned seen[2] = { 0 };

	make_file(top, "file", 1);
	ck_assert_int_eq(mkdirat(top, "folder", 0700), 0);
	ck_assert_int_eq(symlinkat("file", top, "link"), 0);
	storage_walk_tell(walk, note, seen);
	storage_walk_add(walk, openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	while (!storage_walk_step(walk, 100))
		;
	ck_assert_uint_eq(seen[0], 1);
	ck_assert_uint_eq(seen[1], 2);
	storage_walk_free(walk);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("storage_walk");
	TCase *tests = tcase_create("all"), *large = tcase_create("large");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_checked_fixture(large, setup_large, teardown);
	tcase_set_timeout(tests, 120);
	tcase_set_timeout(large, 120);
	tcase_add_test(tests, what_is_allocated_counts_once);
	tcase_add_test(tests, links_and_special_files_lead_nowhere);
	tcase_add_test(large, folders_in_folders_are_followed_with_few_descriptors);
	tcase_add_test(large, wide_folders_are_seen_whole);
	tcase_add_test(tests, a_folder_that_is_moved_is_told_of);
	tcase_add_test(tests, another_device_number_hides_nothing_and_a_mount_is_not_entered);
	tcase_add_test(large, there_is_an_end_to_the_depth);
	tcase_add_test(large, of_too_many_linked_files_each_name_has_its_share);
	tcase_add_test(tests, files_and_folders_are_told_of_and_nothing_else);
	suite_add_tcase(suite, tests);
	suite_add_tcase(suite, large);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
