/*
 * The writer's memory of the arena: what is free, what waits to be free until every worker has seen
 * that it is gone, and taking blocks. Shared by the writing parts of the routing table alone.
 */
#ifndef TEN_ROUTE_ARENA_H
#define TEN_ROUTE_ARENA_H

#include <stdbool.h>
#include <stdint.h>

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

void arena_vector_push(struct vector *vector, uint64_t value);

/* Sizes of blocks come in classes. */
uint64_t arena_class_size(unsigned size_class);
unsigned arena_class_of(uint64_t size);

struct layout_block *arena_block(const struct route_table *table, uint64_t offset);

/* A block for USED bytes of payload; 0 when the table is full. */
uint64_t arena_take(struct route_table *table, uint64_t used, struct ten_error *err);
/* One with RECORD in it. */
uint64_t arena_write(struct route_table *table, const struct text *record, struct ten_error *err);
bool arena_equals(const struct route_table *table, uint64_t offset, const struct text *record);

/* The block at OFFSET, or with 0 the slot SLOT, is out of use from the generation on that is sealed
 * next. */
void arena_retire(struct route_table *table, uint64_t offset, uint32_t slot);

/* A new index with room for one more host than there are, published by one store. */
int route_index_rebuild(struct route_table *table, struct ten_error *err);

#endif
