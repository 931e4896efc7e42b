#include "daemon/folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/become.h"
#include "common/files.h"
#include "mem.h"

static bool folder_is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
	bool empty = true;
	struct dirent *entry;

	while (folder && empty && (entry = readdir(folder)))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (folder)
		closedir(folder);
	return folder && empty;
}

/* FD is the folder itself. A new one is ours and empty; one with content and another owner is
 * never given away. */
static int give_to(
	int fd, const char *path, uint32_t uid, uint32_t gid, mode_t mode, struct ten_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return ten_error_set(err, errno, "%s", path);
	if (uid != BECOME_KEEP && st.st_uid != uid) {
		if (!folder_is_empty(fd))
			return ten_error_set(err, 0,
				"%s belongs to uid %u, and its tenant is uid %u: `chown -R %u:%u` "
				"it if it is the tenant's",
				path, st.st_uid, uid, uid, gid);
		if (fchown(fd, uid, gid) < 0)
			return ten_error_set(err, errno, "%s", path);
	}
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		return ten_error_set(err, errno, "%s", path);
	return 0;
}

/* PATH is below data_dir; the parts between are ours and passable. */
static int make_below(
	struct daemon *d, const char *path, uint32_t uid, uint32_t gid, struct ten_error *err)
{
	autoclose int at = openat(d->data_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *copy = mem_strdup(path + strlen(d->data_dir));
	char *rest = copy, *part;

	if (at < 0)
		return ten_error_set(err, errno, "%s", d->data_dir);
	while ((part = strsep(&rest, "/"))) {
		int next;

		if (!*part)
			continue;
		next = files_make_dir(at, part, rest ? 0711 : 0700, err);
		if (next < 0)
			return ten_error_wrap(err, "%s", path);
		close(at);
		at = next;
	}
	return give_to(at, path, uid, gid, 0700, err);
}

int folders_make_data(struct daemon *d, const struct ten_spec *spec, uint32_t uid, uint32_t gid,
	struct ten_error *err)
{
	if (make_below(d, spec->dir, uid, gid, err) < 0)
		return -1;
	for (size_t i = 0; spec->claims && spec->claims[i]; i++) {
		if (make_below(d, spec->claims[i], uid, gid, err) < 0)
			return -1;
	}
	return 0;
}

/* A place of the operator's choosing. Through links, or from a folder of the tenant's own, root
 * could be led anywhere; and the proxy may not enter a tenant's folder. */
static int open_chosen_folder(
	struct daemon *d, const char *folder, uint32_t uid, struct ten_error *err)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS };
	size_t data_len = strlen(d->data_dir);
	int fd;

	if (d->root && strncmp(folder, d->data_dir, data_len) == 0 &&
		(folder[data_len] == '/' || !folder[data_len]))
		return ten_error_set(err, 0,
			"socket: %s is below data_dir, where the proxy may not go: use "
			"{runtime_dir}, or "
			"leave socket out",
			folder);
	fd = (int)syscall(SYS_openat2, AT_FDCWD, folder, &how, sizeof(how));
	if (fd < 0)
		return ten_error_set(err, errno, "the socket's folder %s", folder);
	if (d->root && uid != BECOME_KEEP) {
		struct stat st;

		if (fstat(fd, &st) < 0 || (st.st_uid != 0 && st.st_uid != uid)) {
			close(fd);
			return ten_error_set(err, 0,
				"the socket's folder %s belongs to somebody else than root and the "
				"tenant",
				folder);
		}
	}
	return fd;
}

int folders_make_socket(struct daemon *d, const char *socket_path, uint32_t uid, uint32_t gid,
	struct ten_error *err)
{
	const char *slash = strrchr(socket_path, '/');
	autofree char *folder = mem_strndup(socket_path, (size_t)(slash - socket_path));
	size_t run_len = strlen(d->runtime_dir);
	bool ours = strncmp(folder, d->runtime_dir, run_len) == 0 && folder[run_len] == '/';
	autoclose int fd = -1;
	struct stat st;

	if (ours) {
		autofree char *sockets = mem_printf("%s/sockets", d->runtime_dir);

		if (files_make_dirs(sockets, 0711, err) < 0)
			return -1;
		fd = files_make_dir(AT_FDCWD, folder, 0710, err);
		if (fd < 0)
			return -1;
		if (uid != BECOME_KEEP &&
			fchown(fd, uid, d->proxy_gid == UINT32_MAX ? gid : d->proxy_gid) < 0)
			return ten_error_set(err, errno, "%s", folder);
		if (fchmod(fd, 0710) < 0)
			return ten_error_set(err, errno, "%s", folder);
	} else {
		fd = open_chosen_folder(d, folder, uid, err);
		if (fd < 0)
			return -1;
	}
	/* Elsewhere than in our own place, only a socket is a leaving of an earlier life. */
	if (!ours && fstatat(fd, slash + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISSOCK(st.st_mode))
		return ten_error_set(err, 0, "%s is there, and no socket: remove it", socket_path);
	if (unlinkat(fd, slash + 1, 0) < 0 && errno != ENOENT)
		return ten_error_set(err, errno, "%s", socket_path);
	return 0;
}

/* What is in a tenant's own folder is the tenant's: nothing there is followed or entered. */
void folders_remove_socket(struct daemon *d, const char *key)
{
	autofree char *folder = mem_printf("sockets/%s", key);
	int fd = openat(d->run_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (list && (entry = readdir(list)))
		unlinkat(fd, entry->d_name, 0);
	if (list)
		closedir(list);
	unlinkat(d->run_fd, folder, AT_REMOVEDIR);
}

void folders_visit(
	struct daemon *d, const char *name, void (*visit)(struct daemon *d, const char *file))
{
	int fd = openat(d->run_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!folder)
		return;
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] != '.')
			visit(d, entry->d_name);
	}
	closedir(folder);
}
