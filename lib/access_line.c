#include "access_line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log_line.h"

/* Bytes of a field as written; together with all else they stay below ACCESS_LINE_MAX. */
#define TARGET_MAX  8192
#define REFERER_MAX 2048
#define AGENT_MAX   1024
#define OTHER_MAX   384

struct writer {
	char *data;
	size_t len;
};

static void put(struct writer *out, const char *data, size_t len)
{
	if (len >= ACCESS_LINE_MAX - out->len)
		return;
	memcpy(out->data + out->len, data, len);
	out->len += len;
}

static void put_string(struct writer *out, const char *string)
{
	put(out, string, strlen(string));
}

static void put_format(struct writer *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put_format(struct writer *out, const char *format, ...)
{
	char text[128];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len > 0 && (size_t)len < sizeof(text))
		put(out, text, (size_t)len);
}

/* ---- escaping ---- */

/* The length of the well-formed character of more than one byte that DATA begins with, 0 if that is
 * none (Unicode, table 3-7) or a control character. */
static size_t character(const unsigned char *data, size_t len)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t size;

	if (data[0] >= 0xc2 && data[0] <= 0xdf) {
		size = 2;
		low = data[0] == 0xc2 ? 0xa0 : 0x80; /* U+0080 to U+009F are controls */
	} else if (data[0] >= 0xe0 && data[0] <= 0xef) {
		size = 3;
		low = data[0] == 0xe0 ? 0xa0 : 0x80;
		high = data[0] == 0xed ? 0x9f : 0xbf;
	} else if (data[0] >= 0xf0 && data[0] <= 0xf4) {
		size = 4;
		low = data[0] == 0xf0 ? 0x90 : 0x80;
		high = data[0] == 0xf4 ? 0x8f : 0xbf;
	} else {
		return 0;
	}
	if (len < size || data[1] < low || data[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if (data[i] < 0x80 || data[i] > 0xbf)
			return 0;
	return size;
}

static size_t escape_json(char out[8], const unsigned char *data, size_t len, size_t *used)
{
	*used = 1;
	if (data[0] == '"' || data[0] == '\\') {
		out[0] = '\\';
		out[1] = (char)data[0];
		return 2;
	}
	if (data[0] >= ' ' && data[0] < 0x7f) {
		out[0] = (char)data[0];
		return 1;
	}
	if (data[0] >= 0x80) {
		size_t size = character(data, len);
		if (size) {
			memcpy(out, data, size);
			*used = size;
			return size;
		}
	}
	return (size_t)snprintf(out, 8, "\\u%04x", data[0]);
}

static size_t escape_combined(char out[8], const unsigned char *data, size_t len, size_t *used)
{
	(void)len;
	*used = 1;
	if (data[0] < ' ' || data[0] >= 0x7f || data[0] == '"' || data[0] == '\\')
		return (size_t)snprintf(out, 8, "\\x%02X", data[0]);
	out[0] = (char)data[0];
	return 1;
}

typedef size_t escape_one(char out[8], const unsigned char *data, size_t len, size_t *used);

/* As much of TEXT as fits into MOST bytes. */
static void put_escaped(
	struct writer *out, const struct http_text *text, size_t most, escape_one *escape)
{
	const unsigned char *data = (const unsigned char *)text->data;
	size_t begin = out->len;

	for (size_t i = 0, used; i < text->len; i += used) {
		char one[8];
		size_t len = escape(one, data + i, text->len - i, &used);

		if (out->len - begin + len > most)
			return;
		put(out, one, len);
	}
}

/* ---- JSON ---- */

static void put_name(struct writer *out, const char *name)
{
	put_format(out, "%s\"%s\":", out->len ? "," : "{", name);
}

static void put_text(
	struct writer *out, const char *name, const struct http_text *text, size_t most)
{
	put_name(out, name);
	if (!text->data) {
		put_string(out, "null");
		return;
	}
	put_string(out, "\"");
	put_escaped(out, text, most, escape_json);
	put_string(out, "\"");
}

static void put_word(struct writer *out, const char *name, const char *word)
{
	put_text(out, name, &(struct http_text){ word, word ? strlen(word) : 0 }, OTHER_MAX);
}

static void put_number(struct writer *out, const char *name, uint64_t number)
{
	put_name(out, name);
	put_format(out, "%" PRIu64, number);
}

static void put_ms(struct writer *out, const char *name, uint64_t us)
{
	put_name(out, name);
	put_format(out, "%" PRIu64 ".%03u", us / 1000, (unsigned)(us % 1000));
}

static void put_bool(struct writer *out, const char *name, bool value)
{
	put_name(out, name);
	put_string(out, value ? "true" : "false");
}

static void put_time(struct writer *out, int64_t time_ms)
{
	char when[LOG_LINE_TIME_SIZE];

	log_line_time(when, time_ms);
	put_word(out, "time", when);
}

static void format_json(struct writer *out, const struct access_line *line)
{
	put_time(out, line->time_ms);
	put_text(out, "client", &line->client, OTHER_MAX);
	put_text(out, "method", &line->method, OTHER_MAX);
	put_text(out, "target", &line->target, TARGET_MAX);
	put_word(out, "protocol", line->minor ? "HTTP/1.1" : "HTTP/1.0");
	put_number(out, "status", line->status);
	put_number(out, "bytes_sent", line->bytes_sent);
	put_number(out, "body_bytes_sent", line->body_bytes_sent);
	put_number(out, "bytes_received", line->bytes_received);
	put_ms(out, "duration_ms", line->duration_us);
	if (line->upstream_us)
		put_ms(out, "upstream_ms", line->upstream_us);
	else
		put_word(out, "upstream_ms", NULL);
	put_text(out, "host", &line->host, OTHER_MAX);
	put_text(out, "referer", &line->referer, REFERER_MAX);
	put_text(out, "user_agent", &line->user_agent, AGENT_MAX);
	put_text(out, "request_id", &line->request_id, OTHER_MAX);
	put_word(out, "tenant", line->tenant);
	put_text(out, "route", &line->route, OTHER_MAX);
	put_bool(out, "upgraded", line->upgraded);
	put_bool(out, "complete", line->complete);
	put_word(out, "refused", line->refused);
	put_string(out, "}");
}

/* ---- combined ---- */

static void put_clf_time(struct writer *out, int64_t time_ms)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm when = { 0 };

	gmtime_r(&seconds, &when);
	put_format(out, "[%02d/%s/%04d:%02d:%02d:%02d +0000]", when.tm_mday,
		months[(unsigned)when.tm_mon % 12], when.tm_year + 1900, when.tm_hour, when.tm_min,
		when.tm_sec);
}

static void put_quoted(struct writer *out, const struct http_text *text, size_t most)
{
	put_string(out, "\"");
	if (text->len)
		put_escaped(out, text, most, escape_combined);
	else
		put_string(out, "-");
	put_string(out, "\"");
}

/* It stands without quotes, and what a trusted proxy calls its client may be anything. */
static void put_client(struct writer *out, const struct http_text *client)
{
	size_t len = 0;

	while (len < client->len && client->data[len] > ' ')
		len++;
	if (len)
		put_escaped(
			out, &(struct http_text){ client->data, len }, OTHER_MAX, escape_combined);
	else
		put_string(out, "-");
}

static void format_combined(struct writer *out, const struct access_line *line)
{
	put_client(out, &line->client);
	put_string(out, " - - ");
	put_clf_time(out, line->time_ms);
	put_string(out, " \"");
	put_escaped(out, &line->method, OTHER_MAX, escape_combined);
	put_string(out, " ");
	put_escaped(out, &line->target, TARGET_MAX, escape_combined);
	put_format(out, " HTTP/1.%u\" %u %" PRIu64 " ", (unsigned)line->minor,
		(unsigned)line->status, line->body_bytes_sent);
	put_quoted(out, &line->referer, REFERER_MAX);
	put_string(out, " ");
	put_quoted(out, &line->user_agent, AGENT_MAX);
}

/* ---- both ---- */

size_t access_line_format(char *out, enum access_format format, const struct access_line *line)
{
	struct writer writer = { out, 0 };

	if (format == ACCESS_COMBINED)
		format_combined(&writer, line);
	else
		format_json(&writer, line);
	out[writer.len] = '\0';
	return writer.len;
}

size_t access_line_lost(
	char *out, enum access_format format, int64_t time_ms, uint64_t count, const char *why)
{
	struct writer writer = { out, 0 };

	if (format == ACCESS_COMBINED) {
		/* In its place a tool that knows the form finds one that it can read. */
		put_string(&writer, "- - - ");
		put_clf_time(&writer, time_ms);
		put_format(&writer, " \"-\" 0 0 \"-\" \"tenement: %" PRIu64 " lines lost: ", count);
		put_escaped(&writer, &(struct http_text){ why, strlen(why) }, OTHER_MAX,
			escape_combined);
		put_string(&writer, "\"");
	} else {
		put_time(&writer, time_ms);
		put_number(&writer, "lost", count);
		put_word(&writer, "why", why);
		put_string(&writer, "}");
	}
	out[writer.len] = '\0';
	return writer.len;
}
