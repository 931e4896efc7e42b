/*
 * A routing table whose header is sound and whose every other byte comes from outside: whatever
 * offsets and lengths it has, a reader stays inside of it and hands out nothing that does not.
 *
 * An input is: generation, index, settings, arena_top (64 bits each), SLOTS slots, then what the
 * arena begins with. The same arena bytes are also the very last ones of the table, and an offset
 * in the header or a slot below LAYOUT_ARENA is turned into one from the table's end. The mapping
 * lies between pages that nobody may touch, for a sanitizer knows nothing of mappings.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "route_layout.h"

#define SLOTS      8
#define FENCE      (1u << 20)
#define ARENA_MOST (16u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "a.localhost", "notes.localhost", "alice.notes.localhost",
	"bob.notes.localhost", "localhost", "*.notes.localhost", "" };

static int memory = -1;
static unsigned char *writable; /* the whole table */
static struct route_table *table;

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* The table as a worker opens it, moved to between two fences. */
static void open_between_fences(void)
{
	unsigned char *fences = mmap(NULL, ROUTE_TABLE_BYTES + 2 * FENCE, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct ten_error err;
	void *moved;

	require(fences != MAP_FAILED);
	require(route_table_open(&table, memory, &err) == 0);
	moved = mremap(table->base, ROUTE_TABLE_BYTES, ROUTE_TABLE_BYTES,
		MREMAP_MAYMOVE | MREMAP_FIXED, fences + FENCE);
	require(moved == fences + FENCE);
	table->base = moved;
	table->header = moved;
	table->slots = (struct layout_slot *)(table->base + LAYOUT_HEADER);
}

static void begin(void)
{
	struct route_table *writer;
	struct ten_error err;

	require(route_table_create(&writer, &memory, &err) == 0);
	route_table_close(writer);
	writable = mmap(NULL, ROUTE_TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		memory, 0);
	require(writable != MAP_FAILED);
	open_between_fences();
}

static uint64_t place(uint64_t offset)
{
	return offset && offset < LAYOUT_ARENA ? ROUTE_TABLE_BYTES - offset : offset;
}

static void take(const uint8_t **data, size_t *size, void *into, size_t bytes)
{
	size_t some = *size < bytes ? *size : bytes;

	memset(into, 0, bytes);
	memcpy(into, *data, some);
	*data += some;
	*size -= some;
}

static void fill(const uint8_t *data, size_t size)
{
	struct layout_header *header = (struct layout_header *)writable;
	struct layout_slot *slots = (struct layout_slot *)(writable + LAYOUT_HEADER);
	uint64_t words[4], slot[2];

	take(&data, &size, words, sizeof(words));
	header->generation = words[0];
	header->index = place(words[1]);
	header->settings = place(words[2]);
	header->arena_top = words[3];
	for (int i = 0; i < SLOTS; i++) {
		take(&data, &size, slot, sizeof(slot));
		slots[i].word = slot[0];
		slots[i].instance = place(slot[1]);
	}
	if (size > ARENA_MOST)
		size = ARENA_MOST;
	memset(writable + LAYOUT_ARENA, 0, ARENA_MOST);
	memset(writable + ROUTE_TABLE_BYTES - ARENA_MOST, 0, ARENA_MOST);
	memcpy(writable + LAYOUT_ARENA, data, size);
	memcpy(writable + ROUTE_TABLE_BYTES - size, data, size);
}

static void inside(const void *at, size_t bytes)
{
	const unsigned char *first = at;

	if (!bytes)
		return;
	require(first >= table->base && first <= table->base + ROUTE_TABLE_BYTES &&
		bytes <= (size_t)(table->base + ROUTE_TABLE_BYTES - first));
}

static void string_inside(const char *string)
{
	if (string)
		inside(string, strlen(string) + 1);
}

static void check_wake(const struct route_wake *wake)
{
	struct wake_request request = { .path = { "/", 1 }, .method = { "GET", 3 } };

	string_inside(wake->health);
	inside(wake->rules.rules, wake->rules.count * sizeof(*wake->rules.rules));
	inside(wake->rules.text, wake->rules.text_len);
	wake_rules_match(&wake->rules, &request);
}

static void check_target(struct route_target target)
{
	struct route_instance instance;
	struct route_wake wake;
	enum instance_state state;

	if (route_table_state(table, target, &state))
		require(state < INSTANCE_STATES && target.slot < ROUTE_SLOTS_MAX);
	if (!route_table_instance(table, target, &instance))
		return;
	require(instance.name && instance.self.slot == target.slot &&
		instance.self.incarnation == target.incarnation);
	string_inside(instance.name);
	string_inside(instance.socket_path);
	string_inside(instance.suspended_page);
	require(!instance.socket_path || strlen(instance.socket_path) <= ROUTE_SOCKET_MAX);
	if (route_table_wake(table, &instance, &wake))
		check_wake(&wake);
}

static void check_host(const char *name)
{
	struct route_host host;
	struct route_path path;

	route_table_host(table, name, strlen(name), &host);
	require(host.kind < ROUTE_KINDS);
	string_inside(host.service);
	string_inside(host.default_host);
	require(host.kind != ROUTE_SPAWN || host.service);
	if (host.kind == ROUTE_INSTANCE)
		check_target(host.target);
	if (host.kind == ROUTE_WEIGHTED) {
		inside(host.targets, host.target_count * sizeof(*host.targets));
		for (uint64_t ticket = 0; ticket < 20; ticket++)
			check_target(route_pick(&host, ticket * 0x9e3779b97f4a7c15ull));
	}
	for (uint32_t i = 0; i < host.path_count; i++) {
		if (!route_host_path(table, &host, i, &path))
			continue;
		string_inside(path.prefix);
		string_inside(path.host);
	}
}

static void check_settings(void)
{
	static const uint32_t statuses[] = { 0, 404, 502, 503 };
	struct route_settings settings;
	struct route_error_page page;

	if (!route_table_settings(table, &settings))
		return;
	string_inside(settings.domain);
	inside(settings.trusted_proxies,
		settings.trusted_proxy_count * sizeof(*settings.trusted_proxies));
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (route_settings_error_page(table, &settings, statuses[i], &page))
			string_inside(page.html);
	}
}

static void visit_host(void *data, const char *name)
{
	struct route_wake wake;

	(void)data;
	string_inside(name);
	if (*name == '#' && route_table_wake_of_service(table, name + 1, &wake))
		check_wake(&wake);
}

static void visit_instance(void *data, const struct route_instance *instance)
{
	(void)data;
	string_inside(instance->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct record_index *index;

	if (memory < 0)
		begin();
	fill(data, size);
	index = layout_index(table);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_host(names[i]);
	for (uint32_t i = 0; i < SLOTS; i++)
		check_target((struct route_target){ i, 1 });
	check_settings();
	/* A walk through half a gigabyte of holes would only take long. */
	if (index && index->capacity <= 4096)
		route_table_each_host(table, visit_host, NULL);
	route_table_each_instance(table, visit_instance, NULL);
	return 0;
}
