#include "config_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "config_listener.h"
#include "config_route.h"
#include "mem.h"
#include "names.h"
#include "spec.h"
#include "suggest.h"

_Static_assert(CONFIG_FILE_MAX == TOML_TEXT_MAX, "one bound for a file, wherever it is named");

/* One more, zeroed, at the end of an array. */
#define ADD_ONE(array, count)                                                                      \
	({                                                                                         \
		(array) = mem_resize((array), (count) + 1, sizeof(*(array)));                      \
		memset(&(array)[(count)], 0, sizeof(*(array)));                                    \
		&(array)[(count)++];                                                               \
	})

static bool is_main(const struct config_file *file)
{
	return strcmp(file->name, CONFIG_MAIN) == 0;
}

static struct config_at at_key(const struct toml_entry *entry)
{
	return (struct config_at){ entry->line, entry->column };
}

static struct config_at at_value(const struct toml_entry *entry)
{
	return (struct config_at){ entry->value.line, entry->value.column };
}

static bool expect_table(struct config_file *file, const struct toml_entry *entry, const char *what)
{
	if (entry->value.kind == TOML_TABLE)
		return true;
	config_problems_add(&file->problems, at_value(entry), "%s%s wants a table, not %s", what,
		entry->key, toml_kind_name(entry->value.kind));
	return false;
}

/* The name of a service or an id that is a key. */
static bool expect_name(struct config_file *file, const struct toml_entry *entry, const char *what)
{
	struct ten_error err;

	if (names_check(entry->key, &err) == 0)
		return true;
	config_problems_add(
		&file->problems, at_key(entry), "%s \"%.80s\": %s", what, entry->key, err.text);
	return false;
}

/* Two words on one thing; a tenant's word over its service's is another matter. */
static void refuse_both_sleeps(struct config_file *file, const struct config_layer *layer)
{
	const struct config_value *ladder = config_layer_find(layer, "sleep");

	if (ladder && config_layer_find(layer, "idle_timeout"))
		config_problems_add(&file->problems, ladder->at,
			"sleep and idle_timeout say the same thing twice: keep one of them "
			"(idle_timeout = 900 is sleep = [{ after = 900, to = \"stopped\" }])");
}

static void read_service(struct config_file *file, const struct toml_entry *entry)
{
	struct config_service *service;

	if (!expect_name(file, entry, "service") || !expect_table(file, entry, "service."))
		return;
	if (strcmp(entry->key, "api_token") == 0) {
		config_problems_add(&file->problems, at_key(entry),
			"the name \"api_token\" is kept for tenement's own use in data_dir");
		return;
	}
	service = ADD_ONE(file->services, file->service_count);
	service->name = mem_strdup(entry->key);
	service->at = at_key(entry);
	for (size_t i = 0; i < entry->value.table.count; i++)
		config_layer_read(&service->layer, OPTION_SERVICE, &entry->value.table.entries[i],
			file->folder, &file->problems);
	refuse_both_sleeps(file, &service->layer);
	if (!toml_find(&entry->value, "command"))
		config_problems_add(&file->problems, service->at,
			"service \"%s\" has no command: the one key without a default",
			service->name);
}

static void read_services(struct config_file *file, const struct toml_entry *entry)
{
	if (!expect_table(file, entry, ""))
		return;
	for (size_t i = 0; i < entry->value.table.count; i++)
		read_service(file, &entry->value.table.entries[i]);
}

/* The id that the file's name gives: without .toml and without a leading "SERVICE-". */
static char *id_of_name(const struct config_file *file, const char *service)
{
	size_t len = strlen(file->name), service_len = strlen(service);
	const char *name = file->name;

	if (len > 5 && strcmp(name + len - 5, ".toml") == 0)
		len -= 5;
	if (len > service_len && strncmp(name, service, service_len) == 0 &&
		name[service_len] == '-') {
		name += service_len + 1;
		len -= service_len + 1;
	}
	return mem_strndup(name, len);
}

enum tenant_place { TENANT_ALONE, TENANT_ONE_OF_SEVERAL };

static void set_id(struct config_file *file, struct config_tenant *tenant, enum tenant_place place)
{
	const struct config_value *id = config_layer_find(&tenant->layer, "id");
	struct ten_error err;

	if (id) {
		tenant->id = mem_strdup(id->value.string);
		return;
	}
	if (place == TENANT_ONE_OF_SEVERAL || is_main(file)) {
		config_problems_add(&file->problems, tenant->at,
			"this tenant needs an id: the file's name gives one only to a [tenant] "
			"that is alone in a file of conf.d");
		return;
	}
	tenant->id = id_of_name(file, tenant->service);
	if (names_check(tenant->id, &err) == 0)
		return;
	config_problems_add(&file->problems, tenant->at,
		"the file's name makes \"%.80s\" the id, but %s: rename it, or write id = \"...\"",
		tenant->id, err.text);
	free(mem_steal(&tenant->id));
}

/* A tenant without a service or an id declares nothing that others could clash with. */
static void keep_tenant(struct config_file *file, struct config_tenant *tenant)
{
	autofree char *service = tenant->service;
	autofree char *id = tenant->id;

	if (service && id && names_valid(service) && names_valid(id)) {
		tenant->key = mem_printf("%s:%s%c%s", service, id, '\0', service);
		tenant->id = tenant->key + strlen(service) + 1;
		tenant->service = tenant->id + strlen(id) + 1;
		return;
	}
	config_layer_clear(&tenant->layer);
	file->tenant_count--;
}

static void read_tenant(struct config_file *file, const struct toml_node *table,
	struct config_at at, enum tenant_place place)
{
	struct config_tenant *tenant = ADD_ONE(file->tenants, file->tenant_count);
	const struct config_value *service;

	tenant->at = at;
	for (size_t i = 0; i < table->table.count; i++)
		config_layer_read(&tenant->layer, OPTION_TENANT, &table->table.entries[i],
			file->folder, &file->problems);
	refuse_both_sleeps(file, &tenant->layer);
	service = config_layer_find(&tenant->layer, "service");
	if (service) {
		tenant->service = mem_strdup(service->value.string);
		tenant->service_at = service->at;
		set_id(file, tenant, place);
	} else if (!toml_find(table, "service")) {
		config_problems_add(&file->problems, at,
			"this tenant names no service: write service = \"...\"");
	}
	keep_tenant(file, tenant);
}

static void read_tenants(struct config_file *file, const struct toml_entry *entry)
{
	const struct toml_node *node = &entry->value;

	if (node->kind == TOML_TABLE) {
		read_tenant(file, node, at_key(entry), TENANT_ALONE);
		return;
	}
	if (node->kind != TOML_ARRAY) {
		expect_table(file, entry, "");
		return;
	}
	for (size_t i = 0; i < node->array.count; i++) {
		const struct toml_node *item = &node->array.items[i];
		struct config_at at = { item->line, item->column };
		if (item->kind == TOML_TABLE)
			read_tenant(file, item, at,
				node->array.count == 1 ? TENANT_ALONE : TENANT_ONE_OF_SEVERAL);
		else
			config_problems_add(&file->problems, at, "tenant wants tables, not %s",
				toml_kind_name(item->kind));
	}
}

/* [instances]: service = ["id", ...], tenants that are kept running. */
static void read_instances_of(struct config_file *file, const struct toml_entry *entry)
{
	const struct toml_node *node = &entry->value;
	struct ten_error err;

	if (!expect_name(file, entry, "service"))
		return;
	if (node->kind != TOML_ARRAY) {
		config_problems_add(&file->problems, at_value(entry),
			"instances.%s wants an array of ids, not %s", entry->key,
			toml_kind_name(node->kind));
		return;
	}
	for (size_t i = 0; i < node->array.count; i++) {
		const struct toml_node *item = &node->array.items[i];
		struct config_at at = { item->line, item->column };
		struct config_tenant *tenant;

		if (item->kind != TOML_STRING) {
			config_problems_add(&file->problems, at,
				"instances.%s wants ids (strings), not %s", entry->key,
				toml_kind_name(item->kind));
			continue;
		}
		if (names_check(item->string.data, &err) < 0) {
			config_problems_add(&file->problems, at, "id \"%.80s\": %s",
				item->string.data, err.text);
			continue;
		}
		tenant = ADD_ONE(file->tenants, file->tenant_count);
		tenant->service = mem_strdup(entry->key);
		tenant->id = mem_strdup(item->string.data);
		tenant->at = at;
		tenant->service_at = at_key(entry);
		config_layer_add_choice(
			&tenant->layer, option_find(OPTION_TENANT, "state"), TENANT_RUNNING, at);
		keep_tenant(file, tenant);
	}
}

static void read_instances(struct config_file *file, const struct toml_entry *entry)
{
	if (!expect_table(file, entry, ""))
		return;
	for (size_t i = 0; i < entry->value.table.count; i++)
		read_instances_of(file, &entry->value.table.entries[i]);
}

static void read_listener(struct config_file *file, const struct toml_node *table)
{
	struct config_layer *layer = ADD_ONE(file->listeners, file->listener_count);

	for (size_t i = 0; i < table->table.count; i++)
		config_layer_read(layer, OPTION_LISTENER, &table->table.entries[i], file->folder,
			&file->problems);
	if (!toml_find(table, "address"))
		config_problems_add(&file->problems,
			(struct config_at){ table->line, table->column },
			"a listener needs its address");
}

static void read_listeners(struct config_file *file, const struct toml_entry *entry)
{
	const struct toml_node *node = &entry->value;

	file->listener_at = at_key(entry);
	for (size_t i = 0; node->kind == TOML_ARRAY && i < node->array.count; i++) {
		if (node->array.items[i].kind == TOML_TABLE)
			read_listener(file, &node->array.items[i]);
		else
			config_problems_add(&file->problems, at_value(entry),
				"listener wants tables: [[settings.listener]]");
	}
	if (node->kind != TOML_ARRAY)
		config_problems_add(&file->problems, at_value(entry),
			"listener is written as [[settings.listener]], with two brackets");
}

/* A table, or tables, by a name that is nearly theirs. */
static bool is_misspelt_listener(const struct toml_entry *key)
{
	const struct toml_node *node = &key->value;
	struct suggest suggest = suggest_begin(key->key);

	if (node->kind == TOML_ARRAY && node->array.count)
		node = &node->array.items[0];
	suggest_offer(&suggest, "listen");
	suggest_offer(&suggest, "listener");
	return node->kind == TOML_TABLE && suggest.best && !option_find(OPTION_SETTING, key->key);
}

static void read_settings(struct config_file *file, const struct toml_entry *entry)
{
	if (!expect_table(file, entry, ""))
		return;
	for (size_t i = 0; i < entry->value.table.count; i++) {
		const struct toml_entry *key = &entry->value.table.entries[i];
		if (strcmp(key->key, "listener") == 0)
			read_listeners(file, key);
		else if (is_misspelt_listener(key))
			config_problems_add(&file->problems, at_key(key),
				"unknown table [[settings.%s]] (did you mean "
				"[[settings.listener]]?)",
				key->key);
		else
			config_layer_read(&file->settings, OPTION_SETTING, key, file->folder,
				&file->problems);
	}
	config_listeners_check(file);
}

static void read_routes(struct config_file *file, const struct toml_entry *entry)
{
	if (!expect_table(file, entry, ""))
		return;
	for (size_t i = 0; i < entry->value.table.count; i++)
		if (expect_name(file, &entry->value.table.entries[i], "route"))
			config_route_read(file, &entry->value.table.entries[i]);
}

static const struct {
	const char *name;
	void (*read)(struct config_file *file, const struct toml_entry *entry);
	bool main_only;
} tables[] = {
	{ "service", read_services, false },
	{ "tenant", read_tenants, false },
	{ "route", read_routes, false },
	{ "settings", read_settings, true },
	{ "instances", read_instances, true },
	{ "routing", config_routing_read, true },
};

enum { TABLE_COUNT = sizeof(tables) / sizeof(tables[0]) };

static void refuse_unknown(struct config_file *file, const struct toml_entry *entry)
{
	struct suggest suggest = suggest_begin(entry->key);
	const char *kind = entry->value.kind == TOML_TABLE ? "table" : "key";

	if (entry->value.kind != TOML_TABLE && option_find(OPTION_TENANT, entry->key)) {
		config_problems_add(&file->problems, at_key(entry),
			"\"%s\" stands in no table: write [tenant] above it", entry->key);
		return;
	}
	for (size_t i = 0; i < TABLE_COUNT; i++)
		if (!tables[i].main_only || is_main(file))
			suggest_offer(&suggest, tables[i].name);
	if (suggest.best)
		config_problems_add(&file->problems, at_key(entry),
			"unknown %s \"%s\" (did you mean \"%s\"?)", kind, entry->key, suggest.best);
	else
		config_problems_add(&file->problems, at_key(entry), "unknown %s \"%s\": there %s",
			kind, entry->key,
			is_main(file)
				? "are settings, service, tenant, instances, route and routing"
				: "are service, tenant and route");
}

static void read_table(struct config_file *file, const struct toml_entry *entry)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (strcmp(tables[i].name, entry->key) != 0)
			continue;
		if (tables[i].main_only && !is_main(file))
			config_problems_add(&file->problems, at_key(entry),
				"[%s] may stand in tenement.toml only", entry->key);
		else
			tables[i].read(file, entry);
		return;
	}
	refuse_unknown(file, entry);
}

/* TOML can say "\\u0000" and C strings cannot: refused everywhere, before anything is read. */
static void refuse_nuls(struct config_file *file, const struct toml_node *node)
{
	if (node->kind == TOML_STRING && memchr(node->string.data, '\0', node->string.len))
		config_problems_add(&file->problems, (struct config_at){ node->line, node->column },
			"it holds a NUL character");
	for (size_t i = 0; node->kind == TOML_ARRAY && i < node->array.count; i++)
		refuse_nuls(file, &node->array.items[i]);
	for (size_t i = 0; node->kind == TOML_TABLE && i < node->table.count; i++) {
		const struct toml_entry *entry = &node->table.entries[i];
		if (memchr(entry->key, '\0', entry->key_len))
			config_problems_add(
				&file->problems, at_key(entry), "a key with a NUL character");
		refuse_nuls(file, &entry->value);
	}
}

static void read_document(struct config_file *file, const struct toml_node *root)
{
	refuse_nuls(file, root);
	if (file->problems.count)
		return;
	if (!root->table.count && (!is_main(file) || !file->len)) {
		config_problems_add(&file->problems, (struct config_at){ 0 },
			file->len ? "it declares nothing" : "it is empty");
		return;
	}
	for (size_t i = 0; i < root->table.count; i++)
		read_table(file, &root->table.entries[i]);
}

/* TEXT may be NULL: there is none. */
static struct config_file *file_new(
	const char *name, const char *display, const char *folder, const char *text, size_t len)
{
	struct config_file *file = mem_alloc(sizeof(*file) + (text ? len + 1 : 0));

	file->name = name;
	file->display = display;
	file->folder = folder;
	file->problems.file = file->display;
	if (!text)
		return file;
	file->text = (char *)(file + 1);
	if (len)
		memcpy(file->text, text, len);
	file->len = len;
	file->problems.text = file->text;
	file->problems.len = len;
	return file;
}

static void parse(struct config_file *file)
{
	struct toml_document *document;
	struct toml_fault fault;

	document = toml_parse(file->text, file->len, &fault);
	if (!document) {
		config_problems_add(&file->problems, (struct config_at){ fault.line, fault.column },
			"%s", fault.message);
		return;
	}
	read_document(file, toml_root(document));
	toml_free(document);
}

struct config_file *config_file_parse_named(
	const char *name, const char *display, const char *folder, const char *text, size_t len)
{
	struct config_file *file = file_new(name, display, folder, text ? text : "", len);

	parse(file);
	return file;
}

struct config_file *config_file_parse(
	const char *name, const char *display, const char *folder, const char *text, size_t len)
{
	struct config_file *file = file_new(NULL, NULL, NULL, text ? text : "", len);

	file->copies = mem_printf("%s%c%s%c%s", name, '\0', display, '\0', folder);
	file->name = file->copies;
	file->display = file->name + strlen(name) + 1;
	file->folder = file->display + strlen(display) + 1;
	file->problems.file = file->display;
	parse(file);
	return file;
}

struct config_file *config_file_unreadable(
	const char *name, const char *display, const char *folder, const char *why)
{
	struct config_file *file = file_new(name, display, folder, NULL, 0);

	config_problems_add(&file->problems, (struct config_at){ 0 }, "cannot be read: %s", why);
	return file;
}

bool config_file_says(const struct config_file *file, const char *text, size_t len)
{
	return file->text && file->len == len && memcmp(file->text, text, len) == 0;
}

static void clear_services(struct config_file *file)
{
	for (size_t i = 0; i < file->service_count; i++) {
		spec_common_unref(file->services[i].common);
		free(file->services[i].name);
		config_layer_clear(&file->services[i].layer);
	}
	free(file->services);
}

static void clear_tenants(struct config_file *file)
{
	for (size_t i = 0; i < file->tenant_count; i++) {
		free(file->tenants[i].key);
		config_layer_clear(&file->tenants[i].layer);
	}
	free(file->tenants);
}

void config_file_free(struct config_file *file)
{
	if (!file)
		return;
	clear_services(file);
	clear_tenants(file);
	config_routes_clear(file);
	config_routing_clear(&file->routing);
	for (size_t i = 0; i < file->reference_count; i++)
		free(file->references[i].service);
	free(file->references);
	for (size_t i = 0; i < file->listener_count; i++)
		config_layer_clear(&file->listeners[i]);
	free(file->listeners);
	config_layer_clear(&file->settings);
	config_problems_clear(&file->problems);
	free(file->copies);
	free(file);
}
