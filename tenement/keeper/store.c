#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "keeper/keeper.h"
#include "mem.h"

struct stored {
	char *name;
	int fd;
	UT_hash_handle hh;
};
static struct stored *stored;

void store_put(const char *name, int fd)
{
	struct stored *entry;

	HASH_FIND_STR(stored, name, entry);
	if (entry) {
		close(entry->fd);
		entry->fd = fd;
		return;
	}
	entry = mem_alloc(sizeof(*entry));
	entry->name = mem_strdup(name);
	entry->fd = fd;
	HASH_ADD_KEYPTR(hh, stored, entry->name, strlen(entry->name), entry);
}

void store_drop(const char *name)
{
	struct stored *entry;

	HASH_FIND_STR(stored, name, entry);
	if (!entry)
		return;
	HASH_DEL(stored, entry);
	close(entry->fd);
	free(entry->name);
	free(entry);
}

int store_get(const char *name)
{
	struct stored *entry;

	HASH_FIND_STR(stored, name, entry);
	return entry ? entry->fd : -1;
}

void store_each(void (*visit)(void *data, const char *name, int fd), void *data)
{
	struct stored *entry, *next;

	HASH_ITER (hh, stored, entry, next)
		visit(data, entry->name, entry->fd);
}
