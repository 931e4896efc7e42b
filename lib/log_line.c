#include "log_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mem.h"

#define TIME_MAX_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

static const char *const stream_names[] = {
	[LOG_LINE_STDOUT] = "stdout",
	[LOG_LINE_STDERR] = "stderr",
	[LOG_LINE_TENEMENT] = "tenement",
};

const char *log_line_stream_name(enum log_line_stream stream)
{
	return stream_names[stream];
}

int log_line_stream_find(const char *name, size_t len)
{
	for (int i = 0; i < (int)(sizeof(stream_names) / sizeof(stream_names[0])); i++) {
		if (strlen(stream_names[i]) == len && memcmp(stream_names[i], name, len) == 0)
			return i;
	}
	return -1;
}

void log_line_time(char out[LOG_LINE_TIME_SIZE], int64_t time_ms)
{
	char date[sizeof("2026-11-20T18:27:53")];
	struct tm when;
	time_t seconds;

	if (time_ms < 0)
		time_ms = 0;
	if (time_ms > TIME_MAX_MS)
		time_ms = TIME_MAX_MS;
	seconds = (time_t)(time_ms / 1000);
	gmtime_r(&seconds, &when);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &when);
	snprintf(out, LOG_LINE_TIME_SIZE, "%s.%03uZ", date, (unsigned)(time_ms % 1000) % 1000);
}

void log_line_format(struct text *out, const struct log_line *line)
{
	char when[LOG_LINE_TIME_SIZE];

	log_line_time(when, line->time_ms);
	text_puts(out, when);
	text_puts(out, " ");
	text_puts(out, log_line_stream_name(line->stream));
	text_puts(out, line->unfinished ? "+ " : " ");
	text_add(out, line->message, line->len);
	text_puts(out, "\n");
}

/* COUNT digits at TEXT as a number, or -1. */
static int read_digits(const char *text, int count)
{
	int value = 0;

	for (int i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

static bool time_parse(const char *text, int64_t *time_ms)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
	struct tm when = { 0 };
	time_t seconds;

	for (size_t i = 0; i < sizeof(shape) - 1; i++) {
		if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
			return false;
	}
	when.tm_year = read_digits(text, 4) - 1900;
	when.tm_mon = read_digits(text + 5, 2) - 1;
	when.tm_mday = read_digits(text + 8, 2);
	when.tm_hour = read_digits(text + 11, 2);
	when.tm_min = read_digits(text + 14, 2);
	when.tm_sec = read_digits(text + 17, 2);
	if (when.tm_year < 70 || when.tm_mon < 0 || when.tm_mon > 11 || when.tm_mday < 1 ||
		when.tm_mday > 31 || when.tm_hour > 23 || when.tm_min > 59 || when.tm_sec > 60)
		return false;
	seconds = timegm(&when);
	*time_ms = (int64_t)seconds * 1000 + read_digits(text + 20, 3);
	return true;
}

bool log_line_parse(const char *text, size_t len, struct log_line *line)
{
	const size_t stamp = LOG_LINE_TIME_SIZE - 1;
	const char *word, *space;
	size_t word_len;
	int stream;

	if (len < stamp + 1 || text[stamp] != ' ' || !time_parse(text, &line->time_ms))
		return false;
	word = text + stamp + 1;
	space = memchr(word, ' ', len - stamp - 1);
	if (!space || space == word)
		return false;
	word_len = (size_t)(space - word);
	line->unfinished = word[word_len - 1] == '+';
	stream = log_line_stream_find(word, line->unfinished ? word_len - 1 : word_len);
	if (stream < 0)
		return false;
	line->stream = (enum log_line_stream)stream;
	line->message = space + 1;
	line->len = len - (size_t)(line->message - text);
	return true;
}

struct sink {
	struct log_line_cutter *cutter;
	log_line_emit *emit;
	void *data;
};

static void sink_flush(struct sink *sink, bool unfinished)
{
	struct log_line_cutter *cutter = sink->cutter;

	sink->emit(sink->data, cutter->message ? cutter->message : "", cutter->len, unfinished);
	cutter->len = 0;
}

/* Add LEN bytes that belong together: a message that has no room for all of them ends before. */
static void sink_add(struct sink *sink, const char *bytes, size_t len)
{
	struct log_line_cutter *cutter = sink->cutter;

	if (cutter->len + len > LOG_LINE_MESSAGE_MAX)
		sink_flush(sink, true);
	if (!cutter->message)
		cutter->message = mem_alloc(LOG_LINE_MESSAGE_MAX);
	memcpy(cutter->message + cutter->len, bytes, len);
	cutter->len += len;
}

static void sink_add_escaped(struct sink *sink, uint8_t byte)
{
	char escape[5];

	snprintf(escape, sizeof(escape), "\\x%02x", byte);
	sink_add(sink, escape, 4);
}

static void release_held(struct sink *sink)
{
	struct log_line_cutter *cutter = sink->cutter;

	for (uint8_t i = 0; i < cutter->held_len; i++)
		sink_add_escaped(sink, cutter->held[i]);
	cutter->held_len = 0;
}

/* How many bytes the character that LEAD begins has; 0: it cannot begin one. */
static uint8_t character_size(uint8_t lead)
{
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* Whether BYTE may follow the character begun in HELD (overlong forms, surrogates and what is over
 * U+10FFFF are told by the second byte). */
static bool may_follow(const uint8_t *held, uint8_t held_len, uint8_t byte)
{
	if (byte < 0x80 || byte > 0xbf)
		return false;
	if (held_len > 1)
		return true;
	switch (held[0]) {
	case 0xe0:
		return byte >= 0xa0;
	case 0xed:
		return byte <= 0x9f;
	case 0xf0:
		return byte >= 0x90;
	case 0xf4:
		return byte <= 0x8f;
	default:
		return true;
	}
}

/* Take BYTE as the next of the character that is held; false: it does not belong to it. */
static bool continue_character(struct sink *sink, uint8_t byte)
{
	struct log_line_cutter *cutter = sink->cutter;
	bool control;

	if (cutter->held[0] == '\r' || !may_follow(cutter->held, cutter->held_len, byte))
		return false;
	cutter->held[cutter->held_len++] = byte;
	if (cutter->held_len < character_size(cutter->held[0]))
		return true;
	control =
		cutter->held[0] == 0xc2 && byte < 0xa0; /* U+0080 to U+009F drive terminals, too */
	if (control) {
		release_held(sink);
	} else {
		sink_add(sink, (const char *)cutter->held, cutter->held_len);
		cutter->held_len = 0;
	}
	return true;
}

static void take_newline(struct sink *sink)
{
	struct log_line_cutter *cutter = sink->cutter;

	if (cutter->held_len && cutter->held[0] == '\r')
		cutter->held_len = 0;
	release_held(sink);
	sink_flush(sink, false);
	cutter->started = false;
}

static bool is_plain(uint8_t byte)
{
	return (byte >= 0x20 && byte < 0x7f) || byte == '\t';
}

static void take_byte(struct sink *sink, uint8_t byte)
{
	struct log_line_cutter *cutter = sink->cutter;

	if (byte == '\n') {
		take_newline(sink);
		return;
	}
	cutter->started = true;
	if (cutter->held_len && continue_character(sink, byte))
		return;
	release_held(sink);
	if (byte == '\r' || character_size(byte))
		cutter->held[cutter->held_len++] = byte;
	else if (is_plain(byte))
		sink_add(sink, (const char *)&byte, 1);
	else
		sink_add_escaped(sink, byte);
}

/* The plain bytes at BYTES that can be added in one go. */
static size_t plain_run(const struct log_line_cutter *cutter, const char *bytes, size_t len)
{
	size_t room = LOG_LINE_MESSAGE_MAX - cutter->len;
	size_t run = 0;

	if (cutter->held_len)
		return 0;
	while (run < len && run < room && is_plain((uint8_t)bytes[run]))
		run++;
	return run;
}

static void free_when_empty(struct log_line_cutter *cutter)
{
	if (cutter->len)
		return;
	free(cutter->message);
	cutter->message = NULL;
}

void log_line_cut(struct log_line_cutter *cutter, const char *bytes, size_t len,
	log_line_emit *emit, void *data)
{
	struct sink sink = { .cutter = cutter, .emit = emit, .data = data };
	size_t at = 0;

	while (at < len) {
		size_t run = plain_run(cutter, bytes + at, len - at);

		if (run) {
			sink_add(&sink, bytes + at, run);
			cutter->started = true;
			at += run;
		} else {
			take_byte(&sink, (uint8_t)bytes[at++]);
		}
	}
	free_when_empty(cutter);
}

void log_line_cut_end(
	struct log_line_cutter *cutter, bool unfinished, log_line_emit *emit, void *data)
{
	struct sink sink = { .cutter = cutter, .emit = emit, .data = data };

	release_held(&sink);
	if (cutter->started)
		sink_flush(&sink, unfinished);
	free(cutter->message);
	*cutter = (struct log_line_cutter){ 0 };
}
