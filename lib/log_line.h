/*
 * Lines of a tenant's captured output, as they are in its log file:
 *
 *	2026-11-20T18:27:53.123Z stdout message
 *	2026-11-20T18:27:53.124Z stderr+ the first part of a very long line
 *	2026-11-20T18:27:53.124Z stderr  and its rest
 *	2026-11-20T18:27:58.000Z tenement 12 lines dropped: No space left on device
 *
 * The time is UTC. A "+" after the stream says that the next line of the same stream goes on with
 * this one. A message holds no control byte but the tab: any other, and each byte that is not part
 * of well-formed UTF-8, is written as \xNN; a carriage return before the newline is dropped.
 */
#ifndef TEN_LOG_LINE_H
#define TEN_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define LOG_LINE_MESSAGE_MAX 8192 /* bytes of one message, as written */
#define LOG_LINE_TIME_SIZE   25   /* "2026-11-20T18:27:53.123Z" and its NUL */

enum log_line_stream { LOG_LINE_STDOUT, LOG_LINE_STDERR, LOG_LINE_TENEMENT };

const char *log_line_stream_name(enum log_line_stream stream);
int log_line_stream_find(const char *name, size_t len); /* -1: no such stream */

struct log_line {
	int64_t time_ms; /* since 1970 */
	enum log_line_stream stream;
	bool unfinished; /* the stream's next line goes on with this one */
	const char *message;
	size_t len;
};

/* TIME_MS as in a log line; times before 1970 or after 9999 become the nearest that can be said. */
void log_line_time(char out[LOG_LINE_TIME_SIZE], int64_t time_ms);

/* Add LINE and a newline to OUT. The message is taken as it is. */
void log_line_format(struct text *out, const struct log_line *line);

/* Read a line (LEN bytes, without its newline) back. False: it is not one of ours. The message
 * points into TEXT. */
bool log_line_parse(const char *text, size_t len, struct log_line *line);

/*
 * Cuts a stream of bytes into messages, whatever the pieces it comes in. `struct log_line_cutter c
 * = { 0 };` is ready. Holds memory only while a line is unfinished.
 */
struct log_line_cutter {
	char *message; /* what is known of the current line, escaped; owned */
	size_t len;
	bool started;    /* there was a byte since the last newline */
	uint8_t held[4]; /* bytes that the next one decides about: half a character, or a CR */
	uint8_t held_len;
};

typedef void log_line_emit(void *data, const char *message, size_t len, bool unfinished);

/* EMIT is called for each message that BYTES complete. */
void log_line_cut(struct log_line_cutter *cutter, const char *bytes, size_t len,
	log_line_emit *emit, void *data);

/* The stream ended (or, UNFINISHED, somebody else will go on reading it): emit what is left, if
 * anything, and free all memory. */
void log_line_cut_end(
	struct log_line_cutter *cutter, bool unfinished, log_line_emit *emit, void *data);

#endif
