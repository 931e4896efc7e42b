/*
 * The writing side of the routing table: building records and publishing them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "route_arena.h"
#include "text.h"

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
int route_index_rebuild(struct route_table *table, struct ten_error *err)
{
	struct route_writer *writer = table->writer;
	const struct record_index *old = layout_index(table);
	uint64_t old_offset = atomic_load(&table->header->index);
	uint64_t capacity = INDEX_MINIMUM;
	struct record_index *index;
	uint64_t offset;

	while (capacity < (writer->live_hosts + 1) * 2)
		capacity *= 2;
	offset = arena_take(table, sizeof(*index) + capacity * sizeof(uint64_t), err);
	if (!offset)
		return -1;
	index = (struct record_index *)(arena_block(table, offset) + 1);
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
		arena_retire(table, old_offset, 0);
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
		if (arena_equals(table, old & LAYOUT_OFFSET_MASK, record))
			return 0;
		offset = arena_write(table, record, err);
		if (!offset)
			return -1;
		atomic_store_explicit(
			&index->entries[place], entry_of(host, offset), memory_order_seq_cst);
		arena_retire(table, old & LAYOUT_OFFSET_MASK, 0);
		return 0;
	}
	if ((table->writer->used_entries + 1) * 10 > index->capacity * 7) {
		if (route_index_rebuild(table, err) < 0)
			return -1;
		index = (struct record_index *)layout_index(table);
	}
	offset = arena_write(table, record, err);
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
		target.tag = put->tags ? put->tags[i] : 0;
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
	autotext struct text record = { 0 };
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
	host->sticky = put->sticky;
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
	arena_retire(table, old & LAYOUT_OFFSET_MASK, 0);
}

/* ---- which requests wake ---- */

int route_table_put_wake(struct route_table *table, const char *name, const struct route_wake *wake,
	struct ten_error *err)
{
	autotext struct text record = { 0 };
	char key[ROUTE_HOST_MAX + 1];
	size_t key_len = layout_wake_name(key, name, strlen(name));
	uint32_t key_at, health, rules, text;

	if (!key_len)
		return ten_error_set(
			err, 0, "\"%s\" is longer than %d bytes", name, ROUTE_HOST_MAX);
	record_begin(&record, sizeof(struct record_wake));
	key_at = record_add_string(&record, key);
	health = record_add_string(&record, wake->health);
	rules = record_add_array(
		&record, wake->rules.rules, wake->rules.count * sizeof(*wake->rules.rules));
	text = record_add_array(&record, wake->rules.text, wake->rules.text_len);
	*(struct record_wake *)record.data = (struct record_wake){
		.host = { .hash = layout_hash(key, key_len),
			.kind = ROUTE_WAKE,
			.name = key_at,
			.name_len = (uint32_t)key_len },
		.rules = rules,
		.rule_count = wake->rules.count,
		.text = text,
		.text_len = wake->rules.text_len,
		.health = health,
		.per_minute = wake->per_minute,
		.counter = wake->counter,
	};
	return host_publish(table, &record, err);
}

void route_table_remove_wake(struct route_table *table, const char *name)
{
	char key[ROUTE_HOST_MAX + 1];

	if (layout_wake_name(key, name, strlen(name)))
		route_table_remove_host(table, key);
}

/* Publish RECORD at *PLACE and retire what was there. */
static int single_publish(struct route_table *table, _Atomic uint64_t *place,
	const struct text *record, struct ten_error *err)
{
	uint64_t old = atomic_load(place);
	uint64_t offset;

	if (old && arena_equals(table, old, record))
		return 0;
	offset = arena_write(table, record, err);
	if (!offset)
		return -1;
	atomic_store_explicit(place, offset, memory_order_seq_cst);
	table->writer->changed = true;
	if (old)
		arena_retire(table, old, 0);
	return 0;
}

int route_table_put_instance(
	struct route_table *table, const struct route_instance *instance, struct ten_error *err)
{
	autotext struct text record = { 0 };
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
		.address = instance->address,
		.wake_queue = instance->wake_queue,
		.wait_ms = instance->wait_ms,
		.request_timeout_ms = instance->request_timeout_ms,
		.stream_idle_timeout_ms = instance->stream_idle_timeout_ms,
		.upgraded_idle_timeout_ms = instance->upgraded_idle_timeout_ms,
		.suspended_status = instance->suspended_status,
		.suspended_page = page,
		.access_log = (uint8_t)instance->access_log,
		.log = instance->log,
		.retry_at_ms = instance->retry_at_ms,
		.max_body_bytes = instance->max_body_bytes,
		.rate_interval_ns = instance->rate_interval_ns,
		.rate_burst = instance->rate_burst,
		.max_concurrent = instance->max_concurrent,
		.queue_size = instance->queue_size,
		.queue_timeout_ms = instance->queue_timeout_ms,
		.max_connections = instance->max_connections,
		.server_timing = instance->server_timing,
		.ping_is_quiet = instance->ping_is_quiet,
		.wake = (uint8_t)instance->wake,
	};
	return single_publish(table, &table->slots[instance->self.slot].instance, &record, err);
}

int route_table_put_settings(
	struct route_table *table, const struct route_put_settings *put, struct ten_error *err)
{
	autotext struct text record = { 0 };
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
		.max_connections_per_ip = put->base.max_connections_per_ip,
		.max_wakes_per_minute_per_ip = put->base.max_wakes_per_minute_per_ip,
		.upgrade_drain_timeout_ms = put->base.upgrade_drain_timeout_ms,
		.trace = put->base.trace,
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
		arena_retire(table, record, 0);
	arena_retire(table, 0, target.slot);
}

void route_table_set_state(
	struct route_table *table, struct route_target target, enum instance_state state)
{
	atomic_store_explicit(&table->slots[target.slot].word,
		layout_word(target.incarnation, 1, state), memory_order_seq_cst);
}
