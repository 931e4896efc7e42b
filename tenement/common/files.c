#include "common/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

/* Of what is removed: of folders in folders, and of what is in one. */
#define DEPTH_MAX   64
#define ENTRIES_MAX 100000

char *files_read(int dir_fd, const char *path, size_t max, size_t *len, struct ten_error *err)
{
	autoclose int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	autofree char *text = NULL;
	size_t used = 0, room = 4096;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		ten_error_set(err, errno, "%s", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		ten_error_say(err, EINVAL, "%s is not a regular file", path);
		return NULL;
	}
	text = mem_alloc(room + 1);
	for (;;) {
		ssize_t got;

		if (used == room)
			text = mem_resize(text, (room *= 2) + 1, 1);
		got = read(fd, text + used, room - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			ten_error_set(err, errno, "%s", path);
			return NULL;
		}
		if (got == 0)
			break;
		used += (size_t)got;
		if (used > max) {
			ten_error_say(err, EFBIG, "%s is larger than %zu bytes", path, max);
			return NULL;
		}
	}
	text[used] = '\0';
	if (len)
		*len = used;
	/* Some are kept by the thousand for a while. */
	if (used < room / 2)
		text = mem_resize(text, used + 1, 1);
	return mem_steal(&text);
}

int files_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t put = write(fd, at, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		at += put;
		len -= (size_t)put;
	}
	return 0;
}

static int sync_folder_of(int dir_fd, const char *path)
{
	const char *slash = strrchr(path, '/');
	autofree char *folder =
		slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path))
		      : mem_strdup(".");
	autoclose int fd = openat(dir_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : fsync(fd);
}

static int write_file(int dir_fd, const char *path, const char *data, size_t len, mode_t mode,
	int (*settle)(int fd), struct ten_error *err)
{
	const char *slash = strrchr(path, '/');
	int folder_len = slash ? (int)(slash - path) + 1 : 0;
	autofree char *temp = mem_printf("%.*s.%s.new", folder_len, path, path + folder_len);
	autoclose int fd =
		openat(dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return ten_error_set(err, errno, "%s", path);
	if (fchmod(fd, mode) < 0 || files_write_all(fd, data, len) < 0 || settle(fd) < 0 ||
		renameat(dir_fd, temp, dir_fd, path) < 0) {
		ten_error_set(err, errno, "%s", path);
		unlinkat(dir_fd, temp, 0);
		return -1;
	}
	return 0;
}

static int no_settling(int fd)
{
	(void)fd;
	return 0;
}

int files_write(int dir_fd, const char *path, const char *data, size_t len, mode_t mode,
	struct ten_error *err)
{
	if (write_file(dir_fd, path, data, len, mode, fsync, err) < 0)
		return -1;
	if (sync_folder_of(dir_fd, path) < 0)
		return ten_error_set(err, errno, "%s: its folder", path);
	return 0;
}

int files_write_fast(int dir_fd, const char *path, const char *data, size_t len, mode_t mode,
	struct ten_error *err)
{
	return write_file(dir_fd, path, data, len, mode, no_settling, err);
}

int files_make_dir(int dir_fd, const char *path, mode_t mode, struct ten_error *err)
{
	int fd;

	if (mkdirat(dir_fd, path, mode) < 0 && errno != EEXIST)
		return ten_error_set(err, errno, "%s", path);
	fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ten_error_set(err, errno, "%s", path);
	return fd;
}

int files_make_dirs(const char *path, mode_t mode, struct ten_error *err)
{
	autofree char *copy = mem_strdup(path);

	for (char *at = copy + 1;; at++) {
		char was = *at;

		if (was != '/' && was != '\0')
			continue;
		*at = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST && errno != EROFS)
			return ten_error_set(err, errno, "%s", copy);
		*at = was;
		if (!was)
			return 0;
	}
}

static void remove_tree(int at, const char *name, unsigned depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (list)
		fchmod(fd, 0700);
	for (int i = 0; list && i < ENTRIES_MAX && (entry = readdir(list)); i++) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) < 0 && depth < DEPTH_MAX)
			remove_tree(fd, entry->d_name, depth + 1);
	}
	if (list)
		closedir(list);
	else if (fd >= 0)
		close(fd);
	unlinkat(at, name, AT_REMOVEDIR);
}

void files_remove_tree(int dir_fd, const char *path)
{
	remove_tree(dir_fd, path, 0);
}
