#include "route_arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

void arena_vector_push(struct vector *vector, uint64_t value)
{
	if (vector->count == vector->room) {
		vector->room = vector->room ? vector->room * 2 : 16;
		vector->values = mem_resize(vector->values, vector->room, sizeof(uint64_t));
	}
	vector->values[vector->count++] = value;
}

static uint64_t arena_next_generation(const struct route_table *table)
{
	return route_table_generation(table) + 1;
}

void arena_retire(struct route_table *table, uint64_t offset, uint32_t slot)
{
	struct route_writer *writer = table->writer;

	if (writer->retired_count == writer->retired_room) {
		writer->retired_room = writer->retired_room ? writer->retired_room * 2 : 64;
		writer->retired =
			mem_resize(writer->retired, writer->retired_room, sizeof(*writer->retired));
	}
	writer->retired[writer->retired_count++] =
		(struct retired){ offset, slot, arena_next_generation(table) };
	writer->changed = true;
}

/* Sizes are multiples of 64 up to 2 KiB (classes 1-32), then powers of two. */
uint64_t arena_class_size(unsigned size_class)
{
	return size_class <= 32 ? size_class * 64ull : 2048ull << (size_class - 32);
}

unsigned arena_class_of(uint64_t size)
{
	unsigned size_class = (unsigned)((size + 63) / 64);

	if (size_class <= 32)
		return size_class;
	size_class = 33;
	while (arena_class_size(size_class) < size)
		size_class++;
	return size_class;
}

struct layout_block *arena_block(const struct route_table *table, uint64_t offset)
{
	return (struct layout_block *)(table->base + offset);
}

/* A block for USED bytes of payload; 0 when the table is full. */
uint64_t arena_take(struct route_table *table, uint64_t used, struct ten_error *err)
{
	struct route_writer *writer = table->writer;
	unsigned size_class = arena_class_of(used + sizeof(struct layout_block));
	struct vector *free_blocks = &writer->free_blocks[size_class];
	uint64_t size = arena_class_size(size_class);
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
		arena_block(table, offset)->size = (uint32_t)size;
		atomic_store_explicit(
			&table->header->arena_top, offset + size, memory_order_release);
	}
	arena_block(table, offset)->used = (uint32_t)used;
	return offset;
}

uint64_t arena_write(struct route_table *table, const struct text *record, struct ten_error *err)
{
	uint64_t offset = arena_take(table, record->len, err);

	if (offset)
		memcpy(arena_block(table, offset) + 1, record->data, record->len);
	return offset;
}

bool arena_equals(const struct route_table *table, uint64_t offset, const struct text *record)
{
	uint32_t used;
	const void *payload = layout_payload(table, offset, &used);

	return payload && used == record->len && memcmp(payload, record->data, used) == 0;
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
			arena_vector_push(&writer->free_blocks[arena_class_of(
						  arena_block(table, retired->offset)->size)],
				retired->offset);
		else
			arena_vector_push(&writer->free_slots, retired->slot);
	}
	writer->retired_count = kept;
}
