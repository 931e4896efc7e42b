#include "daemon/accepted.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/files.h"
#include "common/log.h"
#include "daemon/accepted_queue.h"
#include "daemon/events.h"
#include "daemon/owed.h"
#include "mem.h"
#include "wire.h"

#define FORMAT_VERSION   1
#define GENERATIONS_KEPT 100
#define GENERATION_MAX   (256u << 20)
#define FEW_FILES        16              /* synced one by one */
#define MANY_FILES       256             /* more are stored a few at a time: see accepted_queue.h */
#define MAIN_NAME        "tenement.toml" /* conf.d has no file of that name in the store */
#define CONF_PREFIX      "conf.d@"

/* The main file's name in a set has a slash. */
static char *stored_name(const char *name)
{
	if (strcmp(name, CONFIG_MAIN) == 0)
		return mem_strdup(MAIN_NAME);
	return mem_printf(CONF_PREFIX "%s", name);
}

static const char *set_name(const char *stored)
{
	if (strcmp(stored, MAIN_NAME) == 0)
		return CONFIG_MAIN;
	return strncmp(stored, CONF_PREFIX, strlen(CONF_PREFIX)) == 0 ? stored + strlen(CONF_PREFIX)
								      : NULL;
}

static int check_format(struct daemon *d, struct ten_error *err)
{
	autofree char *text = files_read(d->own_fd, "format", 64, NULL, err);
	int64_t version;

	if (!text) {
		autofree char *now = mem_printf("%d\n", FORMAT_VERSION);

		return err->code == ENOENT
			       ? files_write(d->own_fd, "format", now, strlen(now), 0600, err)
			       : -1;
	}
	text[strcspn(text, "\n")] = '\0';
	if (!wire_number(text, 1, INT32_MAX, &version) || version > FORMAT_VERSION)
		return ten_error_set(err, 0,
			"%s/.tenement has format %s, and this tenement knows up to %d: use the "
			"newer "
			"program that wrote it",
			d->data_dir, text, FORMAT_VERSION);
	return 0;
}

static void find_newest(struct daemon *d)
{
	int fd = openat(d->own_fd, "history", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		uint64_t number = strtoull(entry->d_name, NULL, 10);

		if (number > d->generation)
			d->generation = number;
	}
	if (folder)
		closedir(folder);
}

int accepted_seed(struct daemon *d, struct ten_error *err)
{
	autoclose int history = files_make_dir(d->own_fd, "history", 0700, err);
	int fd = history < 0 ? -1 : files_make_dir(d->own_fd, "accepted", 0700, err);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!folder || check_format(d, err) < 0)
		return -1;
	while ((entry = readdir(folder))) {
		const char *name = set_name(entry->d_name);
		autofree char *text = NULL;
		size_t len;

		if (!name)
			continue;
		text = files_read(dirfd(folder), entry->d_name, CONFIG_FILE_MAX, &len, NULL);
		if (text)
			config_set_seed(d->set, name, text, len);
	}
	closedir(folder);
	find_newest(d);
	return 0;
}

/* One file of a generation, NULL when it is stored as it is. What it was before is what `undo`
 * brings back. */
static json_t *file_entry(struct daemon *d, const char *name)
{
	autofree char *stored = stored_name(name);
	autofree char *path = mem_printf("accepted/%s", stored);
	size_t stored_len = 0, len = 0;
	autofree char *before = owed_read(d, d->own_fd, path, CONFIG_FILE_MAX, &stored_len, NULL);
	const char *after = config_set_text(d->set, name, &len);
	json_t *entry;

	if ((!before && !after) ||
		(before && after && len == stored_len && memcmp(before, after, len) == 0))
		return NULL;
	entry = json_object();
	json_object_set_new(
		entry, "name", json_string(strcmp(name, CONFIG_MAIN) == 0 ? MAIN_NAME : name));
	json_object_set_new(entry, "main", json_boolean(strcmp(name, CONFIG_MAIN) == 0));
	json_object_set_new(entry, "change",
		json_string(!after    ? "removed"
			    : !before ? "added"
				      : "changed"));
	json_object_set_new(entry, "before", before ? json_string(before) : json_null());
	json_object_set_new(entry, "after", after ? json_string(after) : json_null());
	return entry;
}

/* In force it is all the same, whatever the disk says. TEXT may be NULL: NAME is there no more. */
static void store_one(struct daemon *d, const char *name, const char *text, size_t len, bool sync)
{
	autofree char *stored = stored_name(name);
	autofree char *path = mem_printf("accepted/%s", stored);

	if (text)
		owed_write(d, d->own_fd, path, text, len, sync);
	else
		owed_remove(d, d->own_fd, path);
}

static void write_generation(struct daemon *d, json_t *files, const char *author)
{
	autofree char *path = mem_printf("history/%" PRIu64 ".json", d->generation);
	autofree char *old =
		d->generation > GENERATIONS_KEPT
			? mem_printf("history/%" PRIu64 ".json", d->generation - GENERATIONS_KEPT)
			: NULL;
	json_t *generation = json_object();
	char *text;

	json_object_set_new(generation, "version", json_integer(FORMAT_VERSION));
	json_object_set_new(generation, "generation", json_integer((json_int_t)d->generation));
	json_object_set_new(generation, "time", json_integer((json_int_t)time(NULL)));
	json_object_set_new(generation, "by", json_string(author));
	json_object_set(generation, "files", files);
	text = json_dumps(generation, JSON_COMPACT);
	if (text)
		owed_write(d, d->own_fd, path, text, strlen(text), false);
	free(text);
	json_decref(generation);
	if (old)
		owed_remove(d, d->own_fd, old);
}

/* The names of CHANGE whose texts differ from what is stored, and FILES filled with what is kept of
 * them in the history. The caller frees the list alone. */
static const char **find_changed(
	struct daemon *d, const struct config_change *change, json_t *files)
{
	char *const *unchanged = change->unchanged;
	const char **changed =
		mem_alloc((mem_strv_length(change->accepted) + 1) * sizeof(*changed));
	size_t count = 0;

	/* What was before is read from what is stored. */
	if (mem_strv_length(change->accepted) > MANY_FILES)
		accepted_queue_finish(d);
	for (size_t i = 0; change->accepted && change->accepted[i]; i++) {
		const char *name = change->accepted[i];
		json_t *entry;

		/* Both lists are sorted; what was in force is not read for nothing. */
		if (unchanged && *unchanged && strcmp(*unchanged, name) == 0) {
			unchanged++;
			continue;
		}
		accepted_queue_store(d, name);
		entry = file_entry(d, name);
		if (!entry)
			continue;
		json_array_append_new(files, entry);
		changed[count++] = name;
	}
	return changed;
}

static void store_queued(struct daemon *d, const char *name, const char *text, size_t len)
{
	store_one(d, name, text, len, false);
}

void accepted_keep(struct daemon *d, const struct config_change *change, const char *author)
{
	json_t *files = json_array();
	autofree const char **changed = find_changed(d, change, files);
	size_t count = json_array_size(files);

	if (count) {
		d->generation++;
		write_generation(d, files, author);
		events_note(d, EVENT_RECONCILE, NULL, "%zu file%s changed, by %s", count,
			count == 1 ? "" : "s", author);
	}
	/* Nobody waits for very many; but what went is not to come back with the next life. */
	for (size_t i = 0; i < count; i++) {
		size_t len = 0;
		const char *text = config_set_text(d->set, changed[i], &len);

		if (text && count > MANY_FILES)
			accepted_queue_add(d, changed[i], text, len, store_queued);
		else
			store_one(d, changed[i], text, len, count <= FEW_FILES);
	}
	if (count > FEW_FILES)
		accepted_queue_sync(d);
	json_decref(files);
}

json_t *accepted_generation(struct daemon *d, uint64_t number)
{
	autofree char *path = mem_printf("history/%" PRIu64 ".json", number);
	size_t len;
	autofree char *text = owed_read(d, d->own_fd, path, GENERATION_MAX, &len, NULL);

	return text ? json_loadb(text, len, 0, NULL) : NULL;
}

json_t *accepted_history(struct daemon *d, size_t limit)
{
	json_t *history = json_array();

	/* One that a full disk swallowed with its daemon is no end of those before it. */
	for (uint64_t number = d->generation;
		number > 0 && number + GENERATIONS_KEPT > d->generation &&
		json_array_size(history) < limit;
		number--) {
		json_t *generation = accepted_generation(d, number);
		json_t *file;
		size_t i;

		if (!generation)
			continue;
		json_array_foreach (json_object_get(generation, "files"), i, file) {
			json_object_del(file, "before");
			json_object_del(file, "after");
		}
		json_array_append_new(history, generation);
	}
	return history;
}
