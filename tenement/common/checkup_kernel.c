/* What the kernel can, and lets us. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/checkup.h"
#include "common/confine.h"
#include "common/files.h"
#include "common/program_find.h"
#include "mem.h"
#include "pressure.h"

#define GROUP "kernel"

/* As who is not root we need a user namespace around the others. */
static int unshare_with(int flag)
{
	if (geteuid() != 0 && unshare(CLONE_NEWUSER) < 0)
		return errno;
	return unshare(flag) < 0 ? errno : 0;
}

static int try_namespace(void *data)
{
	return unshare_with(*(const int *)data);
}

static int try_user_namespace(void *data)
{
	(void)data;
	return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

static int in_next_process(int (*probe)(void))
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return errno;
	if (pid == 0)
		_exit(probe());
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return EINTR;
	return WEXITSTATUS(status);
}

static int nothing(void)
{
	return 0;
}

static int try_pids(void *data)
{
	int code = unshare_with(CLONE_NEWPID);

	(void)data;
	return code ? code : in_next_process(nothing);
}

static int own_mounts(void)
{
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? errno : 0;
}

static int try_mounts(void *data)
{
	int code = unshare_with(CLONE_NEWNS);

	(void)data;
	if (!code)
		code = own_mounts();
	if (!code && mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k") < 0)
		code = errno;
	return code;
}

static int mount_proc(void)
{
	int code = own_mounts();

	return !code && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0
		       ? errno
		       : code;
}

static int try_proc(void *data)
{
	int code = unshare_with(CLONE_NEWNS | CLONE_NEWPID);

	(void)data;
	return code ? code : in_next_process(mount_proc);
}

static const char *said(int code)
{
	return code ? strerror(code) : "there";
}

#define NAMESPACES_TODO                                                                            \
	"run as root on a kernel with it (in a container: with CAP_SYS_ADMIN), or allow user "     \
	"namespaces"

static void add_namespace(struct checkup *checkup, const char *name, int code, const char *lost)
{
	struct checkup_finding *finding =
		checkup_add(checkup, GROUP, name, !code, lost, NAMESPACES_TODO, "%s", said(code));

	checkup_need(finding, "isolation", "namespace");
	checkup_need(finding, "isolation", "sandbox");
}

static void find_namespaces(struct checkup *checkup)
{
	int ipc = CLONE_NEWIPC, uts = CLONE_NEWUTS, groups = CLONE_NEWCGROUP, net = CLONE_NEWNET;
	struct checkup_finding *finding;
	int code;

	add_namespace(checkup, "pid namespaces", checkup_try(try_pids, NULL),
		"a tenant can see and signal the processes of its uid, and leave some behind");
	add_namespace(checkup, "mount namespaces", checkup_try(try_mounts, NULL),
		"a tenant sees the machine's files");
	add_namespace(checkup, "own /proc", checkup_try(try_proc, NULL),
		"a tenant sees the machine's /proc");
	add_namespace(checkup, "ipc namespaces", checkup_try(try_namespace, &ipc),
		"tenants can meet in shared memory and message queues");
	add_namespace(checkup, "uts namespaces", checkup_try(try_namespace, &uts),
		"a tenant sees the machine's host name");
	add_namespace(checkup, "cgroup namespaces", checkup_try(try_namespace, &groups),
		"a tenant sees the names of the control groups above it");
	code = checkup_try(try_namespace, &net);
	finding = checkup_add(checkup, GROUP, "net namespaces", !code,
		"no network of a tenant's own, and none without", NAMESPACES_TODO, "%s",
		said(code));
	checkup_need(finding, "network", "none");
	checkup_need(finding, "network", "private");
	code = checkup_try(try_user_namespace, NULL);
	checkup_add(checkup, GROUP, "user namespaces", !code,
		"a daemon that is not root can give no namespaces at all",
		"sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
		"kernel.apparmor_restrict_unprivileged_userns",
		"%s", said(code));
}

/* ---- processes ---- */

static int try_pidfd(void *data)
{
	(void)data;
	return syscall(SYS_pidfd_open, getpid(), 0) < 0 ? errno : 0;
}

/* Without arguments it is refused, where it is there. */
static int try_clone3(void *data)
{
	(void)data;
	syscall(SYS_clone3, NULL, (size_t)0);
	return errno == EINVAL ? 0 : errno;
}

static int try_subreaper(void *data)
{
	(void)data;
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? errno : 0;
}

static void find_processes(struct checkup *checkup)
{
	int code = checkup_try(try_pidfd, NULL);

	checkup_add(checkup, GROUP, "pidfd_open", !code,
		"processes are known by pid and start time alone", "a kernel of 5.3 or later", "%s",
		said(code));
	code = checkup_try(try_clone3, NULL);
	checkup_add(checkup, GROUP, "clone3", !code,
		"tenants are moved into their control group, and not born there",
		"a kernel of 5.7 or later; a container's seccomp profile that allows it", "%s",
		said(code));
	code = checkup_try(try_subreaper, NULL);
	checkup_add(checkup, GROUP, "subreaper", !code,
		"what a tenant leaves behind is not reaped by the keeper",
		"a kernel of 3.4 or later", "%s", said(code))
		->asked = true;
}

/* ---- what confines ---- */

static int try_seccomp(void *data)
{
	struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog program = { 1, code };

	(void)data;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? errno : 0;
}

static int try_no_new_privs(void *data)
{
	(void)data;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
}

static void find_confinement(struct checkup *checkup)
{
	struct checkup_finding *finding;
	int landlock;
	int code = checkup_try(try_no_new_privs, NULL);

	checkup_add(checkup, GROUP, "no_new_privs", !code, "no tenant can be started",
		"a kernel of 3.5 or later", "%s", said(code))
		->asked = true;
	code = checkup_try(try_seccomp, NULL);
	finding = checkup_add(checkup, GROUP, "seccomp filters", !code,
		"no sandbox = \"native\"; `ten exec` cannot guard its terminal",
		"a kernel with CONFIG_SECCOMP_FILTER", "%s", said(code));
	finding->asked = checkup->asks_native;
	checkup_need(finding, "sandbox", "native");
	landlock = confine_landlock_version();
	finding = checkup_add(checkup, GROUP, "Landlock", landlock > 0, "no sandbox = \"native\"",
		"a kernel of 5.13 or later, started with landlock among lsm=", "version %d",
		landlock);
	finding->asked = checkup->asks_native;
	checkup_need(finding, "sandbox", "native");
}

/* ---- file systems, pressure ---- */

static bool knows_file_system(const char *name)
{
	autofree char *list = files_read(AT_FDCWD, "/proc/filesystems", 1 << 16, NULL, NULL);
	autofree char *wanted = mem_printf("\t%s\n", name);

	return list && strstr(list, wanted);
}

static void find_file_systems(struct checkup *checkup)
{
	checkup_add(checkup, GROUP, "tmpfs", knows_file_system("tmpfs"),
		"no private /tmp and no credentials", "a kernel with CONFIG_TMPFS", "%s",
		knows_file_system("tmpfs") ? "there" : "not in /proc/filesystems");
	checkup_add(checkup, GROUP, "pressure (PSI)", pressure_now() >= 0,
		"memory_pressure_percent cannot be used",
		"a kernel with CONFIG_PSI, started with psi=1", "%s",
		pressure_now() >= 0 ? "there" : "no /proc/pressure/memory")
		->asked = checkup->settings->memory_pressure_percent > 0;
}

void checkup_kernel(struct checkup *checkup)
{
	find_namespaces(checkup);
	find_processes(checkup);
	find_confinement(checkup);
	find_file_systems(checkup);
}
