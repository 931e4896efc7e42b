#include "common/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem.h"

/* ---- Landlock: by its numbers, for the headers that we are built with may be older ---- */

enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_CHAR = 1 << 6,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_MAKE_SOCK = 1 << 9,
	FS_MAKE_FIFO = 1 << 10,
	FS_MAKE_BLOCK = 1 << 11,
	FS_MAKE_SYM = 1 << 12,
	FS_REFER = 1 << 13,     /* 2 */
	FS_TRUNCATE = 1 << 14,  /* 3 */
	FS_IOCTL_DEV = 1 << 15, /* 5 */

	FS_READS = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR,
	FS_WRITES = FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG |
		    FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_SYM | FS_REFER | FS_TRUNCATE,
	FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
	FS_VERSION_1 = (1 << 13) - 1,

	NET_BIND_TCP = 1 << 0,          /* 4 */
	SCOPE_ABSTRACT_SOCKET = 1 << 0, /* 6 */
	SCOPE_SIGNAL = 1 << 1,
};

struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

struct path_rule {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

struct port_rule {
	uint64_t allowed;
	uint64_t port;
};

enum { RULE_PATH = 1, RULE_PORT = 2, ASK_VERSION = 1 };

int confine_landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);

	return version > 0 ? (int)version : 0;
}

static struct ruleset ruleset_of(int version)
{
	struct ruleset set = { .fs = FS_VERSION_1 };

	if (version >= 2)
		set.fs |= FS_REFER;
	if (version >= 3)
		set.fs |= FS_TRUNCATE;
	if (version >= 4)
		set.net = NET_BIND_TCP;
	if (version >= 5)
		set.fs |= FS_IOCTL_DEV;
	if (version >= 6)
		set.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
	return set;
}

static uint64_t rights_of(unsigned rights)
{
	uint64_t fs = 0;

	if (rights & CONFINE_READ)
		fs |= FS_READS;
	if (rights & CONFINE_WRITE)
		fs |= FS_READS | FS_WRITES;
	if (rights & CONFINE_DEVICES)
		fs |= FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV;
	return fs;
}

static int allow_path(
	int ruleset, const struct confine_path *path, uint64_t known, struct ten_error *err)
{
	autoclose int fd = open(path->path, O_PATH | O_CLOEXEC);
	struct path_rule rule = { .allowed = rights_of(path->rights) & known, .parent = fd };
	struct stat st;

	if (fd < 0 && (path->rights & (CONFINE_WRITE | CONFINE_OPTIONAL)) == CONFINE_WRITE)
		return ten_error_set(err, errno, "Landlock: %s", path->path);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return ten_error_set(err, errno, "Landlock: %s", path->path);
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= FS_OF_FILES;
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH, &rule, 0) < 0)
		return ten_error_set(err, errno, "Landlock: a rule for %s", path->path);
	return 0;
}

static int apply_landlock(const struct confine *confine, struct ten_error *err)
{
	int version = confine_landlock_version();
	struct ruleset set = ruleset_of(version);
	/* What an older kernel does not know it would not take. */
	size_t size = version >= 6   ? sizeof(set)
		      : version >= 4 ? 2 * sizeof(uint64_t)
				     : sizeof(uint64_t);
	struct port_rule port = { .allowed = NET_BIND_TCP, .port = confine->port };
	autoclose int ruleset = -1;

	if (!version)
		return ten_error_set(err, 0, "this kernel has no Landlock");
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
	if (ruleset < 0)
		return ten_error_set(err, errno, "Landlock");
	for (size_t i = 0; i < confine->path_count; i++)
		if (allow_path(ruleset, &confine->paths[i], set.fs, err) < 0)
			return -1;
	if (set.net && syscall(SYS_landlock_add_rule, ruleset, RULE_PORT, &port, 0) < 0)
		return ten_error_set(err, errno, "Landlock: a rule for port %u", confine->port);
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return ten_error_set(err, errno, "Landlock");
	return 0;
}

int confine_apply(const struct confine *confine, struct ten_error *err)
{
	if (apply_landlock(confine, err) < 0)
		return -1;
	/* The arguments first: the other knows seccomp(2) only to let it pass. */
	for (int i = CONFINE_FILTERS - 1; i >= 0; i--)
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
			    &confine->filters->programs[i]) < 0)
			return ten_error_set(err, errno, "seccomp");
	return 0;
}
