/*
 * Making a routing table, and taking over one that an earlier writer left: what is free is found by
 * walking the arena and keeping what is reachable.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"
#include "route_arena.h"

int route_table_create(struct route_table **table, int *fd, struct ten_error *err)
{
	autoclose int memory = memfd_create("tenement-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct layout_header header = {
		.magic = LAYOUT_MAGIC,
		.version = ROUTE_TABLE_VERSION,
		.bytes = ROUTE_TABLE_BYTES,
		.generation = 1,
		.arena_top = LAYOUT_ARENA,
	};

	if (memory < 0)
		return ten_error_set(err, errno, "routing table: memfd_create");
	/* The mode, lest who holds a reader's descriptor open it for writing by /proc/self/fd. */
	if (fchmod(memory, 0600) < 0 || ftruncate(memory, (off_t)ROUTE_TABLE_BYTES) < 0 ||
		fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
		pwrite(memory, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return ten_error_set(err, errno, "routing table");
	if (route_table_attach(table, memory, err) < 0)
		return -1;
	*fd = fd_steal(&memory);
	return 0;
}

int route_table_reader_fd(int fd, struct ten_error *err)
{
	char path[64];
	int reader;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	if (reader < 0)
		return ten_error_set(err, errno, "routing table: %s", path);
	return reader;
}

static int compare_offsets(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void find_live_hosts(struct route_table *table, struct vector *live)
{
	const struct record_index *index = layout_index(table);

	if (!index)
		return;
	arena_vector_push(live, atomic_load(&table->header->index));
	for (uint64_t i = 0; i < index->capacity; i++) {
		uint64_t entry = atomic_load(&index->entries[i]);

		if (!entry)
			continue;
		table->writer->used_entries++;
		if (entry == LAYOUT_TOMBSTONE)
			continue;
		table->writer->live_hosts++;
		arena_vector_push(live, entry & LAYOUT_OFFSET_MASK);
	}
}

/* Slots that a dead writer had in hand, taken but without a record, go back. */
static void find_live_slots(struct route_table *table, struct vector *live)
{
	uint32_t end = 0;

	for (uint32_t i = 0; i < ROUTE_SLOTS_MAX; i++) {
		uint64_t word = atomic_load(&table->slots[i].word);

		if (!word) /* slots are taken in order, so what follows was never used */
			break;
		end = i + 1;
		if (!layout_taken(word)) {
			/* Its record is left where the writer was killed while it gave it back. */
			atomic_store(&table->slots[i].instance, 0);
			arena_retire(table, 0, i);
		} else if (atomic_load(&table->slots[i].instance)) {
			arena_vector_push(live, atomic_load(&table->slots[i].instance));
		}
	}
	table->writer->next_slot = end;
	for (uint32_t i = 0; i < end; i++) {
		uint64_t word = atomic_load(&table->slots[i].word);

		if (layout_taken(word) && !atomic_load(&table->slots[i].instance))
			route_table_slot_give_back(
				table, (struct route_target){ i, layout_incarnation(word) });
	}
}

static int walk_arena(struct route_table *table, const struct vector *live, struct ten_error *err)
{
	uint64_t top = atomic_load(&table->header->arena_top);
	size_t next = 0;

	for (uint64_t offset = LAYOUT_ARENA; offset < top;) {
		uint32_t size = arena_block(table, offset)->size;

		if (size < 64 || size % 64 || size > top - offset ||
			arena_class_size(arena_class_of(size)) != size)
			return ten_error_set(err, 0, "routing table: damaged at %llu",
				(unsigned long long)offset);
		while (next < live->count && live->values[next] < offset)
			next++;
		if (next == live->count || live->values[next] != offset)
			arena_retire(table, offset, 0);
		offset += size;
	}
	return 0;
}

int route_table_attach(struct route_table **result, int fd, struct ten_error *err)
{
	struct vector live = { 0 };
	struct route_table *table;
	uint64_t settings;
	int rc;

	if (layout_map(&table, fd, PROT_READ | PROT_WRITE, err) < 0)
		return -1;
	table->writer = mem_alloc(sizeof(*table->writer));
	find_live_hosts(table, &live);
	find_live_slots(table, &live);
	settings = atomic_load(&table->header->settings);
	if (settings)
		arena_vector_push(&live, settings);
	if (live.count)
		qsort(live.values, live.count, sizeof(*live.values), compare_offsets);
	rc = walk_arena(table, &live, err);
	free(live.values);
	if (rc == 0 && !layout_index(table))
		rc = route_index_rebuild(table, err);
	if (rc < 0) {
		route_table_close(table);
		return -1;
	}
	*result = table;
	return 0;
}

void route_table_close(struct route_table *table)
{
	if (!table)
		return;
	if (table->writer) {
		for (int i = 0; i < SIZE_CLASSES; i++)
			free(table->writer->free_blocks[i].values);
		free(table->writer->free_slots.values);
		free(table->writer->retired);
		free(table->writer);
	}
	munmap(table->base, ROUTE_TABLE_BYTES);
	free(table);
}

void route_table_each_host(
	const struct route_table *table, void (*visit)(void *data, const char *name), void *data)
{
	const struct record_index *index = layout_index(table);

	for (uint64_t i = 0; index && i < index->capacity; i++) {
		uint64_t entry = atomic_load(&index->entries[i]);
		const struct record_host *host;
		const char *name;
		uint32_t used;

		if (!entry || entry == LAYOUT_TOMBSTONE)
			continue;
		host = layout_payload(table, entry & LAYOUT_OFFSET_MASK, &used);
		name = host && used >= sizeof(*host) ? layout_string(host, used, host->name) : NULL;
		if (name)
			visit(data, name);
	}
}

void route_table_each_instance(const struct route_table *table,
	void (*visit)(void *data, const struct route_instance *instance), void *data)
{
	for (uint32_t i = 0; i < ROUTE_SLOTS_MAX; i++) {
		uint64_t word = atomic_load(&table->slots[i].word);
		struct route_instance instance;

		if (!word)
			break;
		if (route_table_instance(
			    table, (struct route_target){ i, layout_incarnation(word) }, &instance))
			visit(data, &instance);
	}
}
