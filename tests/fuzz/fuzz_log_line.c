/*
 * Whatever a tenant prints, and however it is cut into reads: each line of its log can be read
 * back, holds no control byte, and is not too long. The first byte says how large the reads are.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "log_line.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void check_line(void *data, const char *message, size_t len, bool unfinished)
{
	struct text *all = data;
	const struct log_line line = {
		.time_ms = INT64_C(1795199273123),
		.stream = LOG_LINE_STDERR,
		.unfinished = unfinished,
		.message = message,
		.len = len,
	};
	struct log_line back;
	autotext struct text text = { 0 };

	require(len <= LOG_LINE_MESSAGE_MAX);
	for (size_t i = 0; i < len; i++)
		require((unsigned char)message[i] >= 0x20 || message[i] == '\t');
	log_line_format(&text, &line);
	require(text.data[text.len - 1] == '\n');
	require(log_line_parse(text.data, text.len - 1, &back));
	require(back.time_ms == line.time_ms && back.stream == line.stream);
	require(back.unfinished == unfinished && back.len == len);
	require(memcmp(back.message, message, len) == 0);
	text_add(all, text.data, text.len);
}

static void cut(const char *bytes, size_t size, size_t piece, struct text *all)
{
	struct log_line_cutter cutter = { 0 };

	for (size_t at = 0; at < size; at += piece)
		log_line_cut(&cutter, bytes + at, size - at < piece ? size - at : piece, check_line,
			all);
	log_line_cut_end(&cutter, false, check_line, all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autotext struct text pieces = { 0 };
	autotext struct text whole = { 0 };
	struct log_line line;
	const char *bytes = (const char *)data + 1;

	if (!size)
		return 0;
	log_line_parse(bytes, size - 1, &line);
	cut(bytes, size - 1, (size_t)data[0] + 1, &pieces);
	cut(bytes, size - 1, size, &whole);
	require(pieces.len == whole.len);
	require(!whole.len || memcmp(pieces.data, whole.data, whole.len) == 0);
	return 0;
}
