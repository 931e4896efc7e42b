/* Who may map the table and how, and which tables are refused. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "route_layout.h"
#include "route_rig.h"
#include "route_pair.h"

static void refused(const struct layout_header *header, off_t size, const char *text)
{
	autoclose int memory = memfd_create("test", MFD_CLOEXEC);
	struct route_table *refused_table;

	ck_assert_int_eq(ftruncate(memory, size), 0);
	ck_assert_int_eq(pwrite(memory, header, sizeof(*header), 0), sizeof(*header));
	ck_assert_int_lt(route_table_open(&refused_table, memory, &err), 0);
	ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
	ck_assert_int_lt(route_table_attach(&refused_table, memory, &err), 0);
	ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
}

START_TEST(another_version_or_size_is_refused)
{
	struct layout_header header = *table->header;
	autofree char *newer = mem_printf("version %d, this program reads version %d",
		ROUTE_TABLE_VERSION + 1, ROUTE_TABLE_VERSION);
	autofree char *none =
		mem_printf("version 0, this program reads version %d", ROUTE_TABLE_VERSION);

	header.version = ROUTE_TABLE_VERSION + 1;
	refused(&header, (off_t)ROUTE_TABLE_BYTES, newer);
	header = *table->header;
	header.magic++;
	refused(&header, (off_t)ROUTE_TABLE_BYTES, none);
	header = *table->header;
	header.bytes--;
	refused(&header, (off_t)ROUTE_TABLE_BYTES, "version");
	header = *table->header;
	refused(&header, 4096, "4096 bytes, want 536870912");
	ck_assert_int_lt(route_table_open(&reader, -1, &err), 0);
	ck_assert_int_eq(err.code, EBADF);
}
END_TEST

/* A table whose end is a lie, or whose blocks are, is refused by its next writer. */
START_TEST(damage_is_refused)
{
	struct route_table *next;

	ok(rig_put_host(table, "a.localhost", 1, &err));
	atomic_store(&table->header->arena_top, ROUTE_TABLE_BYTES + 64);
	ck_assert_int_lt(route_table_attach(&next, fd, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
	atomic_store(&table->header->arena_top, LAYOUT_ARENA + 64 * 1024);
	ck_assert_int_lt(route_table_attach(&next, fd, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
}
END_TEST

static int write_as_a_stranger(void)
{
	char path[64];

	if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		return EXIT_FAILURE;
	/* As after an exec, when /proc/self is one's own again. */
	prctl(PR_SET_DUMPABLE, 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", reader_fd);
	return open(path, O_RDWR | O_CLOEXEC) < 0 && errno == EACCES ? EXIT_SUCCESS : EXIT_FAILURE;
}

START_TEST(readers_cannot_write)
{
	int status;
	pid_t child;

	ck_assert_int_eq(fcntl(reader_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(fcntl(reader_fd, F_GETFD), FD_CLOEXEC);
	ck_assert_ptr_eq(
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader_fd, 0), MAP_FAILED);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_lt(mprotect(reader->base, 4096, PROT_READ | PROT_WRITE), 0);
	ck_assert_int_lt(pwrite(reader_fd, "x", 1, 0), 0);
	/* Sealed: not even the writer can take the memory away under a reader. */
	ck_assert_int_lt(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_lt(ftruncate(fd, (off_t)ROUTE_TABLE_BYTES * 2), 0);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW),
		F_SEAL_SHRINK | F_SEAL_GROW);
	if (geteuid() != 0)
		return; /* tenants and workers share the daemon's uid then */
	child = fork();
	if (child == 0)
		_exit(write_as_a_stranger());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(status == 0, "a worker can open its table for writing");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("route_sharing");
	TCase *tests = tcase_create("route_sharing");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, another_version_or_size_is_refused);
	tcase_add_test(tests, damage_is_refused);
	tcase_add_test(tests, readers_cannot_write);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
