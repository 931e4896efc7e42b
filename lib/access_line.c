#include "access_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "utf8.h"

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

/* Literals alone, whose length is known when this is compiled. */
#define put_literal(out, literal) put(out, "" literal, sizeof(literal) - 1)

static void put_number(struct writer *out, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	put(out, digits + at, sizeof(digits) - at);
}

/* NUMBER in COUNT digits, with zeros before it. */
static void put_digits(struct writer *out, unsigned number, int count)
{
	char digits[8];

	for (int i = count; i-- > 0; number /= 10)
		digits[i] = (char)('0' + number % 10);
	put(out, digits, (size_t)count);
}

static struct tm utc_of(int64_t time_ms)
{
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm when = { 0 };

	gmtime_r(&seconds, &when);
	return when;
}

/* ---- escaping ---- */

/* The length of the well-formed character that DATA begins with, 0 if that is none or one of the
 * controls U+0080 to U+009F. */
static size_t character(const unsigned char *data, size_t len)
{
	size_t size = utf8_length(data, len);

	return size == 2 && data[0] == 0xc2 && data[1] < 0xa0 ? 0 : size;
}

static size_t escape_json(char out[8], const unsigned char *data, size_t len, size_t *used)
{
	*used = 1;
	if (data[0] == '"' || data[0] == '\\') {
		out[0] = '\\';
		out[1] = (char)data[0];
		return 2;
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
	return (size_t)snprintf(out, 8, "\\x%02X", data[0]);
}

typedef size_t escape_one(char out[8], const unsigned char *data, size_t len, size_t *used);

/* In either form these stand for themselves. */
static bool is_plain(unsigned char byte)
{
	return byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
}

/* As much of TEXT as fits into MOST bytes. */
static void put_escaped(
	struct writer *out, const struct http_text *text, size_t most, escape_one *escape)
{
	const unsigned char *data = (const unsigned char *)text->data;
	size_t left = most, used;

	for (size_t at = 0; at < text->len; at += used) {
		size_t run = at, len;
		char one[8];

		while (run < text->len && run - at < left && is_plain(data[run]))
			run++;
		used = run - at;
		put(out, text->data + at, used);
		left -= used;
		if (used)
			continue;
		len = escape(one, data + at, text->len - at, &used);
		if (len > left || is_plain(data[at]))
			return;
		put(out, one, len);
		left -= len;
	}
}

/* ---- JSON ---- */

/* NAME with what goes before and after it: ",\"client\":". */
#define put_name(out, name) put_literal(out, ",\"" name "\":")

static void put_value(struct writer *out, const struct http_text *text, size_t most)
{
	if (!text->data) {
		put_literal(out, "null");
		return;
	}
	put_literal(out, "\"");
	put_escaped(out, text, most, escape_json);
	put_literal(out, "\"");
}

static void put_word(struct writer *out, const char *word)
{
	put_value(out, &(struct http_text){ word, word ? strlen(word) : 0 }, OTHER_MAX);
}

static void put_ms(struct writer *out, uint64_t us)
{
	put_number(out, us / 1000);
	put_literal(out, ".");
	put_digits(out, (unsigned)(us % 1000), 3);
}

static void put_bool(struct writer *out, bool value)
{
	if (value)
		put_literal(out, "true");
	else
		put_literal(out, "false");
}

static void put_clock(struct writer *out, const struct tm *when)
{
	put_digits(out, (unsigned)when->tm_hour, 2);
	put_literal(out, ":");
	put_digits(out, (unsigned)when->tm_min, 2);
	put_literal(out, ":");
	put_digits(out, (unsigned)when->tm_sec, 2);
}

/* An object begins with this. */
static void put_time(struct writer *out, int64_t time_ms)
{
	struct tm when = utc_of(time_ms);

	put_literal(out, "{\"time\":\"");
	put_digits(out, (unsigned)when.tm_year + 1900, 4);
	put_literal(out, "-");
	put_digits(out, (unsigned)when.tm_mon + 1, 2);
	put_literal(out, "-");
	put_digits(out, (unsigned)when.tm_mday, 2);
	put_literal(out, "T");
	put_clock(out, &when);
	put_literal(out, ".");
	put_digits(out, (unsigned)(time_ms % 1000), 3);
	put_literal(out, "Z\"");
}

static void format_json(struct writer *out, const struct access_line *line)
{
	put_time(out, line->time_ms);
	put_name(out, "client");
	put_value(out, &line->client, OTHER_MAX);
	put_name(out, "method");
	put_value(out, &line->method, OTHER_MAX);
	put_name(out, "target");
	put_value(out, &line->target, TARGET_MAX);
	put_name(out, "protocol");
	put_word(out, line->minor ? "HTTP/1.1" : "HTTP/1.0");
	put_name(out, "status");
	put_number(out, line->status);
	put_name(out, "bytes_sent");
	put_number(out, line->bytes_sent);
	put_name(out, "body_bytes_sent");
	put_number(out, line->body_bytes_sent);
	put_name(out, "bytes_received");
	put_number(out, line->bytes_received);
	put_name(out, "duration_ms");
	put_ms(out, line->duration_us);
	put_name(out, "upstream_ms");
	if (line->upstream_us)
		put_ms(out, line->upstream_us);
	else
		put_literal(out, "null");
	put_name(out, "host");
	put_value(out, &line->host, OTHER_MAX);
	put_name(out, "referer");
	put_value(out, &line->referer, REFERER_MAX);
	put_name(out, "user_agent");
	put_value(out, &line->user_agent, AGENT_MAX);
	put_name(out, "request_id");
	put_value(out, &line->request_id, OTHER_MAX);
	put_name(out, "tenant");
	put_word(out, line->tenant);
	put_name(out, "route");
	put_value(out, &line->route, OTHER_MAX);
	put_name(out, "upgraded");
	put_bool(out, line->upgraded);
	put_name(out, "complete");
	put_bool(out, line->complete);
	put_name(out, "refused");
	put_word(out, line->refused);
	put_literal(out, "}");
}

/* ---- combined ---- */

static void put_clf_time(struct writer *out, int64_t time_ms)
{
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	struct tm when = utc_of(time_ms);

	put_literal(out, "[");
	put_digits(out, (unsigned)when.tm_mday, 2);
	put_literal(out, "/");
	put(out, months[(unsigned)when.tm_mon % 12], 3);
	put_literal(out, "/");
	put_digits(out, (unsigned)when.tm_year + 1900, 4);
	put_literal(out, ":");
	put_clock(out, &when);
	put_literal(out, " +0000]");
}

static void put_quoted(struct writer *out, const struct http_text *text, size_t most)
{
	put_literal(out, "\"");
	if (text->len)
		put_escaped(out, text, most, escape_combined);
	else
		put_literal(out, "-");
	put_literal(out, "\"");
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
		put_literal(out, "-");
}

static void format_combined(struct writer *out, const struct access_line *line)
{
	put_client(out, &line->client);
	put_literal(out, " - - ");
	put_clf_time(out, line->time_ms);
	put_literal(out, " \"");
	put_escaped(out, &line->method, OTHER_MAX, escape_combined);
	put_literal(out, " ");
	put_escaped(out, &line->target, TARGET_MAX, escape_combined);
	put_literal(out, " HTTP/1.");
	put_number(out, line->minor);
	put_literal(out, "\" ");
	put_number(out, line->status);
	put_literal(out, " ");
	put_number(out, line->body_bytes_sent);
	put_literal(out, " ");
	put_quoted(out, &line->referer, REFERER_MAX);
	put_literal(out, " ");
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
		put_literal(&writer, "- - - ");
		put_clf_time(&writer, time_ms);
		put_literal(&writer, " \"-\" 0 0 \"-\" \"tenement: ");
		put_number(&writer, count);
		put_literal(&writer, " lines lost: ");
		put_escaped(&writer, &(struct http_text){ why, strlen(why) }, OTHER_MAX,
			escape_combined);
		put_literal(&writer, "\"");
	} else {
		put_time(&writer, time_ms);
		put_name(&writer, "lost");
		put_number(&writer, count);
		put_name(&writer, "why");
		put_word(&writer, why);
		put_literal(&writer, "}");
	}
	out[writer.len] = '\0';
	return writer.len;
}
