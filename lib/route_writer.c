/*
 * The writing side of the routing table. What is free and what waits to be free is kept in the
 * writer's own memory; after a crash it is found again by walking the arena and keeping what is
 * reachable.
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
#include "route_layout.h"
#include "text.h"

#define SIZE_CLASSES  64
#define INDEX_MINIMUM 256

struct vector {
	uint64_t *values;
	size_t count, room;
};

struct retired {
	uint64_t offset;     /* of a block, or: */
	uint32_t slot;       /* when offset is 0 */
	uint64_t generation; /* reusable when every worker has acknowledged this */
};

struct route_writer {
	struct vector free_blocks[SIZE_CLASSES];
	struct vector free_slots;
	struct retired *retired;
	size_t retired_count, retired_room;
	uint64_t live_hosts;
	uint64_t used_entries; /* with tombstones */
	uint32_t next_slot;    /* slots from here on were never taken */
	bool changed;
};

static void vector_push(struct vector *vector, uint64_t value)
{
	if (vector->count == vector->room) {
		vector->room = vector->room ? vector->room * 2 : 16;
		vector->values = mem_resize(vector->values, vector->room, sizeof(uint64_t));
	}
	vector->values[vector->count++] = value;
}

static uint64_t next_generation(const struct route_table *table)
{
	return route_table_generation(table) + 1;
}

static void retire(struct route_table *table, uint64_t offset, uint32_t slot)
{
	struct route_writer *writer = table->writer;

	if (writer->retired_count == writer->retired_room) {
		writer->retired_room = writer->retired_room ? writer->retired_room * 2 : 64;
		writer->retired =
			mem_resize(writer->retired, writer->retired_room, sizeof(*writer->retired));
	}
	writer->retired[writer->retired_count++] =
		(struct retired){ offset, slot, next_generation(table) };
	writer->changed = true;
}

/* Sizes are multiples of 64 up to 2 KiB (classes 1-32), then powers of two. */
static uint64_t class_size(unsigned size_class)
{
	return size_class <= 32 ? size_class * 64ull : 2048ull << (size_class - 32);
}

static unsigned class_of(uint64_t size)
{
	unsigned size_class = (unsigned)((size + 63) / 64);

	if (size_class <= 32)
		return size_class;
	size_class = 33;
	while (class_size(size_class) < size)
		size_class++;
	return size_class;
}

static struct layout_block *block_at(const struct route_table *table, uint64_t offset)
{
	return (struct layout_block *)(table->base + offset);
}

/* A block for USED bytes of payload; 0 when the table is full. */
static uint64_t block_take(struct route_table *table, uint64_t used, struct ten_error *err)
{
	struct route_writer *writer = table->writer;
	unsigned size_class = class_of(used + sizeof(struct layout_block));
	struct vector *free_blocks = &writer->free_blocks[size_class];
	uint64_t size = class_size(size_class);
	uint64_t offset;

	if (free_blocks->count) {
		offset = free_blocks->values[--free_blocks->count];
	} else {
		offset = atomic_load(&table->header->arena_top);
		if (size > ROUTE_TABLE_BYTES - offset || size > UINT32_MAX) {
			ten_error_set(err, ENOSPC, "the routing table is full");
			return 0;
		}
		/* The size first: a walk after a crash between the two finds whole blocks. */
		block_at(table, offset)->size = (uint32_t)size;
		atomic_store_explicit(
			&table->header->arena_top, offset + size, memory_order_release);
	}
	block_at(table, offset)->used = (uint32_t)used;
	return offset;
}

static uint64_t block_write(
	struct route_table *table, const struct text *record, struct ten_error *err)
{
	uint64_t offset = block_take(table, record->len, err);

	if (offset)
		memcpy(block_at(table, offset) + 1, record->data, record->len);
	return offset;
}

static bool block_equals(
	const struct route_table *table, uint64_t offset, const struct text *record)
{
	uint32_t used;
	const void *payload = layout_payload(table, offset, &used);

	return payload && used == record->len && memcmp(payload, record->data, used) == 0;
}

/* ---- records under construction: a text whose beginning is the struct ---- */

static void record_begin(struct text *record, size_t bytes)
{
	static const char zeros[256];

	text_add(record, zeros, bytes);
}

static uint32_t record_add_string(struct text *record, const char *string)
{
	uint32_t at = (uint32_t)record->len;

	if (!string)
		return 0;
	text_add(record, string, strlen(string) + 1);
	return at;
}

static uint32_t record_add_array(struct text *record, const void *data, size_t bytes)
{
	static const char zeros[8];
	uint32_t at;

	text_add(record, zeros, (8 - record->len % 8) % 8);
	at = (uint32_t)record->len;
	text_add(record, data, bytes);
	return at;
}

/* ---- the index of hosts ---- */

static uint64_t entry_of(const struct record_host *host, uint64_t offset)
{
	return (host->hash >> 48) << 48 | offset;
}

static void index_insert(struct record_index *index, uint64_t hash, uint64_t entry)
{
	uint64_t mask = index->capacity - 1;
	uint64_t at = hash & mask;

	while (atomic_load_explicit(&index->entries[at], memory_order_relaxed))
		at = (at + 1) & mask;
	atomic_store_explicit(&index->entries[at], entry, memory_order_release);
}

/* A new index with room for one more host than there are, published by one store. */
static int index_rebuild(struct route_table *table, struct ten_error *err)
{
	struct route_writer *writer = table->writer;
	const struct record_index *old = layout_index(table);
	uint64_t old_offset = atomic_load(&table->header->index);
	uint64_t capacity = INDEX_MINIMUM;
	struct record_index *index;
	uint64_t offset;

	while (capacity < (writer->live_hosts + 1) * 2)
		capacity *= 2;
	offset = block_take(table, sizeof(*index) + capacity * sizeof(uint64_t), err);
	if (!offset)
		return -1;
	index = (struct record_index *)(block_at(table, offset) + 1);
	memset(index->entries, 0, capacity * sizeof(uint64_t));
	index->capacity = capacity;
	for (uint64_t i = 0; old && i < old->capacity; i++) {
		uint64_t entry = atomic_load(&old->entries[i]);
		const struct record_host *host;
		uint32_t used;

		if (!entry || entry == LAYOUT_TOMBSTONE)
			continue;
		host = layout_payload(table, entry & LAYOUT_OFFSET_MASK, &used);
		if (host)
			index_insert(index, host->hash, entry);
	}
	atomic_store_explicit(&table->header->index, offset, memory_order_seq_cst);
	writer->used_entries = writer->live_hosts;
	if (old)
		retire(table, old_offset, 0);
	return 0;
}

static int host_publish(struct route_table *table, const struct text *record, struct ten_error *err)
{
	const struct record_host *host = (const struct record_host *)record->data;
	struct record_index *index = (struct record_index *)layout_index(table);
	uint64_t offset, place, old;

	if (layout_find(
		    table, index, record->data + host->name, host->name_len, host->hash, &place)) {
		old = atomic_load(&index->entries[place]);
		if (block_equals(table, old & LAYOUT_OFFSET_MASK, record))
			return 0;
		offset = block_write(table, record, err);
		if (!offset)
			return -1;
		atomic_store_explicit(
			&index->entries[place], entry_of(host, offset), memory_order_seq_cst);
		retire(table, old & LAYOUT_OFFSET_MASK, 0);
		return 0;
	}
	if ((table->writer->used_entries + 1) * 10 > index->capacity * 7) {
		if (index_rebuild(table, err) < 0)
			return -1;
		index = (struct record_index *)layout_index(table);
	}
	offset = block_write(table, record, err);
	if (!offset)
		return -1;
	index_insert(index, host->hash, entry_of(host, offset));
	table->writer->live_hosts++;
	table->writer->used_entries++;
	table->writer->changed = true;
	return 0;
}

static int add_targets(struct text *record, const struct route_put *put, struct ten_error *err)
{
	struct route_weighted_target target = { 0 };
	uint32_t divisor = 0, count = 0, at = 0;

	for (uint32_t i = 0; i < put->target_count; i++) {
		uint32_t a = put->weights[i], b = divisor;

		while (a) {
			uint32_t rest = b % a;

			b = a;
			a = rest;
		}
		divisor = b;
	}
	for (uint32_t i = 0; i < put->target_count; i++) {
		if (!put->weights[i])
			continue;
		target.target = put->targets[i];
		target.weight = put->weights[i] / divisor;
		if (__builtin_add_overflow(target.cumulative, target.weight, &target.cumulative))
			return ten_error_set(
				err, ERANGE, "the weights of \"%s\" add up to too much", put->name);
		if (!count++)
			at = record_add_array(record, &target, sizeof(target));
		else
			text_add(record, (const char *)&target, sizeof(target));
	}
	((struct record_host *)record->data)->targets = at;
	((struct record_host *)record->data)->target_count = count;
	return 0;
}

static void add_paths(struct text *record, const struct route_put *put)
{
	autofree struct record_path *paths = mem_alloc((put->path_count + 1) * sizeof(*paths));
	uint32_t at;

	for (uint32_t i = 0; i < put->path_count; i++) {
		paths[i].prefix = record_add_string(record, put->paths[i].prefix);
		paths[i].host = record_add_string(record, put->paths[i].host);
	}
	at = record_add_array(record, paths, put->path_count * sizeof(*paths));
	((struct record_host *)record->data)->paths = at;
	((struct record_host *)record->data)->path_count = put->path_count;
}

int route_table_put_host(
	struct route_table *table, const struct route_put *put, struct ten_error *err)
{
	struct text record __attribute__((cleanup(text_free))) = { 0 };
	size_t name_len = strlen(put->name);
	uint32_t name, service, default_host;
	struct record_host *host;

	if (name_len > ROUTE_HOST_MAX)
		return ten_error_set(err, 0, "host name \"%s\" is longer than %d bytes", put->name,
			ROUTE_HOST_MAX);
	record_begin(&record, sizeof(*host));
	name = record_add_string(&record, put->name);
	service = record_add_string(&record, put->service);
	default_host = record_add_string(&record, put->default_host);
	if (put->kind == ROUTE_WEIGHTED && add_targets(&record, put, err) < 0)
		return -1;
	if (put->kind == ROUTE_ROOT)
		add_paths(&record, put);
	host = (struct record_host *)record.data;
	host->hash = layout_hash(put->name, name_len);
	host->kind = put->kind;
	host->counter = put->counter;
	host->target = put->target;
	host->name = name;
	host->name_len = (uint32_t)name_len;
	host->service = service;
	host->default_host = default_host;
	return host_publish(table, &record, err);
}

void route_table_remove_host(struct route_table *table, const char *name)
{
	struct record_index *index = (struct record_index *)layout_index(table);
	size_t len = strlen(name);
	uint64_t place, old;

	if (!layout_find(table, index, name, len, layout_hash(name, len), &place))
		return;
	old = atomic_load(&index->entries[place]);
	atomic_store_explicit(&index->entries[place], LAYOUT_TOMBSTONE, memory_order_seq_cst);
	table->writer->live_hosts--;
	retire(table, old & LAYOUT_OFFSET_MASK, 0);
}

/* Publish RECORD at *PLACE and retire what was there. */
static int single_publish(struct route_table *table, _Atomic uint64_t *place,
	const struct text *record, struct ten_error *err)
{
	uint64_t old = atomic_load(place);
	uint64_t offset;

	if (old && block_equals(table, old, record))
		return 0;
	offset = block_write(table, record, err);
	if (!offset)
		return -1;
	atomic_store_explicit(place, offset, memory_order_seq_cst);
	table->writer->changed = true;
	if (old)
		retire(table, old, 0);
	return 0;
}

int route_table_put_instance(
	struct route_table *table, const struct route_instance *instance, struct ten_error *err)
{
	struct text record __attribute__((cleanup(text_free))) = { 0 };
	uint32_t name, socket_path, page;

	record_begin(&record, sizeof(struct record_instance));
	name = record_add_string(&record, instance->name);
	socket_path = record_add_string(&record, instance->socket_path);
	page = record_add_string(&record, instance->suspended_page);
	*(struct record_instance *)record.data = (struct record_instance){
		.self = instance->self,
		.name = name,
		.socket_path = socket_path,
		.uid = instance->uid,
		.port = instance->port,
		.wake_queue = instance->wake_queue,
		.wait_ms = instance->wait_ms,
		.request_timeout_ms = instance->request_timeout_ms,
		.stream_idle_timeout_ms = instance->stream_idle_timeout_ms,
		.upgraded_idle_timeout_ms = instance->upgraded_idle_timeout_ms,
		.suspended_status = instance->suspended_status,
		.suspended_page = page,
		.max_body_bytes = instance->max_body_bytes,
	};
	return single_publish(table, &table->slots[instance->self.slot].instance, &record, err);
}

int route_table_put_settings(
	struct route_table *table, const struct route_put_settings *put, struct ten_error *err)
{
	struct text record __attribute__((cleanup(text_free))) = { 0 };
	autofree struct record_page *pages =
		mem_alloc((put->error_page_count + 1) * sizeof(*pages));
	uint32_t domain, cidrs, page_array;

	record_begin(&record, sizeof(struct record_settings));
	domain = record_add_string(&record, put->base.domain);
	cidrs = record_add_array(&record, put->base.trusted_proxies,
		put->base.trusted_proxy_count * sizeof(struct route_cidr));
	for (uint32_t i = 0; i < put->error_page_count; i++) {
		pages[i].status = put->error_pages[i].status;
		pages[i].html = record_add_string(&record, put->error_pages[i].html);
	}
	page_array = record_add_array(&record, pages, put->error_page_count * sizeof(*pages));
	*(struct record_settings *)record.data = (struct record_settings){
		.domain = domain,
		.max_header_bytes = put->base.max_header_bytes,
		.max_headers = put->base.max_headers,
		.client_header_timeout_ms = put->base.client_header_timeout_ms,
		.client_body_timeout_ms = put->base.client_body_timeout_ms,
		.keepalive_timeout_ms = put->base.keepalive_timeout_ms,
		.trusted_proxies = cidrs,
		.trusted_proxy_count = put->base.trusted_proxy_count,
		.error_pages = page_array,
		.error_page_count = put->error_page_count,
		.ready = put->base.ready,
	};
	return single_publish(table, &table->header->settings, &record, err);
}

/* ---- slots ---- */

int route_table_slot_take(
	struct route_table *table, struct route_target *target, struct ten_error *err)
{
	struct route_writer *writer = table->writer;
	uint32_t incarnation;

	if (writer->free_slots.count)
		target->slot = (uint32_t)writer->free_slots.values[--writer->free_slots.count];
	else if (writer->next_slot < ROUTE_SLOTS_MAX)
		target->slot = writer->next_slot++;
	else
		return ten_error_set(
			err, ENOSPC, "%d tenants are the most one daemon holds", ROUTE_SLOTS_MAX);
	incarnation = layout_incarnation(atomic_load(&table->slots[target->slot].word));
	if (!incarnation)
		incarnation = 1;
	target->incarnation = incarnation;
	atomic_store(
		&table->slots[target->slot].word, layout_word(incarnation, 1, INSTANCE_ASLEEP));
	return 0;
}

void route_table_slot_give_back(struct route_table *table, struct route_target target)
{
	struct layout_slot *slot = &table->slots[target.slot];
	uint64_t record = atomic_load(&slot->instance);

	/* The word first: from here on the old incarnation is nobody's. */
	atomic_store(&slot->word, layout_word(target.incarnation + 1, 0, INSTANCE_ASLEEP));
	atomic_store(&slot->instance, 0);
	if (record)
		retire(table, record, 0);
	retire(table, 0, target.slot);
}

void route_table_set_state(
	struct route_table *table, struct route_target target, enum instance_state state)
{
	atomic_store_explicit(&table->slots[target.slot].word,
		layout_word(target.incarnation, 1, state), memory_order_seq_cst);
}

/* ---- generations ---- */

uint64_t route_table_seal_generation(struct route_table *table)
{
	uint64_t generation = route_table_generation(table);

	if (!table->writer->changed)
		return generation;
	table->writer->changed = false;
	atomic_store_explicit(&table->header->generation, generation + 1, memory_order_seq_cst);
	return generation + 1;
}

void route_table_reclaim(struct route_table *table, uint64_t generation)
{
	struct route_writer *writer = table->writer;
	size_t kept = 0;

	for (size_t i = 0; i < writer->retired_count; i++) {
		struct retired *retired = &writer->retired[i];

		if (retired->generation > generation)
			writer->retired[kept++] = *retired;
		else if (retired->offset)
			vector_push(&writer->free_blocks[class_of(
					    block_at(table, retired->offset)->size)],
				retired->offset);
		else
			vector_push(&writer->free_slots, retired->slot);
	}
	writer->retired_count = kept;
}

/* ---- beginning ---- */

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
	vector_push(live, atomic_load(&table->header->index));
	for (uint64_t i = 0; i < index->capacity; i++) {
		uint64_t entry = atomic_load(&index->entries[i]);

		if (!entry)
			continue;
		table->writer->used_entries++;
		if (entry == LAYOUT_TOMBSTONE)
			continue;
		table->writer->live_hosts++;
		vector_push(live, entry & LAYOUT_OFFSET_MASK);
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
			retire(table, 0, i);
		} else if (atomic_load(&table->slots[i].instance)) {
			vector_push(live, atomic_load(&table->slots[i].instance));
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
		uint32_t size = block_at(table, offset)->size;

		if (size < 64 || size % 64 || size > top - offset ||
			class_size(class_of(size)) != size)
			return ten_error_set(err, 0, "routing table: damaged at %llu",
				(unsigned long long)offset);
		while (next < live->count && live->values[next] < offset)
			next++;
		if (next == live->count || live->values[next] != offset)
			retire(table, offset, 0);
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
		vector_push(&live, settings);
	if (live.count)
		qsort(live.values, live.count, sizeof(*live.values), compare_offsets);
	rc = walk_arena(table, &live, err);
	free(live.values);
	if (rc == 0 && !layout_index(table))
		rc = index_rebuild(table, err);
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
