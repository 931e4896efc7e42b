/*
 * Lines in the store (log_db.h). A *chunk* is what a tenant wrote in a quarter of a second or so,
 *under one number; a *block* is some chunks of a tenant, one after another, compressed together.
 *
 *	chunk: seq u64, base_ms i64, lines u32, metas u32, text u32 (little-endian), metas, text
 *
 * Text is the messages, each with a newline. Of metas there is one per line, a varint: the zigzag
 *of its time less that of the line before, << 3, | 4 when it is unfinished, | the stream.
 */
#ifndef TEN_LOG_BLOCK_H
#define TEN_LOG_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "log_line.h"
#include "text.h"

#define LOG_CHUNK_LINES   16384 /* at the most: what a cursor has room for */
#define LOG_CHUNK_BYTES   (64u << 10)
#define LOG_BLOCK_RAW_MAX (1u << 20)

/* A cursor names a line by its chunk and its place in there. */
static inline uint64_t log_cursor(uint64_t seq, uint32_t index)
{
	return seq * LOG_CHUNK_LINES + index;
}

static inline uint64_t log_cursor_seq(uint64_t cursor)
{
	return cursor / LOG_CHUNK_LINES;
}

/* ---- writing ---- */

/* `struct log_chunk c = { 0 };` is empty. */
struct log_chunk {
	struct text metas;
	struct text text;
	uint32_t lines;
	unsigned streams; /* bits: 1 << stream */
	int64_t base_ms;
	int64_t time_ms; /* of the last line */
	int64_t first_ms, last_ms;
};

/* Whether it is to be ended before another line comes. */
bool log_chunk_is_full(const struct log_chunk *chunk);
void log_chunk_add(struct log_chunk *chunk, const struct log_line *line);

/* Append it to OUT under the number SEQ, and begin anew. */
void log_chunk_end(struct log_chunk *chunk, uint64_t seq, struct text *out);
void log_chunk_reset(struct log_chunk *chunk);
void log_chunk_free(struct log_chunk *chunk);

struct log_packer; /* memory of the compressor */

struct log_packer *log_packer_new(void);
void log_packer_free(struct log_packer *packer);

/* Compress LEN bytes of chunks; OUT is emptied before. */
void log_block_pack(struct log_packer *packer, const char *raw, size_t len, struct text *out);

/* ---- reading ---- */

/* The reverse. OUT is emptied before. */
int log_block_unpack(struct log_packer *packer, const void *packed, size_t len, struct text *out,
	struct ten_error *err);

struct log_chunk_view {
	uint64_t seq;
	int64_t base_ms;
	uint32_t lines;
	const uint8_t *metas;
	const uint8_t *metas_end;
	const char *text;
	size_t text_len;
};

/* The chunk at *AT of LEN bytes of them, and *AT behind it. False: there is none, or, with *at <
 * len, it is damaged. */
bool log_chunk_read(const char *raw, size_t len, size_t *at, struct log_chunk_view *view);

/* The line that VIEW is at, and VIEW behind it. False: there is none, or, with view->lines > 0, it
 * is damaged. */
bool log_chunk_next(struct log_chunk_view *view, struct log_line *line);

#endif
