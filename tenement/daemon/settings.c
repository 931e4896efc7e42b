#include "daemon/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/files.h"
#include "common/log.h"
#include "config_file.h"
#include "config_path.h"
#include "config_settings.h"
#include "daemon/conf_files.h"
#include "daemon/confdir.h"
#include "daemon/keeper_link.h"
#include "daemon/reconcile.h"
#include "mem.h"
#include "names.h"
#include "option_value.h"
#include "text.h"
#include "wire.h"

#define BOOT_FD        "boot.main"
#define CONFIRMED_FILE "confirmed"
#define CONFIRMED_MAX  4096

static struct config_place raw_place; /* without what the daemon pins */
static char *file_domain;
static char **confirm_list, **restart_list;

/* The settings of the main file TEXT (NULL: there is none). */
static int read_settings(const struct config_place *place, const char *text, size_t len,
	struct setting_values *settings, struct ten_error *err)
{
	autofree char *folder = config_path_parent(place->main_path);
	struct config_file *file =
		text ? config_file_parse(CONFIG_MAIN, place->main_path, folder, text, len) : NULL;

	if (file && file->problems.count) {
		for (size_t i = 0; i < file->problems.count; i++) {
			autofree char *line = config_problem_text(&file->problems.items[i]);

			fprintf(stderr, "%s", line);
		}
		ten_error_set(err, 0, "%s: %zu thing%s wrong", place->main_path,
			file->problems.count, file->problems.count == 1 ? " is" : "s are");
		config_file_free(file);
		return -1;
	}
	config_settings_make(settings, place, file);
	config_file_free(file);
	return 0;
}

/* The text is handed from life to life, first thing. */
static char *boot_text(struct daemon *d, size_t *len, struct ten_error *err)
{
	int fd = fds_find(BOOT_FD);
	autoclose int memory = -1;
	struct stat st;
	char path[64];
	char *text;

	if (fd >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		text = files_read(AT_FDCWD, path, CONFIG_FILE_MAX, len, err);
		if (text && *len)
			return text;
		free(text);
		err->code = ENOENT;
		return NULL;
	}
	/* Also root in somebody's folder does not run what is said there. */
	if (stat(d->place.main_path, &st) == 0 &&
		conf_files_check_owner(d, &st, d->place.main_path, err) < 0)
		return NULL;
	text = files_read(AT_FDCWD, d->place.main_path, CONFIG_FILE_MAX, len, err);
	memory = memfd_create("tenement-boot", MFD_CLOEXEC);
	if (memory >= 0 && (!text || write(memory, text, *len) == (ssize_t)*len))
		keeper_link_store(d, BOOT_FD, memory);
	return text;
}

/* What is confirmed is the file's domain, never one that the command line tried out. */
static void keep_file_domain(const char *text, size_t len)
{
	struct config_place plain = raw_place;
	struct setting_values values = { 0 };
	struct ten_error err;

	plain.domain_override = NULL;
	if (read_settings(&plain, text, len, &values, &err) < 0)
		return;
	file_domain = mem_strdup(values.domain);
	config_settings_clear(&values);
}

static int parse_uid_range(struct daemon *d, struct ten_error *err)
{
	unsigned first, last;

	if (sscanf(d->boot.uid_range, "%u-%u", &first, &last) != 2 || !first || last <= first + 2)
		return ten_error_set(
			err, 0, "uid_range = \"%s\" is not FIRST-LAST", d->boot.uid_range);
	d->uid_first = first;
	d->uid_last = last;
	return 0;
}

int settings_boot(struct daemon *d, struct ten_error *err)
{
	size_t len = 0;
	autofree char *text = boot_text(d, &len, err);

	if (!text && err->code != ENOENT)
		return -1;
	raw_place = d->place;
	if (d->place.domain_override && names_check_host(d->place.domain_override, err) < 0)
		return ten_error_wrap(err, "--domain");
	if (read_settings(&d->place, text, len, &d->boot, err) < 0)
		return -1;
	keep_file_domain(text, len);
	d->data_dir = mem_strdup(d->boot.data_dir);
	d->conf_dir = mem_strdup(d->boot.conf_dir);
	d->runtime_dir = mem_strdup(d->boot.runtime_dir);
	d->domain = mem_strdup(d->boot.domain);
	d->place.data_dir_override = d->data_dir;
	d->place.conf_dir = d->conf_dir;
	d->place.conf_dir_override = d->conf_dir;
	d->place.domain_override = d->domain;
	return parse_uid_range(d, err);
}

/* ---- what needs a confirmation ---- */

static int write_confirmed(
	struct daemon *d, const char *domain, const char *uid_range, struct ten_error *err)
{
	autotext struct text text = { 0 };

	text_printf(&text, "%s\n%s\n", domain, uid_range);
	return files_write(d->own_fd, CONFIRMED_FILE, text.data, text.len, 0600, err);
}

static void use_confirmed(char **value, const char *confirmed, const char *name)
{
	if (strcmp(*value, confirmed) == 0)
		return;
	log_warn("%s is \"%s\" in the file and goes on being \"%s\": `ten apply --confirm` and "
		 "start "
		 "again if it is meant",
		name, *value, confirmed);
	free(*value);
	*value = mem_strdup(confirmed);
}

int settings_check_confirmed(struct daemon *d, struct ten_error *err)
{
	autofree char *text = files_read(d->own_fd, CONFIRMED_FILE, CONFIRMED_MAX, NULL, err);
	char *uid_range, *end;

	if (!text && err->code != ENOENT)
		return -1;
	uid_range = text ? strchr(text, '\n') : NULL;
	end = uid_range ? strchr(uid_range + 1, '\n') : NULL;
	if (!end)
		return write_confirmed(d, file_domain, d->boot.uid_range, err);
	*uid_range++ = *end = '\0';
	/* What the command line says is as good as confirmed. */
	if (!raw_place.domain_override)
		use_confirmed(&d->domain, text, "domain");
	d->place.domain_override = d->domain;
	use_confirmed(&d->boot.uid_range, uid_range, "uid_range");
	return parse_uid_range(d, err);
}

/* The main file in force by itself, without what is pinned. */
static bool file_settings(struct daemon *d, struct setting_values *settings)
{
	struct ten_error err;
	size_t len = 0;
	const char *text = config_set_settings_text(d->set, &len);

	return read_settings(&raw_place, text, len, settings, &err) == 0;
}

void settings_confirm(struct daemon *d)
{
	struct setting_values now = { 0 };
	struct ten_error err;

	if (!file_settings(d, &now))
		return;
	if (write_confirmed(d, now.domain, now.uid_range, &err) < 0)
		log_error("%s", err.text);
	config_settings_clear(&now);
	settings_changed(d);
}

/* Whether SPELLED, a string as TOML has it, is a line of what was confirmed. */
static bool is_confirmed(const char *confirmed, const char *spelled)
{
	size_t len = strlen(spelled) - 2;

	for (const char *line = confirmed; line && *line; line = strchr(line, '\n') + 1) {
		if (strcspn(line, "\n") == len && strncmp(line, spelled + 1, len) == 0)
			return true;
		if (!strchr(line, '\n'))
			break;
	}
	return false;
}

void settings_changed(struct daemon *d)
{
	struct setting_values now = { 0 };
	autofree char *confirmed = files_read(d->own_fd, CONFIRMED_FILE, CONFIRMED_MAX, NULL, NULL);

	mem_strv_free(confirm_list);
	mem_strv_free(restart_list);
	confirm_list = restart_list = NULL;
	if (!file_settings(d, &now))
		return;
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		autofree char *was = NULL, *is = NULL, *line = NULL;

		if (option->scope != OPTION_SETTING ||
			(option->change != OPTION_BOOT && option->change != OPTION_CONFIRM))
			continue;
		was = option_spell(option, &d->boot);
		is = option_spell(option, &now);
		if (strcmp(was, is) == 0)
			continue;
		line = mem_printf("%s: %s -> %s", option->name, was, is);
		if (option->change == OPTION_CONFIRM && !is_confirmed(confirmed, is))
			mem_strv_append(&confirm_list, line);
		else
			mem_strv_append(&restart_list, line);
	}
	config_settings_clear(&now);
	reconcile_mark_settings(d);
}

void settings_status(struct daemon *d, char ***confirm, char ***restart_needed)
{
	(void)d;
	*confirm = confirm_list;
	*restart_needed = restart_list;
}
