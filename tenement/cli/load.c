#include "cli/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"
#include "text.h"

bool load_is_config_name(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".toml") == 0;
}

char *load_file(const char *path, size_t limit, size_t *len, struct ten_error *err)
{
	bool standard = strcmp(path, "-") == 0;
	autoclose int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	autotext struct text text = { 0 };
	const char *called = standard ? "standard input" : path;
	char block[16384];
	ssize_t got;

	if (fd < 0) {
		ten_error_set(err, errno, "%s", called);
		return NULL;
	}
	while ((got = read(fd, block, sizeof(block))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			ten_error_set(err, errno, "%s", called);
			return NULL;
		}
		text_add(&text, block, (size_t)got);
		if (text.len > limit) {
			ten_error_set(err, 0, "%s: longer than %zu KiB", called, limit >> 10);
			return NULL;
		}
	}
	*len = text.len;
	return text_steal(&text);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **load_names(const char *folder, struct ten_error *err)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char **names = NULL;
	size_t count = 0, room = 0;

	if (!dir) {
		ten_error_set(err, errno, "%s", folder);
		return NULL;
	}
	while ((entry = readdir(dir))) {
		if (!load_is_config_name(entry->d_name))
			continue;
		if (count + 1 >= room) {
			room = room ? 2 * room : 64;
			names = mem_resize(names, room, sizeof(*names));
		}
		names[count++] = mem_strdup(entry->d_name);
	}
	closedir(dir);
	if (!names)
		names = mem_alloc(sizeof(*names));
	names[count] = NULL;
	qsort(names, count, sizeof(*names), compare_names);
	return names;
}

static struct config_set *new_set(const struct cli *cli, const struct place *place)
{
	long port = 0;
	struct config_place where = {
		.main_path = place->main_path,
		.conf_dir = place->conf_dir,
		.data_dir_override = place->data_dir_override,
		.domain_override = cli->flags.value[FLAG_DOMAIN],
		.conf_dir_override = place->conf_dir_given ? place->conf_dir : NULL,
		.machine = place->machine,
		.root = geteuid() == 0,
		.xdg_runtime_dir = getenv("XDG_RUNTIME_DIR"),
	};

	if (cli->flags.value[FLAG_PORT] &&
		cli_number(cli->flags.value[FLAG_PORT], 1, 65535, &port) == 0)
		where.port_override = port;
	return config_set_new(&where);
}

static void stage(struct config_set *set, const char *name, const char *path)
{
	struct ten_error err = { 0 };
	size_t len;
	autofree char *text = load_file(path, CONFIG_FILE_MAX, &len, &err);

	if (text)
		config_set_stage(set, name, text, len);
	else
		config_set_stage_unreadable(set, name, err.text);
}

struct config_set *load_main(const struct cli *cli, const struct place *place)
{
	struct config_set *set = new_set(cli, place);
	struct config_change change = { 0 };

	if (place->main_exists)
		stage(set, CONFIG_MAIN, place->main_path);
	config_set_judge(set, &change);
	config_change_clear(&change);
	return set;
}

/* Messages name conf.d's files by the folder that the set was made with, so the one that
 * [settings] asks for makes another set. */
static char *conf_dir_of(const struct cli *cli, const struct place *place)
{
	struct config_set *set;
	const struct setting_values *settings;
	char *conf_dir;

	if (place->conf_dir_given || !place->main_exists)
		return mem_strdup(place->conf_dir);
	set = load_main(cli, place);
	settings = config_set_settings(set);
	conf_dir = mem_strdup(settings->conf_dir ? settings->conf_dir : place->conf_dir);
	config_set_free(set);
	return conf_dir;
}

struct config_set *load_all(const struct cli *cli, const struct place *place, const char *but,
	char **conf_dir, struct ten_error *err)
{
	struct config_change change = { 0 };
	struct place effective = *place;
	struct config_set *set;
	char **names = NULL;

	*conf_dir = effective.conf_dir = conf_dir_of(cli, place);
	names = load_names(effective.conf_dir, err);
	if (!names && err->code != ENOENT) {
		free(*conf_dir);
		*conf_dir = NULL;
		return NULL;
	}
	set = new_set(cli, &effective);
	if (place->main_exists && !(but && strcmp(but, CONFIG_MAIN) == 0))
		stage(set, CONFIG_MAIN, place->main_path);
	for (size_t i = 0; names && names[i]; i++) {
		autofree char *path = mem_printf("%s/%s", effective.conf_dir, names[i]);

		if (!but || strcmp(names[i], but) != 0)
			stage(set, names[i], path);
	}
	config_set_judge(set, &change);
	config_change_clear(&change);
	mem_strv_free(names);
	return set;
}

/* The value of a line `data_dir = "..."` of a file that cannot be parsed. The daemon that runs
 * still goes by it, and its status is how the operator learns what is wrong with the file. */
static char *data_dir_by_eye(const struct place *place)
{
	struct ten_error err;
	size_t len;
	autofree char *text = load_file(place->main_path, CONFIG_FILE_MAX, &len, &err);
	autofree char *folder = mem_strndup(
		place->main_path, (size_t)(strrchr(place->main_path, '/') - place->main_path));
	char *rest = text, *line;

	while (rest && (line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t");
		if (strncmp(line, "data_dir", 8) != 0)
			continue;
		line += 8 + strspn(line + 8, " \t");
		if (*line++ != '=')
			continue;
		line += strspn(line, " \t");
		if (*line != '"' && *line != '\'')
			continue;
		line[1 + strcspn(line + 1, "\"'")] = '\0';
		line++;
		while (strncmp(line, "./", 2) == 0)
			line += 2;
		return *line == '/' ? mem_strdup(line) : mem_printf("%s/%s", folder, line);
	}
	return NULL;
}

char *load_data_dir(const struct cli *cli, const struct place *place)
{
	const struct config_problem *problems;
	struct config_set *set;
	char *data_dir = NULL;

	if (place->data_dir_override)
		return mem_strdup(place->data_dir_override);
	set = load_main(cli, place);
	if (config_set_problems(set, &problems))
		data_dir = data_dir_by_eye(place);
	if (!data_dir)
		data_dir = mem_strdup(config_set_settings(set)->data_dir);
	config_set_free(set);
	return data_dir;
}
