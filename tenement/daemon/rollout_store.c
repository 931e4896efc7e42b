#include "daemon/rollout_store.h"

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/files.h"
#include "common/log.h"
#include "daemon/owed.h"
#include "mem.h"

#define STORE_VERSION 1
#define STORE_MAX     (8u * CONFIG_FILE_MAX) /* the text, each byte of it escaped */

static char *store_path(const char *service)
{
	return mem_printf("rollouts/%s", service);
}

void rollout_free(struct rollout *rollout)
{
	if (!rollout)
		return;
	config_template_free(rollout->before);
	free(rollout->service);
	free(rollout->halted_at);
	free(rollout->halted_why);
	free(rollout);
}

static json_t *string_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

void rollout_store_write(struct daemon *d, const struct rollout *rollout)
{
	autofree char *path = store_path(rollout->service);
	autofree char *text = NULL;
	const char *before;
	json_t *json;
	size_t len;

	before = config_template_text(rollout->before, &len);
	json = json_pack("{s:i, s:s, s:s%, s:b, s:o, s:o}", "version", STORE_VERSION, "file",
		config_template_name(rollout->before), "before", before, len, "proven",
		rollout->proven, "halted_at", string_or_null(rollout->halted_at), "halted_why",
		string_or_null(rollout->halted_why));
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (text)
		owed_write(d, d->own_fd, path, text, strlen(text), true);
	else
		log_warn("the roll-out of %s would be lost with the daemon: its text is not UTF-8",
			rollout->service);
}

void rollout_store_remove(struct daemon *d, const char *service)
{
	autofree char *path = store_path(service);

	owed_remove(d, d->own_fd, path);
}

static struct rollout *parse(struct daemon *d, const char *service, const char *text, size_t len)
{
	json_t *json = json_loadb(text, len, 0, NULL);
	struct rollout *rollout = mem_alloc(sizeof(*rollout));
	const char *file, *before, *at, *why;
	int version, proven;
	size_t len_before;

	rollout->service = mem_strdup(service);
	if (json &&
		json_unpack(json, "{s:i, s:s, s:s%, s:b}", "version", &version, "file", &file,
			"before", &before, &len_before, "proven", &proven) == 0 &&
		version == STORE_VERSION && len_before <= CONFIG_FILE_MAX) {
		at = json_string_value(json_object_get(json, "halted_at"));
		why = json_string_value(json_object_get(json, "halted_why"));
		rollout->before = config_template_new(d->set, service, file, before, len_before);
		rollout->proven = proven;
		rollout->halted_at = at && why ? mem_strdup(at) : NULL;
		rollout->halted_why = at && why ? mem_strdup(why) : NULL;
	}
	json_decref(json);
	if (rollout->before)
		return rollout;
	rollout_free(rollout);
	return NULL;
}

int rollout_store_load(struct daemon *d, void (*take)(struct daemon *d, struct rollout *rollout),
	struct ten_error *err)
{
	int fd = files_make_dir(d->own_fd, "rollouts", 0700, err);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!folder)
		return -1;
	while ((entry = readdir(folder))) {
		autofree char *text = NULL;
		struct rollout *rollout;
		size_t len = 0;

		if (entry->d_name[0] == '.')
			continue;
		text = files_read(dirfd(folder), entry->d_name, STORE_MAX, &len, NULL);
		rollout = text ? parse(d, entry->d_name, text, len) : NULL;
		if (rollout) {
			take(d, rollout);
		} else {
			log_warn("rollouts/%s cannot be read and is dropped", entry->d_name);
			unlinkat(dirfd(folder), entry->d_name, 0);
		}
	}
	closedir(folder);
	return 0;
}
