/*
 * A block of the store with anything in it: as it is packed, and, the first byte being odd, as what
 * was packed. What can be read of it lies within it; what was written is read back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "log_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* The lines of all chunks, written anew into OUT under number 7. */
static void read_all(const char *raw, size_t len, struct log_chunk *out)
{
	struct log_chunk_view view;
	struct log_line line;
	size_t at = 0;

	while (log_chunk_read(raw, len, &at, &view)) {
		require(at <= len);
		while (log_chunk_next(&view, &line)) {
			require(line.message >= raw && line.message + line.len < raw + len);
			require(!memchr(line.message, '\n', line.len));
			require(line.stream <= LOG_LINE_TENEMENT);
			if (!log_chunk_is_full(out))
				log_chunk_add(out, &line);
		}
	}
}

static void check_round(struct log_packer *packer, struct log_chunk *chunk)
{
	autotext struct text raw = { 0 };
	autotext struct text packed = { 0 };
	autotext struct text back = { 0 };
	struct log_chunk again = { 0 };
	uint32_t lines = chunk->lines;
	unsigned streams = chunk->streams;

	log_chunk_end(chunk, 7, &raw);
	log_block_pack(packer, raw.data, raw.len, &packed);
	require(log_block_unpack(packer, packed.data, packed.len, &back, NULL) == 0);
	require(back.len == raw.len && memcmp(back.data, raw.data, raw.len) == 0);
	read_all(back.data, back.len, &again);
	require(again.lines == lines && again.streams == streams);
	log_chunk_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_packer *packer = log_packer_new();
	struct log_chunk chunk = { 0 };
	autotext struct text raw = { 0 };

	if (size && data[0] & 1)
		read_all((const char *)data + 1, size - 1, &chunk);
	else if (size && log_block_unpack(packer, data + 1, size - 1, &raw, NULL) == 0)
		read_all(raw.data, raw.len, &chunk);
	if (chunk.lines)
		check_round(packer, &chunk);
	log_chunk_free(&chunk);
	log_packer_free(packer);
	return 0;
}
