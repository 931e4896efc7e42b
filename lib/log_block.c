#include "log_block.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "mem.h"

#define HEADER      28
#define LEVEL       1
#define UNFINISHED  4u
#define STREAM_MASK 3u

struct log_packer {
	ZSTD_CCtx *in;
	ZSTD_DCtx *out;
};

bool log_chunk_is_full(const struct log_chunk *chunk)
{
	return chunk->lines >= LOG_CHUNK_LINES - 1 || /* one of ours may come along */
	       chunk->text.len + chunk->metas.len >= LOG_CHUNK_BYTES;
}

static void add_varint(struct text *out, uint64_t value)
{
	char bytes[10];
	size_t len = 0;

	while (value >= 0x80) {
		bytes[len++] = (char)(value | 0x80);
		value >>= 7;
	}
	bytes[len++] = (char)value;
	text_add(out, bytes, len);
}

void log_chunk_add(struct log_chunk *chunk, const struct log_line *line)
{
	int64_t delta;

	if (!chunk->lines)
		chunk->base_ms = chunk->time_ms = chunk->first_ms = chunk->last_ms = line->time_ms;
	delta = (int64_t)((uint64_t)line->time_ms - (uint64_t)chunk->time_ms);
	add_varint(&chunk->metas, (((uint64_t)delta << 1) ^ (uint64_t)(delta >> 63)) << 3 |
					  (line->unfinished ? UNFINISHED : 0) |
					  (uint64_t)line->stream);
	text_add(&chunk->text, line->message, line->len);
	text_add(&chunk->text, "\n", 1);
	chunk->lines++;
	chunk->streams |= 1u << line->stream;
	chunk->time_ms = line->time_ms;
	if (line->time_ms < chunk->first_ms)
		chunk->first_ms = line->time_ms;
	if (line->time_ms > chunk->last_ms)
		chunk->last_ms = line->time_ms;
}

void log_chunk_end(struct log_chunk *chunk, uint64_t seq, struct text *out)
{
	uint64_t longs[2] = { htole64(seq), htole64((uint64_t)chunk->base_ms) };
	uint32_t words[3] = { htole32(chunk->lines), htole32((uint32_t)chunk->metas.len),
		htole32((uint32_t)chunk->text.len) };

	static_assert(sizeof(longs) + sizeof(words) == HEADER, "as it is read");
	text_add(out, (const char *)longs, sizeof(longs));
	text_add(out, (const char *)words, sizeof(words));
	text_add(out, chunk->metas.data, chunk->metas.len);
	text_add(out, chunk->text.data, chunk->text.len);
	log_chunk_reset(chunk);
}

void log_chunk_reset(struct log_chunk *chunk)
{
	chunk->metas.len = 0;
	chunk->text.len = 0;
	chunk->lines = 0;
	chunk->streams = 0;
}

void log_chunk_free(struct log_chunk *chunk)
{
	text_free(&chunk->metas);
	text_free(&chunk->text);
	log_chunk_reset(chunk);
}

/* ---- compression ---- */

struct log_packer *log_packer_new(void)
{
	return mem_alloc(sizeof(struct log_packer));
}

void log_packer_free(struct log_packer *packer)
{
	if (!packer)
		return;
	ZSTD_freeCCtx(packer->in);
	ZSTD_freeDCtx(packer->out);
	free(packer);
}

static void text_room(struct text *text, size_t room)
{
	if (text->room >= room)
		return;
	text->data = mem_resize(text->data, room, 1);
	text->room = room;
}

void log_block_pack(struct log_packer *packer, const char *raw, size_t len, struct text *out)
{
	size_t got;

	if (!packer->in)
		packer->in = ZSTD_createCCtx();
	text_room(out, ZSTD_compressBound(len) + 1);
	got = packer->in ? ZSTD_compressCCtx(packer->in, out->data, out->room - 1, raw, len, LEVEL)
			 : ZSTD_compress(out->data, out->room - 1, raw, len, LEVEL);
	if (ZSTD_isError(got))
		abort(); /* for want of memory alone: as mem_alloc() */
	out->len = got;
}

int log_block_unpack(struct log_packer *packer, const void *packed, size_t len, struct text *out,
	struct ten_error *err)
{
	unsigned long long size = ZSTD_getFrameContentSize(packed, len);
	size_t got;

	if (size > LOG_BLOCK_RAW_MAX) /* the two that say "unknown" are, too */
		return ten_error_set(err, EUCLEAN, "a block of lines");
	if (!packer->out)
		packer->out = ZSTD_createDCtx();
	text_room(out, (size_t)size + 1);
	got = packer->out ? ZSTD_decompressDCtx(packer->out, out->data, (size_t)size, packed, len)
			  : (size_t)-1;
	if (ZSTD_isError(got) || got != size)
		return ten_error_set(err, EUCLEAN, "a block of lines");
	out->len = got;
	return 0;
}

/* ---- reading ---- */

bool log_chunk_read(const char *raw, size_t len, size_t *at, struct log_chunk_view *view)
{
	uint64_t longs[2];
	uint32_t words[3];
	size_t metas, text;

	if (len - *at < HEADER)
		return false;
	memcpy(longs, raw + *at, sizeof(longs));
	memcpy(words, raw + *at + sizeof(longs), sizeof(words));
	metas = le32toh(words[1]);
	text = le32toh(words[2]);
	if (metas + text > len - *at - HEADER || le32toh(words[0]) > LOG_CHUNK_LINES)
		return false;
	view->seq = le64toh(longs[0]);
	view->base_ms = (int64_t)le64toh(longs[1]);
	view->lines = le32toh(words[0]);
	view->metas = (const uint8_t *)raw + *at + HEADER;
	view->metas_end = view->metas + metas;
	view->text = (const char *)view->metas_end;
	view->text_len = text;
	*at += HEADER + metas + text;
	return true;
}

static bool read_varint(struct log_chunk_view *view, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; shift < 64 && view->metas < view->metas_end; shift += 7) {
		uint8_t byte = *view->metas++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

bool log_chunk_next(struct log_chunk_view *view, struct log_line *line)
{
	const char *end;
	uint64_t meta, zigzag;

	if (!view->lines)
		return false;
	end = memchr(view->text, '\n', view->text_len);
	if (!end || !read_varint(view, &meta) || (meta & STREAM_MASK) > LOG_LINE_TENEMENT)
		return false;
	zigzag = meta >> 3;
	view->base_ms = (int64_t)((uint64_t)view->base_ms + ((zigzag >> 1) ^ -(zigzag & 1)));
	view->lines--;
	line->time_ms = view->base_ms;
	line->unfinished = meta & UNFINISHED;
	line->stream = (enum log_line_stream)(meta & STREAM_MASK);
	line->message = view->text;
	line->len = (size_t)(end - view->text);
	view->text_len -= line->len + 1;
	view->text = end + 1;
	return true;
}
