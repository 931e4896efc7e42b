#include "common/confine_filter.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/personality.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

/* Those of them that a machine does not have are passed over. What is in neither list is not there
 * (ENOSYS): that is how programs find out that a kernel is older than they are. */
static const char *const allowed[] = {
	/* its own memory */
	"brk",
	"cachestat",
	"madvise",
	"map_shadow_stack",
	"membarrier",
	"memfd_create",
	"mincore",
	"mlock",
	"mlock2",
	"mlockall",
	"mmap",
	"mmap2",
	"mprotect",
	"mremap",
	"mseal",
	"msync",
	"munlock",
	"munlockall",
	"munmap",
	"pkey_alloc",
	"pkey_free",
	"pkey_mprotect",
	"process_madvise",
	"process_mrelease",
	"remap_file_pages",
	"get_mempolicy",
	"mbind",
	"set_mempolicy",
	"set_mempolicy_home_node",
	/* its own processes and threads */
	"arch_prctl",
	"capget",
	"capset",
	"clone",
	"execve",
	"execveat",
	"exit",
	"exit_group",
	"fork",
	"futex",
	"futex_requeue",
	"futex_wait",
	"futex_waitv",
	"futex_wake",
	"get_robust_list",
	"get_thread_area",
	"getcpu",
	"getpgid",
	"getpgrp",
	"getpid",
	"getppid",
	"getpriority",
	"getresgid",
	"getresuid",
	"getrlimit",
	"getrusage",
	"getsid",
	"gettid",
	"getuid",
	"getgid",
	"geteuid",
	"getegid",
	"getgroups",
	"ioprio_get",
	"ioprio_set",
	"kill",
	"landlock_add_rule",
	"landlock_create_ruleset",
	"landlock_restrict_self",
	"nice",
	"personality",
	"pidfd_open",
	"pidfd_send_signal",
	"prctl",
	"prlimit64",
	"restart_syscall",
	"rseq",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"sched_getaffinity",
	"sched_getattr",
	"sched_getparam",
	"sched_getscheduler",
	"sched_rr_get_interval",
	"sched_setaffinity",
	"sched_setattr",
	"sched_setparam",
	"sched_setscheduler",
	"sched_yield",
	"seccomp",
	"set_robust_list",
	"set_thread_area",
	"set_tid_address",
	"setfsgid",
	"setfsuid",
	"setgid",
	"setgroups",
	"setpgid",
	"setpriority",
	"setregid",
	"setresgid",
	"setresuid",
	"setreuid",
	"setrlimit",
	"setsid",
	"setuid",
	"tgkill",
	"times",
	"tkill",
	"umask",
	"vfork",
	"wait4",
	"waitid",
	"waitpid",
	/* signals, clocks, events */
	"adjtimex",
	"alarm",
	"clock_adjtime",
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_ctl_old",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"epoll_wait_old",
	"eventfd",
	"eventfd2",
	"getitimer",
	"gettimeofday",
	"nanosleep",
	"pause",
	"poll",
	"ppoll",
	"pselect6",
	"rt_sigaction",
	"rt_sigpending",
	"rt_sigprocmask",
	"rt_sigqueueinfo",
	"rt_sigreturn",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"rt_tgsigqueueinfo",
	"select",
	"_newselect",
	"setitimer",
	"sigaltstack",
	"sigreturn",
	"sigprocmask",
	"sigaction",
	"signalfd",
	"signalfd4",
	"time",
	"timer_create",
	"timer_delete",
	"timer_getoverrun",
	"timer_gettime",
	"timer_settime",
	"timerfd_create",
	"timerfd_gettime",
	"timerfd_settime",
	/* files */
	"access",
	"chdir",
	"chmod",
	"chown",
	"close",
	"close_range",
	"copy_file_range",
	"creat",
	"dup",
	"dup2",
	"dup3",
	"faccessat",
	"faccessat2",
	"fadvise64",
	"fadvise64_64",
	"fallocate",
	"fchdir",
	"fchmod",
	"fchmodat",
	"fchmodat2",
	"fchown",
	"fchownat",
	"fcntl",
	"fcntl64",
	"fdatasync",
	"fgetxattr",
	"flistxattr",
	"flock",
	"fremovexattr",
	"fsetxattr",
	"fstat",
	"fstat64",
	"fstatat64",
	"fstatfs",
	"fstatfs64",
	"fsync",
	"ftruncate",
	"ftruncate64",
	"futimesat",
	"getcwd",
	"getdents",
	"getdents64",
	"getxattr",
	"getxattrat",
	"inotify_add_watch",
	"inotify_init",
	"inotify_init1",
	"inotify_rm_watch",
	"io_cancel",
	"io_destroy",
	"io_getevents",
	"io_pgetevents",
	"io_setup",
	"io_submit",
	"ioctl",
	"lchown",
	"lgetxattr",
	"link",
	"linkat",
	"listxattr",
	"listxattrat",
	"llistxattr",
	"_llseek",
	"lremovexattr",
	"lseek",
	"lsetxattr",
	"lstat",
	"lstat64",
	"mkdir",
	"mkdirat",
	"mknod",
	"mknodat",
	"name_to_handle_at",
	"newfstatat",
	"open",
	"openat",
	"openat2",
	"pipe",
	"pipe2",
	"pread64",
	"preadv",
	"preadv2",
	"pwrite64",
	"pwritev",
	"pwritev2",
	"read",
	"readahead",
	"readlink",
	"readlinkat",
	"readv",
	"removexattr",
	"removexattrat",
	"rename",
	"renameat",
	"renameat2",
	"rmdir",
	"sendfile",
	"sendfile64",
	"setxattr",
	"setxattrat",
	"splice",
	"stat",
	"stat64",
	"statfs",
	"statfs64",
	"statx",
	"symlink",
	"symlinkat",
	"sync",
	"sync_file_range",
	"syncfs",
	"tee",
	"truncate",
	"truncate64",
	"unlink",
	"unlinkat",
	"utime",
	"utimensat",
	"utimes",
	"vmsplice",
	"write",
	"writev",
	/* sockets and queues */
	"accept",
	"accept4",
	"bind",
	"connect",
	"getpeername",
	"getsockname",
	"getsockopt",
	"listen",
	"mq_getsetattr",
	"mq_notify",
	"mq_open",
	"mq_timedreceive",
	"mq_timedsend",
	"mq_unlink",
	"msgctl",
	"msgget",
	"msgrcv",
	"msgsnd",
	"recv",
	"recvfrom",
	"recvmmsg",
	"recvmsg",
	"semctl",
	"semget",
	"semop",
	"semtimedop",
	"send",
	"sendmmsg",
	"sendmsg",
	"sendto",
	"setsockopt",
	"shmat",
	"shmctl",
	"shmdt",
	"shmget",
	"shutdown",
	"socket",
	"socketcall",
	"socketpair",
	/* the machine, as far as all may know it */
	"getrandom",
	"sysinfo",
	"uname",
	"ugetrlimit",
};

/* Known, and refused: EPERM. */
static const char *const refused[] = {
	/* other processes */
	"kcmp",
	"pidfd_getfd",
	"process_vm_readv",
	"process_vm_writev",
	"ptrace",
	"perf_event_open",
	"move_pages",
	"migrate_pages",
	/* mounts, roots and namespaces */
	"chroot",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"listmount",
	"mount",
	"mount_setattr",
	"move_mount",
	"open_by_handle_at",
	"open_tree",
	"open_tree_attr",
	"pivot_root",
	"setns",
	"statmount",
	"umount",
	"umount2",
	"unshare",
	/* the kernel's own */
	"acct",
	"add_key",
	"bpf",
	"create_module",
	"delete_module",
	"fanotify_init",
	"fanotify_mark",
	"finit_module",
	"get_kernel_syms",
	"init_module",
	"ioperm",
	"iopl",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lookup_dcookie",
	"modify_ldt",
	"nfsservctl",
	"query_module",
	"quotactl",
	"quotactl_fd",
	"reboot",
	"request_key",
	"swapoff",
	"swapon",
	"_sysctl",
	"sysfs",
	"syslog",
	"userfaultfd",
	"uselib",
	"ustat",
	"vhangup",
	"vm86",
	"vm86old",
	/* the machine's name and time */
	"clock_settime",
	"clock_settime64",
	"setdomainname",
	"sethostname",
	"settimeofday",
	"stime",
};

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

/* The kernel looks at 32 bits of what is an int there; a comparison is of 64. */
#define LOW ((scmp_datum_t)0xffffffff)

static int add(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);
		/* Negative: another architecture's, or newer than the library. */
		int rc = number < 0 ? 0 : seccomp_rule_add(filter, action, number, 0);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int add_calls(scmp_filter_ctx filter)
{
	int rc = add(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));

	return rc < 0 ? rc : add(filter, SCMP_ACT_ERRNO(EPERM), refused, COUNT(refused));
}

static int refuse(scmp_filter_ctx filter, int error, int number, struct scmp_arg_cmp argument)
{
	return seccomp_rule_add_array(
		filter, SCMP_ACT_ERRNO((uint32_t)error), number, 1, &argument);
}

/* New namespaces. Those of clone3 are behind a pointer, so it is not there: libraries then take the
 * older call. */
static int refuse_namespaces(scmp_filter_ctx filter)
{
	static const uint32_t flags[] = { CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
		CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET };
	int rc = 0;

	for (size_t i = 0; i < COUNT(flags) && rc == 0; i++)
		rc = refuse(filter, EPERM, SCMP_SYS(clone),
			SCMP_CMP(0, SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
	return rc;
}

/* Typing at a terminal for whoever sits there. */
static int refuse_terminals(scmp_filter_ctx filter)
{
	int rc = refuse(
		filter, EPERM, SCMP_SYS(ioctl), SCMP_CMP(1, SCMP_CMP_MASKED_EQ, LOW, TIOCSTI));

	return rc < 0 ? rc
		      : refuse(filter, EPERM, SCMP_SYS(ioctl),
				SCMP_CMP(1, SCMP_CMP_MASKED_EQ, LOW, TIOCLINUX));
}

static int refuse_families(scmp_filter_ctx filter, int number)
{
	int rc = refuse(filter, EAFNOSUPPORT, number, SCMP_CMP(0, SCMP_CMP_GT, AF_NETLINK));

	for (unsigned family = 0; family < AF_NETLINK && rc == 0; family++)
		if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
			rc = refuse(filter, EAFNOSUPPORT, number,
				SCMP_CMP(0, SCMP_CMP_MASKED_EQ, LOW, family));
	return rc;
}

/* Of the kernel's own only what getifaddrs(3) asks. */
static int refuse_netlink(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp other[] = { SCMP_CMP(0, SCMP_CMP_MASKED_EQ, LOW, AF_NETLINK),
		SCMP_CMP(2, SCMP_CMP_NE, NETLINK_ROUTE) };

	return seccomp_rule_add_array(
		filter, SCMP_ACT_ERRNO(EPROTONOSUPPORT), SCMP_SYS(socket), COUNT(other), other);
}

/* TCP, UDP and ping. Other protocols are modules that few use and load by being asked for, and
 * Landlock knows the ports of TCP alone: MPTCP would get around it. */
static int refuse_protocols(scmp_filter_ctx filter, unsigned family)
{
	static const unsigned usual[] = { IPPROTO_IP, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP,
		IPPROTO_ICMPV6 };
	struct scmp_arg_cmp other[] = { SCMP_CMP(0, SCMP_CMP_MASKED_EQ, LOW, family),
		SCMP_CMP(2, SCMP_CMP_GT, IPPROTO_ICMPV6) };
	size_t next = 0;
	int rc = seccomp_rule_add_array(
		filter, SCMP_ACT_ERRNO(EPROTONOSUPPORT), SCMP_SYS(socket), COUNT(other), other);

	for (unsigned protocol = 0; protocol < IPPROTO_ICMPV6 && rc == 0; protocol++) {
		other[1] = SCMP_CMP(2, SCMP_CMP_MASKED_EQ, LOW, protocol);
		if (protocol == usual[next])
			next++;
		else
			rc = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPROTONOSUPPORT),
				SCMP_SYS(socket), COUNT(other), other);
	}
	return rc;
}

/* Another personality than Linux's usual one; 0xffffffff only asks. Addresses that are not random
 * and memory that can be executed are what an attack would want of it. */
static int refuse_personalities(scmp_filter_ctx filter)
{
	const uint32_t usual = PER_LINUX32 | UNAME26, top = 1u << 31;
	int rc = 0;

	for (int bit = 0; bit < 31 && rc == 0; bit++) {
		uint32_t flag = 1u << bit;

		if (!(usual & flag))
			rc = refuse(filter, EPERM, SCMP_SYS(personality),
				SCMP_CMP(0, SCMP_CMP_MASKED_EQ, flag | top, flag));
		if (rc == 0)
			rc = refuse(filter, EPERM, SCMP_SYS(personality),
				SCMP_CMP(0, SCMP_CMP_MASKED_EQ, flag | top, top));
	}
	return rc;
}

static int add_arguments(scmp_filter_ctx filter)
{
	int rc = refuse_namespaces(filter);

	if (rc == 0)
		rc = refuse_terminals(filter);
	if (rc == 0)
		rc = refuse_families(filter, SCMP_SYS(socket));
	if (rc == 0)
		rc = refuse_families(filter, SCMP_SYS(socketpair));
	if (rc == 0)
		rc = refuse_netlink(filter);
	if (rc == 0)
		rc = refuse_protocols(filter, AF_INET);
	if (rc == 0)
		rc = refuse_protocols(filter, AF_INET6);
	return rc == 0 ? refuse_personalities(filter) : rc;
}

static int take_program(scmp_filter_ctx filter, struct sock_fprog *program)
{
	autoclose int fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat st;
	int rc;

	if (fd < 0)
		return -errno;
	rc = seccomp_export_bpf(filter, fd);
	if (rc < 0)
		return rc;
	if (fstat(fd, &st) < 0)
		return -errno;
	program->filter = mem_alloc((size_t)st.st_size);
	program->len = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter));
	return pread(fd, program->filter, (size_t)st.st_size, 0) == st.st_size ? 0 : -EIO;
}

static int make(uint32_t otherwise, int (*fill)(scmp_filter_ctx), struct sock_fprog *program)
{
	scmp_filter_ctx filter = seccomp_init(otherwise);
	int rc;

	if (!filter)
		return -ENOMEM;
	/* Calls of another architecture have other numbers: none is there. */
	rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (rc == 0)
		rc = fill(filter);
	if (rc == 0)
		rc = take_program(filter, program);
	seccomp_release(filter);
	return rc;
}

int confine_filters_make(struct confine_filters *filters, struct ten_error *err)
{
	int rc;

	*filters = (struct confine_filters){ 0 };
	rc = make(SCMP_ACT_ERRNO(ENOSYS), add_calls, &filters->programs[CONFINE_CALLS]);
	if (rc == 0)
		rc = make(SCMP_ACT_ALLOW, add_arguments, &filters->programs[CONFINE_ARGUMENTS]);
	if (rc == 0)
		return 0;
	confine_filters_clear(filters);
	return ten_error_set(err, -rc, "making a seccomp filter");
}

void confine_filters_clear(struct confine_filters *filters)
{
	for (size_t i = 0; i < CONFINE_FILTERS; i++)
		free(filters->programs[i].filter);
	*filters = (struct confine_filters){ 0 };
}
