#define HASH_NONFATAL_OOM 1
#include "slot_map.h"

#include <stdlib.h>

void *slot_map_find(struct slot_entry *map, uint32_t slot)
{
	struct slot_entry *found;

	if (!map) /* most of the time, for most maps: do not even hash */
		return NULL;
	HASH_FIND_INT(map, &slot, found);
	return found;
}

void *slot_map_make(struct slot_entry **map, uint32_t slot, size_t bytes)
{
	struct slot_entry *made = slot_map_find(*map, slot);

	if (made)
		return made;
	made = calloc(1, bytes);
	if (!made)
		return NULL;
	made->slot = slot;
	HASH_ADD_INT(*map, slot, made);
	if (!made->hh.tbl) { /* no memory for the table itself */
		free(made);
		return NULL;
	}
	return made;
}

void slot_map_drop(struct slot_entry **map, struct slot_entry *entry)
{
	HASH_DEL(*map, entry);
	free(entry);
}
