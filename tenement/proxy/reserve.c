#include "reserve.h"

#include <ev.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Twice what the loop's arrays take for 64 Ki descriptors. Never touched: address space alone. */
#define RESERVE_BYTES (4 << 20)

static void *reserve = MAP_FAILED;

static void reserve_fill(void)
{
	if (reserve == MAP_FAILED)
		reserve = mmap(NULL, RESERVE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static void *loop_realloc(void *memory, long size)
{
	void *made;

	if (!size) {
		free(memory);
		return NULL;
	}
	made = realloc(memory, (size_t)size);
	if (!made && reserve != MAP_FAILED) {
		munmap(reserve, RESERVE_BYTES);
		reserve = MAP_FAILED;
		return realloc(memory, (size_t)size);
	}
	reserve_fill();
	return made;
}

void reserve_init(void)
{
	reserve_fill();
	ev_set_allocator(loop_realloc);
}
