/* Where files are: data_dir, runtime_dir, conf_dir. */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/checkup.h"
#include "common/project_quota.h"
#include "common/secret_file.h"
#include "config_path.h"
#include "mem.h"

#define GROUP "files"

#define ROOM_MIN_MB      256
#define ROOM_MIN_PERCENT 5

/* PATH or, where it is not there yet, the nearest above it that is. The caller frees. */
static char *nearest(const char *path)
{
	char *at = mem_strdup(path);

	while (access(at, F_OK) < 0 && strcmp(at, "/") != 0) {
		char *above = config_path_parent(at);

		free(at);
		at = above;
	}
	return at;
}

static void find_room(struct checkup *checkup, const char *place)
{
	struct statvfs fs;
	uint64_t free_mb, percent, entries;

	if (statvfs(place, &fs) < 0 || !fs.f_blocks)
		return;
	free_mb = (uint64_t)fs.f_bavail * fs.f_frsize >> 20;
	percent = (uint64_t)fs.f_bavail * 100 / fs.f_blocks;
	entries = fs.f_files ? (uint64_t)fs.f_favail * 100 / fs.f_files : 100;
	checkup_add(checkup, GROUP, "room in data_dir",
		free_mb >= ROOM_MIN_MB && percent >= ROOM_MIN_PERCENT &&
			entries >= ROOM_MIN_PERCENT,
		"soon no tenant can write, and no change be recorded", "make room",
		"%" PRIu64 " MiB free (%" PRIu64 " %%), %" PRIu64 " %% of the files", free_mb,
		percent, entries);
}

static void find_data(struct checkup *checkup)
{
	const char *path = checkup->settings->data_dir;
	autofree char *place = nearest(path);
	int code = access(place, W_OK | X_OK) < 0 ? errno : 0;

	checkup_add(checkup, GROUP, "data_dir", !code, "the daemon cannot start",
		"give the folder to the daemon's user", "%s%s%s", path, code ? ": " : "",
		code ? strerror(code) : "")
		->asked = checkup->configured;
	find_room(checkup, place);
}

static void find_quota(struct checkup *checkup)
{
	autofree char *place = nearest(checkup->settings->data_dir);
	autoclose int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct project_quota found = { 0 };
	struct ten_error err = { 0 };

	if (fd < 0)
		ten_error_set(&err, errno, "%s", place);
	else if (project_quota_find(fd, &found, &err) == 0 && !found.enforced)
		ten_error_set(&err, 0, "they count on %s, and do not limit", place);
	checkup_add(checkup, GROUP, "project quotas", found.enforced,
		"storage_quota_mb is measured now and then, and not enforced by the kernel",
		"put data_dir on XFS or ext4 mounted with prjquota", "%s",
		found.enforced ? "on" : err.text);
}

static void find_runtime(struct checkup *checkup)
{
	const char *path = checkup->settings->runtime_dir;
	autofree char *place = path ? nearest(path) : NULL;
	autofree char *lack = NULL;
	struct checkup_finding *finding;

	if (!path)
		return;
	lack = secret_place_lack(place);
	finding = checkup_add(checkup, GROUP, "runtime_dir on tmpfs", !lack,
		"no credentials; process records and sockets are on a disk",
		"[settings] runtime_dir below /run or /dev/shm", "%s", lack ? lack : path);
	checkup_need(finding, "credentials", NULL);
}

/* A file or folder of the configuration that the daemon will not read. */
static bool is_refused(const char *path, char **why)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		*why = mem_printf("%s belongs to uid %u", path, st.st_uid);
	else if (st.st_mode & S_IWOTH)
		*why = mem_printf("%s can be written by others", path);
	return *why != NULL;
}

static void find_configuration(struct checkup *checkup)
{
	const char *path = checkup->settings->conf_dir;
	DIR *folder = path ? opendir(path) : NULL;
	autofree char *why = NULL;
	struct dirent *entry;

	if (!folder)
		return;
	is_refused(path, &why);
	while (!why && (entry = readdir(folder))) {
		autofree char *file = mem_printf("%s/%s", path, entry->d_name);
		size_t len = strlen(entry->d_name);

		if (entry->d_name[0] != '.' && len > 5 &&
			strcmp(entry->d_name + len - 5, ".toml") == 0)
			is_refused(file, &why);
	}
	closedir(folder);
	checkup_add(checkup, GROUP, "conf_dir", !why, "what it says is not read",
		"chown root, chmod o-w", "%s", why ? why : path)
		->asked = checkup->configured;
}

static void find_secrets(struct checkup *checkup)
{
	size_t wrong = 0, count = mem_strv_length(checkup->secrets);
	struct ten_error err, first = { 0 };

	for (size_t i = 0; i < count; i++) {
		struct stat st;
		int fd = secret_file_open(checkup->secrets[i], geteuid(), &st, &err);

		if (fd >= 0)
			close(fd);
		else if (!wrong++)
			first = err;
	}
	if (!count)
		return;
	checkup_add(checkup, GROUP, "secrets", !wrong,
		"tenants that ask for these files do not start", "as it says", "%zu of %zu%s%s",
		count - wrong, count, wrong ? ": " : "", first.text)
		->asked = true;
}

void checkup_storage(struct checkup *checkup)
{
	find_data(checkup);
	find_quota(checkup);
	find_runtime(checkup);
	find_configuration(checkup);
	find_secrets(checkup);
}
