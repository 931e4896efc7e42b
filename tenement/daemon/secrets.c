#include "daemon/secrets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/become.h"
#include "common/files.h"
#include "common/log.h"
#include "common/secret_file.h"
#include "daemon/folders.h"
#include "daemon/secret_watch.h"
#include "env_file.h"
#include "mem.h"
#include "option_value.h"

#define FOLDER "credentials"

bool secrets_asked(const struct ten_spec *spec)
{
	return spec->values.credentials.count ||
	       (spec->values.env_file && spec->values.env_file[0]);
}

char *secrets_path(struct daemon *d, const struct ten_spec *spec, const char *path)
{
	const struct spec_place place = { .data_dir = d->data_dir, .runtime_dir = d->runtime_dir };

	return spec_interpolate(spec, &place, path, NULL);
}

uint64_t secrets_mix(uint64_t stamp, uint64_t of_file)
{
	uint64_t mixed = option_hash_bytes(&of_file, sizeof(of_file), stamp);

	return mixed ? mixed : 1;
}

/* ---- the environment ---- */

static int read_env_file(struct daemon *d, const char *path, struct env_file *file, uint64_t *stamp,
	struct ten_error *err)
{
	uint64_t of_file = 0;
	size_t len = 0;
	char *text = secret_file_read(path, d->uid, &len, &of_file, err);
	int result;

	if (!text)
		return ten_error_wrap(err, "env_file");
	result = env_file_parse(text, len, file, err);
	secret_wipe(text, len);
	if (result < 0)
		return ten_error_wrap(err, "env_file %s", path);
	*stamp = secrets_mix(*stamp, of_file);
	return 0;
}

static void set_pair(char ***env, const char *pair)
{
	size_t len = strcspn(pair, "=") + 1;

	for (size_t i = 0; *env && (*env)[i]; i++) {
		if (strncmp((*env)[i], pair, len) != 0)
			continue;
		secret_wipe((*env)[i], strlen((*env)[i]));
		(*env)[i] = mem_strdup(pair);
		return;
	}
	mem_strv_append(env, pair);
}

/* What the service or the tenant says itself stands. */
static bool is_said(const struct ten_spec *spec, const char *pair)
{
	autofree char *name = mem_strndup(pair, strcspn(pair, "="));

	return option_map_get(&spec->values.env, name) != NULL;
}

static int give_env(struct daemon *d, struct run *run, char ***env, struct ten_error *err)
{
	char *const *paths = run->spec->values.env_file;
	struct env_file file = { 0 };
	int result = 0;

	for (size_t i = 0; paths && paths[i] && result == 0; i++) {
		autofree char *path = secrets_path(d, run->spec, paths[i]);

		result = read_env_file(d, path, &file, &run->secrets_stamp, err);
	}
	for (size_t i = 0; i < file.count && result == 0; i++)
		if (!is_said(run->spec, file.pairs[i]))
			set_pair(env, file.pairs[i]);
	env_file_wipe(&file);
	return result;
}

/* ---- the folder ---- */

static int put_file(int folder, const char *name, const char *data, size_t len,
	const struct run *run, struct ten_error *err)
{
	autoclose int fd =
		openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);

	if (fd < 0 || files_write_all(fd, data, len) < 0 || fchmod(fd, 0400) < 0 ||
		(run->uid != BECOME_KEEP && fchown(fd, run->uid, run->gid) < 0))
		return ten_error_set(err, errno, "writing it to the runtime folder");
	return 0;
}

static int copy_file(struct daemon *d, int folder, const char *name, const char *path,
	struct run *run, struct ten_error *err)
{
	uint64_t of_file = 0;
	size_t len = 0;
	char *data = secret_file_read(path, d->uid, &len, &of_file, err);
	int result;

	if (!data)
		return -1;
	result = put_file(folder, name, data, len, run, err);
	secret_wipe(data, len);
	run->secrets_stamp = secrets_mix(run->secrets_stamp, of_file);
	return result;
}

static int fill(struct daemon *d, int all, const char *name, struct run *run, struct ten_error *err)
{
	const struct option_map *map = &run->spec->values.credentials;
	autoclose int folder = files_make_dir(all, name, 0700, err);

	if (folder < 0)
		return -1;
	for (size_t i = 0; i < map->count; i++) {
		autofree char *path = secrets_path(d, run->spec, map->pairs[i].value);

		if (copy_file(d, folder, map->pairs[i].name, path, run, err) < 0)
			return ten_error_wrap(err, "credentials.%s", map->pairs[i].name);
	}
	if (fchmod(folder, 0500) < 0 ||
		(run->uid != BECOME_KEEP && fchown(folder, run->uid, run->gid) < 0) ||
		renameat(all, name, all, run->key) < 0)
		return ten_error_set(err, errno, "credentials");
	return 0;
}

static int open_all(struct daemon *d, struct ten_error *err)
{
	int fd = files_make_dir(d->run_fd, FOLDER, 0711, err);

	if (fd >= 0 && fchmod(fd, 0711) < 0)
		log_warn("%s/%s: %s", d->runtime_dir, FOLDER, strerror(errno));
	return fd;
}

static int give_files(struct daemon *d, struct run *run, char ***env, struct ten_error *err)
{
	autofree char *fresh = mem_printf(".%s.new", run->key);
	autofree char *lack = secret_place_lack(d->runtime_dir);
	autofree char *folder = NULL, *pair = NULL;
	autoclose int all = -1;

	if (!run->spec->values.credentials.count)
		return 0;
	if (lack)
		return ten_error_set(err, 0, "credentials: %s", lack);
	all = open_all(d, err);
	if (all < 0)
		return -1;
	files_remove_tree(all, fresh);
	files_remove_tree(all, run->key);
	if (fill(d, all, fresh, run, err) < 0) {
		files_remove_tree(all, fresh);
		return -1;
	}
	run->has_credentials = true;
	folder = secrets_folder(d, run);
	pair = mem_printf("CREDENTIALS_DIRECTORY=%s", folder);
	set_pair(env, pair);
	return 0;
}

int secrets_give(struct daemon *d, struct run *run, char ***env, struct ten_error *err)
{
	run->secrets_stamp = 0;
	if (!secrets_asked(run->spec))
		return 0;
	return give_env(d, run, env, err) < 0 ? -1 : give_files(d, run, env, err);
}

void secrets_take_back(struct daemon *d, struct run *run)
{
	autofree char *path = mem_printf(FOLDER "/%s", run->key);

	if (run->has_credentials)
		files_remove_tree(d->run_fd, path);
	run->has_credentials = false;
}

void secrets_adopted(struct daemon *d, struct run *run)
{
	autofree char *path = mem_printf(FOLDER "/%s", run->key);

	run->has_credentials = faccessat(d->run_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

char *secrets_folder(struct daemon *d, const struct run *run)
{
	return run->has_credentials ? mem_printf("%s/" FOLDER "/%s", d->runtime_dir, run->key)
				    : NULL;
}

static void sweep_one(struct daemon *d, const char *name)
{
	const struct instance *instance = instance_find(d, name);
	autofree char *path = mem_printf(FOLDER "/%s", name);

	if (!instance || !instance->run)
		files_remove_tree(d->run_fd, path);
}

/* (a name with a dot before it was being filled) */
static void sweep_unfinished(struct daemon *d)
{
	int fd = openat(d->run_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (list && (entry = readdir(list))) {
		if (entry->d_name[0] == '.' && strlen(entry->d_name) > 2)
			files_remove_tree(fd, entry->d_name);
	}
	if (list)
		closedir(list);
}

void secrets_sweep(struct daemon *d)
{
	folders_visit(d, FOLDER, sweep_one);
	sweep_unfinished(d);
}

void secrets_end(struct daemon *d)
{
	files_remove_tree(d->run_fd, FOLDER);
}

json_t *secrets_describe(struct daemon *d, struct instance *instance)
{
	const struct ten_spec *spec = instance->spec;
	const char *problem = secret_watch_problem(instance);
	json_t *files, *credentials;

	if (!spec || !secrets_asked(spec))
		return json_null();
	files = json_array();
	credentials = json_object();
	for (char *const *path = spec->values.env_file; path && *path; path++) {
		autofree char *filled = secrets_path(d, spec, *path);

		json_array_append_new(files, json_string(filled));
	}
	for (size_t i = 0; i < spec->values.credentials.count; i++) {
		const struct option_pair *pair = &spec->values.credentials.pairs[i];
		autofree char *filled = secrets_path(d, spec, pair->value);

		json_object_set_new(credentials, pair->name, json_string(filled));
	}
	return json_pack("{s:o, s:o, s:s?}", "env_file", files, "credentials", credentials,
		"problem", problem);
}
