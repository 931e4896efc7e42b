#include "daemon/conf_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "common/files.h"
#include "common/log.h"
#include "daemon/confdir.h"
#include "mem.h"
#include "option_value.h"

struct conf_file *conf_files_find(const struct conf_files *files, const char *name)
{
	struct conf_file *file;

	HASH_FIND_STR(files->by_name, name, file);
	return file;
}

static void list(struct conf_files *files, struct conf_file *file)
{
	if (file->listed)
		return;
	file->listed = true;
	DL_APPEND(files->listed, file);
}

struct conf_file *conf_files_get(struct conf_files *files, const char *name)
{
	struct conf_file *file = conf_files_find(files, name);

	if (file)
		return file;
	file = mem_alloc(sizeof(*file) + strlen(name) + 1);
	memcpy(file->name, name, strlen(name) + 1);
	HASH_ADD_STR(files->by_name, name, file);
	list(files, file);
	return file;
}

void conf_files_mark(struct conf_files *files, struct conf_file *file)
{
	file->dirty = true;
	list(files, file);
}

bool confdir_is_config_name(const char *name)
{
	size_t len = strlen(name);

	return len > 5 && len <= 200 && name[0] != '.' && name[0] != '#' &&
	       strcmp(name + len - 5, ".toml") == 0;
}

static char *path_of(struct daemon *d, const char *name)
{
	if (strcmp(name, CONFIG_MAIN) == 0)
		return mem_strdup(d->place.main_path);
	return mem_printf("%s/%s", d->conf_dir, name);
}

/* Who could change it could run anything as any tenant. */
int conf_files_check_owner(
	struct daemon *d, const struct stat *st, const char *path, struct ten_error *err)
{
	if (st->st_uid != 0 && st->st_uid != d->uid)
		return ten_error_say(err, EPERM,
			"%s belongs to uid %u: it is not read unless it is owned by root or by the "
			"daemon's user",
			path, st->st_uid);
	if (st->st_mode & S_IWOTH)
		return ten_error_say(err, EPERM,
			"%s can be written by others: it is not read until `chmod o-w %s`", path,
			path);
	return 0;
}

char *confdir_read(struct daemon *d, const char *name, size_t *len, struct ten_error *err)
{
	autofree char *path = path_of(d, name);
	struct stat st;

	if (stat(path, &st) < 0) {
		ten_error_set(err, errno, "%s", path);
		return NULL;
	}
	if (conf_files_check_owner(d, &st, path, err) < 0)
		return NULL;
	return files_read(AT_FDCWD, path, CONFIG_FILE_MAX, len, err);
}

static uint64_t identify(const struct stat *st)
{
	const uint64_t words[] = { st->st_dev, st->st_ino, (uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
		(uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec };

	return option_hash_bytes(words, sizeof(words), 0);
}

/* Not the file's fault, and it passes. */
static bool passes(int code)
{
	return code == EMFILE || code == ENFILE || code == ENOMEM || code == EIO || code == EINTR;
}

static void set_problem(struct conf_files *files, char *problem)
{
	if (problem && (!files->problem || strcmp(problem, files->problem) != 0))
		log_warn("%s", problem);
	free(files->problem);
	files->problem = problem;
}

/* Compare one file with what it was; only what differs is read. */
static void glance(struct conf_files *files, int fd, const char *name)
{
	struct conf_file *file = conf_files_get(files, name);
	struct stat st;

	file->seen = true;
	if (fstatat(fd, name, &st, 0) < 0) {
		if (file->present)
			conf_files_mark(files, file);
		return;
	}
	if (!file->present || identify(&st) != file->identity)
		conf_files_mark(files, file);
}

static bool holds_files(DIR *folder)
{
	struct dirent *entry;
	bool found = false;

	while (!found && (entry = readdir(folder)))
		found = confdir_is_config_name(entry->d_name);
	rewinddir(folder);
	return found;
}

/* A folder that vanished, is unreadable, or was mounted over says nothing about its tenants. */
static DIR *open_folder(struct daemon *d, struct conf_files *files)
{
	int fd = open(d->conf_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ten_error err;
	struct stat st;
	DIR *folder;

	if (fd < 0 || fstat(fd, &st) < 0) {
		files->again = files->again || passes(errno);
		set_problem(files, mem_printf("%s: %s; everything goes on as it was", d->conf_dir,
					   strerror(errno)));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	if (conf_files_check_owner(d, &st, d->conf_dir, &err) < 0) {
		set_problem(files, mem_strdup(err.text));
		close(fd);
		return NULL;
	}
	folder = fdopendir(fd);
	if (st.st_dev != files->device && files->device && !holds_files(folder)) {
		set_problem(files, mem_printf("%s is empty and on another file system than "
					      "before: unmounted? Everything goes on as it was",
					   d->conf_dir));
		closedir(folder);
		return NULL;
	}
	files->device = st.st_dev;
	set_problem(files, NULL);
	return folder;
}

static bool folder_is_there(struct daemon *d, struct conf_files *files)
{
	DIR *folder = open_folder(d, files);

	if (folder)
		closedir(folder);
	return folder != NULL;
}

/* What an earlier life accepted may have gone since. */
static void know(void *data, const char *name, bool good)
{
	struct conf_files *files = data;
	struct conf_file *file;

	(void)good;
	HASH_FIND_STR(files->by_name, name, file);
	if (!file)
		conf_files_get(files, name)->present = true;
}

void conf_files_scan(struct daemon *d, struct conf_files *files)
{
	struct conf_file *file, *next;
	struct dirent *entry;
	DIR *folder;

	conf_files_mark(files, conf_files_get(files, CONFIG_MAIN));
	folder = open_folder(d, files);
	if (!folder)
		return;
	config_set_each_file(d->set, know, files);
	HASH_ITER (hh, files->by_name, file, next)
		file->seen = strcmp(file->name, CONFIG_MAIN) == 0;
	while ((entry = readdir(folder))) {
		if (confdir_is_config_name(entry->d_name))
			glance(files, dirfd(folder), entry->d_name);
	}
	HASH_ITER (hh, files->by_name, file, next) {
		if (!file->seen && (file->present || config_set_text(d->set, file->name, NULL)))
			conf_files_mark(files, file);
	}
	closedir(folder);
}

static void read_one(struct daemon *d, struct conf_files *files, struct conf_file *file,
	struct conf_reading *reading)
{
	autofree char *path = path_of(d, file->name);
	struct ten_error err = { 0 };
	struct stat st;

	*reading = (struct conf_reading){ .file = file };
	file->was_dirty = file->was_dirty || file->dirty;
	if (stat(path, &st) == 0)
		file->identity = identify(&st);
	reading->text = confdir_read(d, file->name, &reading->len, &err);
	file->present = reading->text || err.code != ENOENT;
	if (!reading->text && err.code != ENOENT) {
		reading->why = mem_strdup(err.text);
		files->again = files->again || passes(err.code);
	}
	/* The main file may never have been there; one that went away removes nothing. */
	if (!file->present && strcmp(file->name, CONFIG_MAIN) == 0 &&
		config_set_settings_text(d->set, NULL)) {
		reading->why = mem_printf("%s is gone; what it said stays in force", path);
	}
	file->dirty = false;
}

bool conf_files_read(
	struct daemon *d, struct conf_files *files, bool look_again, struct conf_batch *batch)
{
	struct conf_file *file;
	size_t room = 0;
	bool there;

	DL_FOREACH (files->listed, file)
		look_again = look_again || file->dirty;
	if (!look_again)
		return true;
	/* Of a folder that is gone no file was removed: they are looked for when it is back. */
	there = folder_is_there(d, files);
	DL_FOREACH (files->listed, file) {
		if (!file->dirty && !file->waiting && !file->rejected)
			continue;
		if (!there && strcmp(file->name, CONFIG_MAIN) != 0)
			continue;
		if (batch->count == room)
			batch->readings = mem_resize(batch->readings, room = room ? room * 2 : 16,
				sizeof(*batch->readings));
		read_one(d, files, file, &batch->readings[batch->count++]);
	}
	return there;
}

void conf_batch_free(struct conf_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		free(batch->readings[i].text);
		free(batch->readings[i].why);
	}
	free(batch->readings);
}

void conf_files_forget(struct daemon *d, struct conf_files *files)
{
	struct conf_file *file, *next;

	DL_FOREACH_SAFE (files->listed, file, next) {
		if (file->dirty || file->waiting || file->rejected)
			continue;
		DL_DELETE(files->listed, file);
		file->listed = false;
		if (file->present || config_set_text(d->set, file->name, NULL))
			continue;
		HASH_DEL(files->by_name, file);
		free(file);
	}
}
