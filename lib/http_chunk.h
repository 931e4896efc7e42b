/*
 * The chunked transfer coding (RFC 9112, 7.1), read strictly and a piece at a time.
 *
 * The decoder only says what the next bytes are; the caller passes data on and drops framing:
 *
 *	while (len && !http_chunk_done(&chunk)) {
 *		int64_t bytes = http_chunk_next(&chunk, data, len, &data_bytes);
 *		if (bytes < 0) refuse: chunk.refused_reason;
 *		the last data_bytes of the first `bytes` bytes are data, those before it framing;
 *		data += bytes; len -= bytes;
 *	}
 *
 * Chunk extensions and trailers are checked, bounded and dropped (RFC 9112, 7.1.1 and 7.1.2: a
 * recipient may). Lines end in CRLF; nothing stands between a size and its CRLF but ";ext".
 */
#ifndef TEN_HTTP_CHUNK_H
#define TEN_HTTP_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CHUNK_LINE_MAX    256  /* a size with its extensions */
#define HTTP_CHUNK_TRAILER_MAX 8192 /* all trailers together */

enum http_chunk_state {
	HTTP_CHUNK_SIZE,      /* within the hex digits */
	HTTP_CHUNK_EXTENSION, /* after ';' */
	HTTP_CHUNK_SIZE_LF,   /* CR seen */
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_DATA_CR, /* data is through, CR must follow */
	HTTP_CHUNK_DATA_LF,
	HTTP_CHUNK_TRAILER, /* at the start of a trailer line or of the last, empty one */
	HTTP_CHUNK_TRAILER_NAME,
	HTTP_CHUNK_TRAILER_VALUE,
	HTTP_CHUNK_TRAILER_LF,
	HTTP_CHUNK_END_LF, /* CR of the empty line seen */
	HTTP_CHUNK_DONE,
	HTTP_CHUNK_REFUSED,
};

struct http_chunk {
	enum http_chunk_state state;
	uint64_t left; /* of this chunk's data */
	uint32_t digits;
	uint32_t line_bytes;
	uint32_t trailer_bytes;
	const char *refused_reason; /* short, for people; static */
};

void http_chunk_init(struct http_chunk *chunk);

/* Look at DATA. Returns how many bytes were understood, of which the last *DATA_BYTES are data;
 * less than LEN when data was met or the end came. -1: refused, and nothing after counts. */
int64_t http_chunk_next(struct http_chunk *chunk, const char *data, size_t len, size_t *data_bytes);

static inline bool http_chunk_done(const struct http_chunk *chunk)
{
	return chunk->state == HTTP_CHUNK_DONE;
}

#endif
