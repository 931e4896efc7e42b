#include "daemon/override.h"

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
#include "daemon/hold.h"
#include "daemon/instance.h"
#include "daemon/publish.h"
#include "daemon/reconcile.h"
#include "mem.h"
#include "names.h"
#include "text.h"
#include "toml.h"
#include "wire.h"

#define OVERRIDE_MAX     16384
#define OVERRIDE_VERSION 1
#define WEIGHT_MAX       10000

const char *const override_what_names[] = {
	[OVERRIDE_STATE] = "state",
	[OVERRIDE_WEIGHT] = "weight",
	[OVERRIDE_SPLIT] = "split",
	[OVERRIDE_HOLD] = "hold",
};

static char *name_of(const char *target, enum override_what what)
{
	return mem_printf("%s.%s", target, override_what_names[what]);
}

static void override_free(struct override *override)
{
	free(override->name);
	free(override->target);
	free(override->value);
	free(override->declared);
	free(override->by);
	free(override);
}

static void add(struct daemon *d, struct override *override)
{
	struct override *old;

	if (override->what == OVERRIDE_HOLD)
		override->until = hold_end(override);
	HASH_FIND_STR(d->overrides, override->name, old);
	if (old) {
		HASH_DEL(d->overrides, old);
		override_free(old);
	}
	HASH_ADD_KEYPTR(hh, d->overrides, override->name, strlen(override->name), override);
}

static char *string_at(const struct toml_node *table, const char *key)
{
	const struct toml_entry *entry = toml_find(table, key);

	if (!entry || entry->value.kind != TOML_STRING)
		return NULL;
	return mem_strndup(entry->value.string.data, entry->value.string.len);
}

static struct override *parse(const char *text, size_t len)
{
	struct toml_fault fault;
	struct toml_document *document = toml_parse(text, len, &fault);
	const struct toml_entry *table =
		document ? toml_find(toml_root(document), "override") : NULL;
	struct override *override = mem_alloc(sizeof(*override));
	const struct toml_entry *since;
	autofree char *what = NULL;

	if (table) {
		override->target = string_at(&table->value, "target");
		override->value = string_at(&table->value, "value");
		override->declared = string_at(&table->value, "declared");
		override->by = string_at(&table->value, "by");
		what = string_at(&table->value, "what");
		since = toml_find(&table->value, "since");
		if (since && since->value.kind == TOML_INTEGER)
			override->since = since->value.integer;
	}
	toml_free(document);
	for (int i = OVERRIDE_STATE; what && i <= OVERRIDE_HOLD; i++) {
		if (strcmp(what, override_what_names[i]) != 0 || !override->target ||
			!override->value || !override->declared || !override->by)
			continue;
		override->what = (enum override_what)i;
		override->name = name_of(override->target, override->what);
		return override;
	}
	override_free(override);
	return NULL;
}

int override_load_all(struct daemon *d, struct ten_error *err)
{
	int fd = files_make_dir(d->own_fd, "overrides", 0700, err);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!folder)
		return -1;
	while ((entry = readdir(folder))) {
		autofree char *text = NULL;
		struct override *override;
		size_t len;

		if (entry->d_name[0] == '.')
			continue;
		text = files_read(dirfd(folder), entry->d_name, OVERRIDE_MAX, &len, NULL);
		override = text ? parse(text, len) : NULL;
		if (override)
			add(d, override);
		else
			log_warn("overrides/%s cannot be read and is ignored", entry->d_name);
	}
	closedir(folder);
	return 0;
}

const struct override *override_find(
	const struct daemon *d, const char *target, enum override_what what)
{
	autofree char *name = name_of(target, what);
	struct override *override;

	HASH_FIND_STR(d->overrides, name, override);
	return override;
}

static void mark(struct daemon *d, const struct override *override)
{
	struct instance *instance = NULL;

	if (override->what == OVERRIDE_HOLD)
		instance = instance_find(d, override->target);
	if (instance && (instance->state == INSTANCE_READY || instance->state == INSTANCE_FROZEN))
		instance_arm_sleep(d, instance);
	if (override->what == OVERRIDE_SPLIT)
		reconcile_mark_route(d, override->target);
	else
		reconcile_mark_instance(d, override->target);
}

static int write_one(struct daemon *d, const struct override *override, struct ten_error *err)
{
	autotext struct text text = { 0 };
	autofree char *path = mem_printf("overrides/%s.toml", override->name);

	text_printf(&text,
		"# Written by ten; end it with `ten overrides clear %s`\n[override]\nversion = %d\n"
		"target = \"%s\"\nwhat = \"%s\"\nvalue = \"%s\"\ndeclared = \"%s\"\nsince = "
		"%" PRId64 "\nby = \"%s\"\n",
		override->target, OVERRIDE_VERSION, override->target,
		override_what_names[override->what], override->value, override->declared,
		override->since, override->by);
	return files_write(d->own_fd, path, text.data, text.len, 0600, err);
}

int override_set(struct daemon *d, const char *target, enum override_what what, const char *value,
	const char *declared, const char *by, struct ten_error *err)
{
	struct override *override;

	if (strcmp(value, declared) == 0) {
		override_clear_one(d, target, what);
		return 0;
	}
	override = mem_alloc(sizeof(*override));
	override->name = name_of(target, what);
	override->target = mem_strdup(target);
	override->what = what;
	override->value = mem_strdup(value);
	override->declared = mem_strdup(declared);
	override->since = (int64_t)time(NULL);
	override->by = mem_strdup(by);
	if (write_one(d, override, err) < 0) {
		override_free(override);
		return -1;
	}
	mark(d, override);
	add(d, override);
	return 0;
}

static void end(struct daemon *d, struct override *override)
{
	autofree char *path = mem_printf("overrides/%s.toml", override->name);

	unlinkat(d->own_fd, path, 0);
	HASH_DEL(d->overrides, override);
	mark(d, override);
	override_free(override);
}

int override_clear_one(struct daemon *d, const char *target, enum override_what what)
{
	struct override *override = (struct override *)override_find(d, target, what);

	if (!override)
		return 0;
	end(d, override);
	return 1;
}

int override_clear(struct daemon *d, const char *target)
{
	struct override *override, *next;
	int count = 0;

	HASH_ITER (hh, d->overrides, override, next) {
		if (target && strcmp(override->target, target) != 0)
			continue;
		end(d, override);
		count++;
	}
	return count;
}

void override_check(
	struct daemon *d, const char *target, enum override_what what, const char *declared)
{
	struct override *override = (struct override *)override_find(d, target, what);

	if (!override || strcmp(override->declared, declared) == 0)
		return;
	log_info("%s: the declared %s changed from %s to %s, which ends the override %s", target,
		override_what_names[what], override->declared, declared, override->value);
	end(d, override);
}

int override_parse_split(const char *text, struct publish_split **split, size_t *count)
{
	autofree char *copy = mem_strdup(text);
	char *rest = copy, *pair;

	*split = NULL;
	*count = 0;
	while ((pair = strsep(&rest, ","))) {
		char *equals = strchr(pair, '=');
		int64_t weight;

		if (!*pair)
			continue;
		if (equals)
			*equals = '\0';
		if (!equals || !names_valid(pair) ||
			!wire_number(equals + 1, 0, WEIGHT_MAX, &weight)) {
			publish_split_free(*split, *count);
			*split = NULL;
			return -1;
		}
		*split = mem_resize(*split, *count + 1, sizeof(**split));
		(*split)[(*count)++] = (struct publish_split){ mem_strdup(pair), (uint32_t)weight };
	}
	return 0;
}

char *override_format_split(const struct publish_split *split, size_t count)
{
	struct text text = { 0 };

	for (size_t i = 0; i < count; i++)
		text_printf(&text, "%s%s=%u", i ? "," : "", split[i].id, split[i].weight);
	return text_steal(&text);
}
