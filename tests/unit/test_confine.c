#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "common/confine.h"
#include "common/confine_filter.h"
#include "mem.h"

#define PORT 23456

static struct confine_filters filters;
static char folder[] = "/tmp/confine.XXXXXX";

static const char *at(const char *name)
{
	static char path[4][128];
	static size_t turn;
	char *here = path[turn++ % 4];

	snprintf(here, sizeof(path[0]), "%s/%s", folder, name);
	return here;
}

static void confine(void)
{
	const struct confine_path paths[] = { { "/usr", CONFINE_READ }, { "/bin", CONFINE_READ },
		{ "/lib", CONFINE_READ }, { "/lib64", CONFINE_READ }, { "/etc", CONFINE_READ },
		{ "/proc", CONFINE_READ }, { "/nonexistent", CONFINE_READ },
		{ "/dev/null", CONFINE_DEVICES }, { at("readable"), CONFINE_READ },
		{ at("own"), CONFINE_WRITE } };
	const struct confine confine = { &filters, paths, sizeof(paths) / sizeof(*paths), PORT };
	struct ten_error err;

#ifdef __SANITIZE_ADDRESS__
	/* (in place of the look at the end, which has to trace the process) */
	__lsan_do_leak_check();
#endif
	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_msg(confine_apply(&confine, &err) == 0, "%s", err.text);
}

static void put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void setup(void)
{
	struct ten_error err;

	strcpy(folder, "/tmp/confine.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(mkdir(at("readable"), 0755), 0);
	ck_assert_int_eq(mkdir(at("own"), 0755), 0);
	ck_assert_int_eq(mkdir(at("other"), 0755), 0);
	put(at("readable/file"));
	put(at("other/file"));
	ck_assert_msg(confine_filters_make(&filters, &err) == 0, "%s", err.text);
}

static void teardown(void)
{
	char *remove[] = { "rm", "-rf", folder, NULL };
	pid_t pid = fork();

	if (pid == 0) {
		execvp(*remove, remove);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	confine_filters_clear(&filters);
}

/* What RESULT of a call was: 0, or its errno. */
static int told(long result)
{
	return result < 0 ? errno : 0;
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	int error = told(fd);

	if (fd >= 0)
		close(fd);
	return error;
}

/* Each of these runs in a process of its own (Check forks). */

START_TEST(test_refuses)
{
	char page[16] = { 0 };
	struct stat st;

	confine();
	ck_assert_int_eq(told(syscall(SYS_ptrace, 0, 0, 0, 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_bpf, 0, page, sizeof(page))), EPERM);
	ck_assert_int_eq(told(syscall(SYS_keyctl, 0, -3, 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_add_key, "user", "a", "b", 1, -3)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_userfaultfd, 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_perf_event_open, page, 0, -1, -1, 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_kexec_load, 0, 0, 0, 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_init_module, page, 0, "")), EPERM);
	ck_assert_int_eq(told(syscall(SYS_finit_module, 0, "", 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_reboot, 0, 0, 0, 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_swapon, "/", 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_setns, 0, 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_unshare, CLONE_NEWUSER)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_pivot_root, "/", "/")), EPERM);
	ck_assert_int_eq(told(syscall(SYS_open_by_handle_at, 0, page, 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0)), EPERM);
	ck_assert_int_eq(told(syscall(SYS_chroot, "/")), EPERM);
	/* As though the kernel were older. */
	ck_assert_int_eq(told(syscall(SYS_clone3, page, sizeof(page))), ENOSYS);
	ck_assert_int_eq(told(syscall(425 /* io_uring_setup */, 1, page)), ENOSYS);
	ck_assert_int_eq(told(syscall(9999)), ENOSYS);
	ck_assert_int_eq(told(stat("/", &st)), 0);
}
END_TEST

START_TEST(test_refuses_arguments)
{
	static const unsigned long namespaces[] = { CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS,
		CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET };
	char letter = 'x';
	int pair[2];
	pid_t pid;

	confine();
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(*namespaces); i++)
		ck_assert_int_eq(
			told(syscall(SYS_clone, namespaces[i] | SIGCHLD, 0, 0, 0, 0)), EPERM);
	ck_assert_int_eq(told(ioctl(0, TIOCSTI, &letter)), EPERM);
	ck_assert_int_eq(told(ioctl(0, TIOCLINUX, &letter)), EPERM);
	/* The kernel takes 32 bits of it. */
	ck_assert_int_eq(told(syscall(SYS_ioctl, 0, 0x100000000ul | TIOCSTI, &letter)), EPERM);
	ck_assert_int_ne(told(ioctl(0, TCGETS, &letter)), EPERM);
	for (int family = 0; family < 64; family++) {
		int error = told(socket(family, SOCK_STREAM, 0));

		if (family == AF_UNIX || family == AF_INET)
			ck_assert_int_eq(error, 0);
		else if (family != AF_INET6 && family != AF_NETLINK)
			ck_assert_int_eq(error, EAFNOSUPPORT);
	}
	ck_assert_int_eq(
		told(syscall(SYS_socket, 0x100000000ul | AF_PACKET, SOCK_RAW, 0)), EAFNOSUPPORT);
	ck_assert_int_eq(told(socket(AF_NETLINK, SOCK_RAW, 0)), 0);
	for (int protocol = 1; protocol < 32; protocol++)
		ck_assert_int_eq(told(socket(AF_NETLINK, SOCK_RAW, protocol)), EPROTONOSUPPORT);
	for (int protocol = 0; protocol < 300; protocol++) {
		bool usual = protocol == IPPROTO_IP || protocol == IPPROTO_ICMP ||
			     protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
			     protocol == IPPROTO_ICMPV6;

		if (!usual)
			ck_assert_int_eq(
				told(socket(AF_INET, SOCK_STREAM, protocol)), EPROTONOSUPPORT);
		if (!usual)
			ck_assert_int_eq(
				told(socket(AF_INET6, SOCK_DGRAM, protocol)), EPROTONOSUPPORT);
	}
	ck_assert_int_eq(told(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)), 0);
	ck_assert_int_eq(told(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)), 0);
	ck_assert_int_eq(told(socketpair(AF_UNIX, SOCK_STREAM, 0, pair)), 0);
	ck_assert_int_eq(told(personality(0xffffffff)), 0);
	ck_assert_int_eq(told(personality(PER_LINUX)), 0);
	ck_assert_int_eq(told(personality(ADDR_NO_RANDOMIZE)), EPERM);
	ck_assert_int_eq(told(personality(READ_IMPLIES_EXEC)), EPERM);
	ck_assert_int_eq(told(personality(0x80000000 | ADDR_NO_RANDOMIZE)), EPERM);
	pid = fork();
	if (pid == 0)
		_exit(7);
	ck_assert_int_gt(pid, 0);
}
END_TEST

START_TEST(test_holds_files)
{
	confine();
	ck_assert_int_eq(try_open(at("readable/file"), O_RDONLY), 0);
	ck_assert_int_eq(try_open(at("readable/file"), O_WRONLY), EACCES);
	ck_assert_int_eq(try_open(at("readable/new"), O_WRONLY | O_CREAT), EACCES);
	ck_assert_int_eq(told(unlink(at("readable/file"))), EACCES);
	ck_assert_int_eq(try_open(at("own/new"), O_WRONLY | O_CREAT), 0);
	ck_assert_int_eq(try_open(at("own/new"), O_RDWR | O_TRUNC), 0);
	ck_assert_int_eq(told(mkdir(at("own/folder"), 0700)), 0);
	ck_assert_int_eq(told(rename(at("own/new"), at("own/folder/new"))), 0);
	ck_assert_int_eq(told(mkfifo(at("own/fifo"), 0600)), 0);
	ck_assert_int_eq(try_open(at("other/file"), O_RDONLY), EACCES);
	ck_assert_int_eq(try_open(at("other"), O_RDONLY | O_DIRECTORY), EACCES);
	ck_assert_int_ne(told(link(at("other/file"), at("own/linked"))), 0);
	ck_assert_int_eq(told(symlink(at("other/file"), at("own/symlink"))), 0);
	ck_assert_int_eq(try_open(at("own/symlink"), O_RDONLY), EACCES);
	ck_assert_int_ne(told(mknod(at("own/disk"), S_IFBLK | 0600, makedev(8, 0))), 0);
	ck_assert_int_eq(try_open("/etc/passwd", O_RDONLY), 0);
	ck_assert_int_eq(try_open("/var/log", O_RDONLY), EACCES);
	ck_assert_int_eq(try_open("/dev/null", O_RDWR), 0);
	ck_assert_int_eq(try_open("/dev/zero", O_RDONLY), EACCES);
}
END_TEST

static int try_bind(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return told(bind(fd, (struct sockaddr *)&address, sizeof(address)));
}

START_TEST(test_binds_its_port_alone)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", at("own/socket"));
	confine();
	if (confine_landlock_version() >= 4) {
		ck_assert_int_eq(try_bind(PORT + 1), EACCES);
		ck_assert_int_eq(try_bind(0), EACCES);
	}
	ck_assert_int_ne(try_bind(PORT), EACCES);
	ck_assert_int_eq(told(bind(fd, (struct sockaddr *)&address, sizeof(address))), 0);
}
END_TEST

/* What listens outside on a name that is in no file system, and processes of the same user. */
START_TEST(test_reaches_nobody_outside)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0confine" };
	int outside = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid = fork(), inside;
	int status;

	if (pid == 0) {
		pause();
		_exit(0);
	}
	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "confine.%d", getpid());
	ck_assert_int_eq(bind(outside, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(outside, 1), 0);
	inside = fork();
	if (inside == 0) {
		confine();
		if (confine_landlock_version() < 6)
			_exit(0);
		_exit(told(connect(fd, (struct sockaddr *)&address, sizeof(address))) == EPERM &&
					told(kill(pid, SIGTERM)) == EPERM
				? 0
				: 1);
	}
	ck_assert_int_eq(waitpid(inside, &status, 0), inside);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	waitpid(pid, NULL, 0);
}
END_TEST

/* Programs that are started inherit it, and run. */
START_TEST(test_is_inherited)
{
	char *const words[] = { "sh", "-c",
		"exec 2>/dev/null; cat /etc/passwd >/dev/null || exit 2;"
		"ls /var/log && exit 3; unshare -U true && exit 4; (exit 5); test $? = 5",
		NULL };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		confine();
		execv("/bin/sh", words);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_needs_what_is_to_be_written)
{
	const struct confine_path path = { at("missing"), CONFINE_WRITE };
	const struct confine confine = { &filters, &path, 1, PORT };
	struct ten_error err;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	ck_assert_int_lt(confine_apply(&confine, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "missing"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("confine");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	if (!confine_landlock_version()) {
		puts("skipped: this kernel has no Landlock");
		return 77;
	}
	/* By the process outside: who is confined could not. */
	tcase_add_unchecked_fixture(all, setup, teardown);
	tcase_add_test(all, test_refuses);
	tcase_add_test(all, test_refuses_arguments);
	tcase_add_test(all, test_holds_files);
	tcase_add_test(all, test_binds_its_port_alone);
	tcase_add_test(all, test_reaches_nobody_outside);
	tcase_add_test(all, test_is_inherited);
	tcase_add_test(all, test_needs_what_is_to_be_written);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
