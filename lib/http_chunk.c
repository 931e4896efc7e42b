#include "http_chunk.h"

#include "http_field.h"

void http_chunk_init(struct http_chunk *chunk)
{
	*chunk = (struct http_chunk){ .state = HTTP_CHUNK_SIZE };
}

static int refuse(struct http_chunk *chunk, const char *reason)
{
	chunk->state = HTTP_CHUNK_REFUSED;
	chunk->refused_reason = reason;
	return -1;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int size_step(struct http_chunk *chunk, char c)
{
	int digit = hex_value(c);

	if (digit >= 0) {
		/* 15 digits are below 2^60, which nobody sends; leading zeros count too. */
		if (++chunk->digits > 15)
			return refuse(chunk, "chunk size too large");
		chunk->left = chunk->left * 16 + (uint64_t)digit;
		return 0;
	}
	if (!chunk->digits)
		return refuse(chunk, "malformed chunk size");
	if (c == '\r')
		chunk->state = HTTP_CHUNK_SIZE_LF;
	else if (c == ';')
		chunk->state = HTTP_CHUNK_EXTENSION;
	else
		return refuse(chunk, "malformed chunk size");
	return 0;
}

static int extension_step(struct http_chunk *chunk, char c)
{
	if (c == '\r')
		chunk->state = HTTP_CHUNK_SIZE_LF;
	else if (!http_is_value(&c, 1))
		return refuse(chunk, "malformed chunk extension");
	return 0;
}

static int size_end(struct http_chunk *chunk, char c)
{
	if (c != '\n')
		return refuse(chunk, "chunk size not ended by CRLF");
	chunk->line_bytes = 0;
	chunk->digits = 0;
	chunk->state = chunk->left ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILER;
	return 0;
}

/* A trailer line is checked as a header line would be, so that nobody sees another end than we. */
static int trailer_step(struct http_chunk *chunk, char c)
{
	if (++chunk->trailer_bytes > HTTP_CHUNK_TRAILER_MAX)
		return refuse(chunk, "trailers too large");
	switch (chunk->state) {
	case HTTP_CHUNK_TRAILER:
		if (c == '\r') {
			chunk->state = HTTP_CHUNK_END_LF;
			return 0;
		}
		chunk->state = HTTP_CHUNK_TRAILER_NAME;
		return http_is_token(&c, 1) ? 0 : refuse(chunk, "malformed trailer");
	case HTTP_CHUNK_TRAILER_NAME:
		if (c == ':')
			chunk->state = HTTP_CHUNK_TRAILER_VALUE;
		else if (!http_is_token(&c, 1))
			return refuse(chunk, "malformed trailer");
		return 0;
	default:
		if (c == '\r')
			chunk->state = HTTP_CHUNK_TRAILER_LF;
		else if (!http_is_value(&c, 1))
			return refuse(chunk, "malformed trailer");
		return 0;
	}
}

static int line_end(struct http_chunk *chunk, char c, char expected, enum http_chunk_state next)
{
	if (c != expected)
		return refuse(chunk, "chunk not ended by CRLF");
	chunk->state = next;
	return 0;
}

static int framing_step(struct http_chunk *chunk, char c)
{
	switch (chunk->state) {
	case HTTP_CHUNK_SIZE:
	case HTTP_CHUNK_EXTENSION:
		if (++chunk->line_bytes > HTTP_CHUNK_LINE_MAX)
			return refuse(chunk, "chunk extension too large");
		return chunk->state == HTTP_CHUNK_SIZE ? size_step(chunk, c)
						       : extension_step(chunk, c);
	case HTTP_CHUNK_SIZE_LF:
		return size_end(chunk, c);
	case HTTP_CHUNK_DATA_CR:
		return line_end(chunk, c, '\r', HTTP_CHUNK_DATA_LF);
	case HTTP_CHUNK_DATA_LF:
		return line_end(chunk, c, '\n', HTTP_CHUNK_SIZE);
	case HTTP_CHUNK_TRAILER_LF:
		chunk->trailer_bytes++;
		return line_end(chunk, c, '\n', HTTP_CHUNK_TRAILER);
	case HTTP_CHUNK_END_LF:
		return line_end(chunk, c, '\n', HTTP_CHUNK_DONE);
	default:
		return trailer_step(chunk, c);
	}
}

int64_t http_chunk_next(struct http_chunk *chunk, const char *data, size_t len, size_t *data_bytes)
{
	size_t at = 0;

	*data_bytes = 0;
	if (chunk->state == HTTP_CHUNK_REFUSED)
		return -1;
	while (at < len && chunk->state != HTTP_CHUNK_DONE) {
		if (chunk->state == HTTP_CHUNK_DATA) {
			size_t room = len - at;
			*data_bytes = chunk->left < room ? (size_t)chunk->left : room;
			chunk->left -= *data_bytes;
			if (!chunk->left)
				chunk->state = HTTP_CHUNK_DATA_CR;
			return (int64_t)(at + *data_bytes);
		}
		if (framing_step(chunk, data[at]) < 0)
			return -1;
		at++;
	}
	return (int64_t)at;
}
