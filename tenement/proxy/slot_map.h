/*
 * What a worker keeps per slot of the table, found by its number, in the order in which it was
 * made. To be refused memory is no reason to end: nothing is made then.
 */
#ifndef TEN_PROXY_SLOT_MAP_H
#define TEN_PROXY_SLOT_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

/* Stands first in what is kept. A map is a pointer to one, NULL at first; to walk it, use
 * HASH_ITER(). */
struct slot_entry {
	UT_hash_handle hh;
	uint32_t slot;
};

/* NULL: there is none for SLOT. */
void *slot_map_find(struct slot_entry *map, uint32_t slot);

/* The one of SLOT, made of BYTES of zeros where there is none yet. NULL: out of memory. */
void *slot_map_make(struct slot_entry **map, uint32_t slot, size_t bytes);

/* Take ENTRY out and free it. */
void slot_map_drop(struct slot_entry **map, struct slot_entry *entry);

#endif
