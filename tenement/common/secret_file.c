#include "common/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "env_file.h"
#include "mem.h"
#include "option_value.h"
#include "text.h"

#define LINKS_MAX   40
#define READS_MAX   5
#define PENDING_MAX (16 * (size_t)PATH_MAX)

/* A walk from the root: a folder that is open, and what of the path is left. */
struct walk {
	uid_t self;
	int at;
	struct stat st; /* of it */
	struct text shown;
	char *rest; /* owned; *next is within it */
	char *next;
	unsigned links;
};

static bool is_trusted(const struct walk *walk, const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == walk->self;
}

static const char *shown(const struct walk *walk)
{
	return walk->shown.len ? walk->shown.data : "/";
}

/* The folder we are in: who else can exchange what is in it? In a sticky one only who owns it. */
static int check_folder(struct walk *walk, struct ten_error *err)
{
	if (fstat(walk->at, &walk->st) < 0)
		return ten_error_set(err, errno, "%s", shown(walk));
	if (!is_trusted(walk, &walk->st))
		return ten_error_say(err, EPERM,
			"the folder %s belongs to uid %u, who could exchange the file: keep "
			"secrets in folders of root",
			shown(walk), walk->st.st_uid);
	if ((walk->st.st_mode & (S_IWGRP | S_IWOTH)) && !(walk->st.st_mode & S_ISVTX))
		return ten_error_say(err, EPERM,
			"the folder %s may be written by others, who could exchange the file: "
			"`chmod go-w %s`",
			shown(walk), shown(walk));
	return 0;
}

static int begin_at_root(struct walk *walk, struct ten_error *err)
{
	if (walk->at >= 0)
		close(walk->at);
	text_free(&walk->shown);
	walk->at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return walk->at < 0 ? ten_error_set(err, errno, "/") : check_folder(walk, err);
}

static int follow(struct walk *walk, int link, const char *name, struct ten_error *err)
{
	char leads_to[PATH_MAX];
	ssize_t len = readlinkat(link, "", leads_to, sizeof(leads_to));
	autofree char *before = NULL;

	if (len < 0 || (size_t)len >= sizeof(leads_to))
		return ten_error_set(
			err, len < 0 ? errno : ENAMETOOLONG, "%s/%s", shown(walk), name);
	if (++walk->links > LINKS_MAX || strlen(walk->next) + (size_t)len > PENDING_MAX)
		return ten_error_set(err, ELOOP, "%s/%s", shown(walk), name);
	before = walk->rest;
	walk->rest = mem_printf("%.*s/%s", (int)len, leads_to, walk->next);
	walk->next = walk->rest;
	return leads_to[0] == '/' ? begin_at_root(walk, err) : 0;
}

static int enter(struct walk *walk, int *folder, const char *name, struct ten_error *err)
{
	close(walk->at);
	walk->at = fd_steal(folder);
	text_printf(&walk->shown, "/%s", name);
	return check_folder(walk, err);
}

/* One part of the path. 1: it was the last, and *NAME is what it is called in the folder. */
static int step(struct walk *walk, char **name, struct ten_error *err)
{
	autoclose int found = -1;
	struct stat st;

	walk->next += strspn(walk->next, "/");
	*name = walk->next;
	walk->next += strcspn(walk->next, "/");
	if (*walk->next)
		*walk->next++ = '\0';
	walk->next += strspn(walk->next, "/");
	if (!**name)
		return ten_error_say(err, EISDIR, "%s is a folder: name the file", shown(walk));
	found = openat(walk->at, *name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (found < 0 || fstat(found, &st) < 0)
		return ten_error_set(
			err, errno, "%s/%s", walk->shown.len ? shown(walk) : "", *name);
	if (!is_trusted(walk, &st) && (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode)))
		return ten_error_say(err, EPERM,
			"%s/%s belongs to uid %u, who could exchange the file: keep secrets in "
			"folders of root",
			walk->shown.len ? shown(walk) : "", *name, st.st_uid);
	if (S_ISLNK(st.st_mode))
		return follow(walk, found, *name, err);
	if (S_ISDIR(st.st_mode))
		return enter(walk, &found, *name, err);
	if (*walk->next)
		return ten_error_set(err, ENOTDIR, "%s/%s", shown(walk), *name);
	return 1;
}

/* What the kernel makes up as it is read is no file. */
static bool is_made_up(int fd)
{
	static const unsigned long magics[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC,
		TRACEFS_MAGIC, SECURITYFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
		DEVPTS_SUPER_MAGIC };
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return true;
	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++)
		if ((unsigned long)fs.f_type == magics[i])
			return true;
	return false;
}

/* A group of root's alone may read it. */
static int check_file(
	const struct walk *walk, const char *path, const struct stat *st, struct ten_error *err)
{
	mode_t others = S_IWGRP | S_IXGRP | S_IRWXO | (st->st_gid == 0 ? 0 : S_IRGRP);

	if (!is_trusted(walk, st))
		return ten_error_say(err, EPERM,
			"%s belongs to uid %u: a secret is root's, or the daemon's user's "
			"(`chown root %s`)",
			path, st->st_uid, path);
	if (st->st_mode & others)
		return ten_error_say(err, EPERM,
			"%s may be %s by others (mode %04o): `chmod 600 %s`", path,
			st->st_mode & (S_IRGRP | S_IROTH) ? "read" : "used", st->st_mode & 07777,
			path);
	if ((uint64_t)st->st_size > SECRET_FILE_MAX)
		return ten_error_say(err, EFBIG, "%s is larger than 1 MiB", path);
	return 0;
}

static int open_file(struct walk *walk, const char *path, const char *name, struct stat *st,
	struct ten_error *err)
{
	autoclose int fd = -1;

	/* (a FIFO or a device is not even opened) */
	if (fstatat(walk->at, name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return ten_error_set(err, errno, "%s", path);
	if (!S_ISREG(st->st_mode))
		return ten_error_say(err, EINVAL, "%s is not a regular file", path);
	if (check_file(walk, path, st, err) < 0)
		return -1;
	fd = openat(walk->at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, st) < 0)
		return ten_error_set(err, errno, "%s", path);
	if (!S_ISREG(st->st_mode) || is_made_up(fd))
		return ten_error_say(err, EINVAL, "%s is not a regular file", path);
	if (check_file(walk, path, st, err) < 0)
		return -1;
	return fd_steal(&fd);
}

int secret_file_open(const char *path, uid_t self, struct stat *st, struct ten_error *err)
{
	struct walk walk = { .self = self, .at = -1, .rest = mem_strdup(path) };
	char *name = NULL;
	int result;

	walk.next = walk.rest;
	result = begin_at_root(&walk, err);
	while (result == 0)
		result = step(&walk, &name, err);
	if (result > 0)
		result = open_file(&walk, path, name, st, err);
	if (result < 0 && err && !strstr(err->text, path))
		ten_error_wrap(err, "%s", path);
	if (walk.at >= 0)
		close(walk.at);
	text_free(&walk.shown);
	free(walk.rest);
	return result;
}

uint64_t secret_file_stamp(const struct stat *st)
{
	const uint64_t all[] = { st->st_dev, st->st_ino, (uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
		(uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec };
	uint64_t stamp = option_hash_bytes(all, sizeof(all), 3);

	return stamp ? stamp : 1;
}

void secret_wipe(char *data, size_t len)
{
	env_file_wipe_text(data, len);
}

char *secret_place_lack(const char *folder)
{
	struct statfs fs;

	if (statfs(folder, &fs) < 0)
		return mem_printf("runtime_dir %s: %s", folder, strerror(errno));
	if ((unsigned long)fs.f_type == TMPFS_MAGIC || (unsigned long)fs.f_type == RAMFS_MAGIC)
		return NULL;
	return mem_printf(
		"runtime_dir %s is not on a tmpfs, and secrets are not written to a disk: "
		"set [settings] runtime_dir to a folder of one (below /run or /dev/shm)",
		folder);
}

/* Up to ROOM bytes; -1 with errno. */
static ssize_t read_all(int fd, char *data, size_t room)
{
	size_t used = 0;

	while (used < room) {
		ssize_t got = read(fd, data + used, room - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

/* Once; NULL without an error: it was written meanwhile. */
static char *read_once(
	const char *path, uid_t self, size_t *len, uint64_t *stamp, struct ten_error *err)
{
	struct stat before, after;
	autoclose int fd = secret_file_open(path, self, &before, err);
	size_t room;
	char *data;
	ssize_t got;

	if (fd < 0)
		return NULL;
	room = (size_t)before.st_size + 1;
	data = mem_alloc(room + 1);
	got = read_all(fd, data, room);
	if (got < 0 || fstat(fd, &after) < 0) {
		ten_error_set(err, errno, "%s", path);
	} else if ((size_t)got < room && secret_file_stamp(&before) == secret_file_stamp(&after)) {
		*len = (size_t)got;
		*stamp = secret_file_stamp(&before);
		return data;
	} else {
		ten_error_say(err, EAGAIN, "%s is being written", path);
	}
	secret_wipe(data, room + 1);
	return NULL;
}

char *secret_file_read(
	const char *path, uid_t self, size_t *len, uint64_t *stamp, struct ten_error *err)
{
	char *data = NULL;

	for (int i = 0; !data && i < READS_MAX; i++) {
		data = read_once(path, self, len, stamp, err);
		if (!data && err->code != EAGAIN)
			break;
	}
	return data;
}
