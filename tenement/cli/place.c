#include "cli/place.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

#define MAIN_NAME "tenement.toml"
#define CONF_NAME "conf.d"

static bool is_folder(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Other programs have folders of that name: one that holds files, but none of ours, is theirs. */
static bool is_conf_dir(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	bool others = false, ours = false;

	if (!folder)
		return errno == EACCES && is_folder(path);
	while ((entry = readdir(folder)) && !ours) {
		const char *dot = strrchr(entry->d_name, '.');

		if (entry->d_name[0] == '.')
			continue;
		ours = dot && strcmp(dot, ".toml") == 0;
		others = true;
	}
	closedir(folder);
	return ours || !others;
}

char *place_absolute(const char *path)
{
	autofree char *here = NULL;
	size_t len;

	while (strncmp(path, "./", 2) == 0)
		path += 2;
	if (*path == '/')
		here = mem_strdup("");
	else
		here = getcwd(NULL, 0);
	if (!here || strcmp(here, "/") == 0) {
		free(here);
		here = mem_strdup("");
	}
	if (strcmp(path, ".") == 0 || !*path)
		return *here ? mem_steal(&here) : mem_strdup("/");
	len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (*path == '/')
		return mem_strndup(path, len);
	return mem_printf("%s/%.*s", here, (int)len, path);
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

static char *join(const char *folder, const char *name)
{
	return mem_printf("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
}

/* Go up from FOLDER. NULL: there is none. */
static char *nearest_folder(const char *folder, bool conf_dir_counts)
{
	autofree char *at = mem_strdup(folder);

	for (;;) {
		autofree char *main_path = join(at, MAIN_NAME);
		autofree char *conf_dir = join(at, CONF_NAME);
		char *up;

		if (access(main_path, F_OK) == 0 || (conf_dir_counts && is_conf_dir(conf_dir)))
			return mem_steal(&at);
		if (strcmp(at, "/") == 0)
			return NULL;
		up = folder_of(at);
		free(at);
		at = up;
	}
}

/* The folder of the configuration when --conf-dir names GIVEN: what is beside it is nearer than
 * what is around the caller, and the system's own configuration is not meant at all. */
static char *folder_beside(const char *given, const char *here)
{
	autofree char *beside = folder_of(given);
	autofree char *main_path = join(beside, MAIN_NAME);
	autofree char *around = nearest_folder(here, false);

	if (access(main_path, F_OK) == 0 || !around)
		return mem_steal(&beside);
	return mem_steal(&around);
}

static void take_folder(struct place *place, const char *folder)
{
	place->main_path = join(folder, MAIN_NAME);
	if (!place->conf_dir)
		place->conf_dir = join(folder, CONF_NAME);
}

static void look(struct place *place)
{
	place->main_exists = access(place->main_path, F_OK) == 0;
	place->conf_dir_exists = is_folder(place->conf_dir);
}

static void take_flags(const struct cli *cli, struct place *place)
{
	const char *conf_dir = cli->flags.value[FLAG_CONF_DIR];
	const char *data_dir = cli->flags.value[FLAG_DATA_DIR];

	*place = (struct place){ .conf_dir_given = conf_dir != NULL };
	if (conf_dir)
		place->conf_dir = place_absolute(conf_dir);
	if (data_dir)
		place->data_dir_override = place_absolute(data_dir);
}

int place_find(const struct cli *cli, struct place *place, struct ten_error *err)
{
	const char *config = cli->flags.value[FLAG_CONFIG];
	autofree char *here = place_absolute(".");
	autofree char *folder = NULL;

	take_flags(cli, place);
	if (config) {
		place->main_path = place_absolute(config);
		if (is_folder(place->main_path))
			return ten_error_set(err, EISDIR, "--config %s", config);
		folder = folder_of(place->main_path);
		if (!place->conf_dir)
			place->conf_dir = join(folder, CONF_NAME);
	} else {
		folder = place->conf_dir ? folder_beside(place->conf_dir, here)
					 : nearest_folder(here, true);
		take_folder(place, folder ? folder : PLACE_SYSTEM);
	}
	look(place);
	if (config && !place->main_exists && !place->conf_dir_exists)
		return ten_error_set(err, ENOENT, "--config %s", config);
	return 0;
}

int place_of_folder(
	const struct cli *cli, const char *folder, struct place *place, struct ten_error *err)
{
	autofree char *path = place_absolute(folder);
	autofree char *resolved = NULL;
	autofree char *above = NULL;

	take_flags(cli, place);
	if (!is_folder(path))
		return ten_error_set(err, ENOTDIR, "%s", folder);
	take_folder(place, path);
	look(place);
	if (place->main_exists || place->conf_dir_exists)
		return 0;
	/* A conf.d itself. */
	resolved = realpath(path, NULL);
	if (!resolved)
		return ten_error_set(err, errno, "%s", folder);
	place_free(place);
	take_flags(cli, place);
	free(place->conf_dir);
	place->conf_dir = mem_steal(&resolved);
	place->conf_dir_given = true;
	above = folder_of(place->conf_dir);
	take_folder(place, above);
	look(place);
	return 0;
}

void place_free(struct place *place)
{
	free(place->main_path);
	free(place->conf_dir);
	free(place->data_dir_override);
	*place = (struct place){ 0 };
}
