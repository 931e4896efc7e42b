#include "reserve.h"

#include <ev.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The loop's arrays double: for 64 Ki descriptors all their sizes together are less. What has not
 * been used is address space alone. */
#define RESERVE_BYTES (8u << 20)

struct block {
	size_t size;
	max_align_t data[];
};

static char *reserve;
static size_t used;

static bool is_reserved(const void *memory)
{
	return reserve && (const char *)memory >= reserve &&
	       (const char *)memory < reserve + RESERVE_BYTES;
}

static size_t size_of(void *memory)
{
	if (!is_reserved(memory))
		return malloc_usable_size(memory);
	return ((struct block *)((char *)memory - offsetof(struct block, data)))->size;
}

/* It is not taken back: nothing ever asks often. */
static void *reserve_take(size_t size)
{
	size_t whole = (offsetof(struct block, data) + size + 15) & ~(size_t)15;
	struct block *block;

	if (!reserve || whole > RESERVE_BYTES - used)
		return NULL;
	block = (struct block *)(reserve + used);
	used += whole;
	block->size = size;
	return block->data;
}

static void *loop_realloc(void *memory, long size)
{
	bool reserved = is_reserved(memory);
	size_t wanted = (size_t)size;
	size_t old = memory ? size_of(memory) : 0;
	void *made = NULL;

	if (wanted)
		made = reserved ? malloc(wanted) : realloc(memory, wanted);
	if (made && !reserved)
		return made;
	if (wanted && !made)
		made = reserve_take(wanted);
	if (made && old)
		memcpy(made, memory, old < wanted ? old : wanted);
	/* A refused realloc() has left it as it was. */
	if (!reserved && (made || !wanted))
		free(memory);
	return made;
}

void reserve_init(void)
{
	void *mapped = mmap(NULL, RESERVE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	reserve = mapped == MAP_FAILED ? NULL : mapped;
	ev_set_allocator(loop_realloc);
}
