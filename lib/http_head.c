#include "http_head.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#include "http_host.h"

static const struct {
	const char *name;
	enum http_method method;
} methods[] = {
	{ "GET", HTTP_METHOD_GET },
	{ "HEAD", HTTP_METHOD_HEAD },
	{ "POST", HTTP_METHOD_POST },
	{ "PUT", HTTP_METHOD_PUT },
	{ "DELETE", HTTP_METHOD_DELETE },
	{ "OPTIONS", HTTP_METHOD_OPTIONS },
	{ "TRACE", HTTP_METHOD_TRACE },
	{ "PATCH", HTTP_METHOD_PATCH },
	{ "CONNECT", HTTP_METHOD_CONNECT },
};

static int refuse(struct http_head *head, uint16_t status, const char *reason)
{
	head->refused_status = head->kind == HTTP_RESPONSE ? 502 : status;
	head->refused_reason = reason;
	return -1;
}

void http_head_init(
	struct http_head *head, enum http_kind kind, uint32_t max_bytes, uint32_t max_fields)
{
	/* Not the fields: most of the struct, and only what field_count covers is ever read. */
	memset(head, 0, offsetof(struct http_head, fields));
	memset((char *)head + offsetof(struct http_head, authority), 0,
		sizeof(*head) - offsetof(struct http_head, authority));
	head->kind = kind;
	head->max_bytes = max_bytes < INT_MAX ? max_bytes : INT_MAX;
	head->max_fields = max_fields < HTTP_FIELDS_MAX ? max_fields : HTTP_FIELDS_MAX;
}

/* ---- the first line ---- */

static enum http_method method_identify(const struct http_text *text)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (text->len == strlen(methods[i].name) &&
			!memcmp(text->data, methods[i].name, text->len))
			return methods[i].method;
	return HTTP_METHOD_OTHER;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int version_parse(struct http_head *head, const char *data, size_t len)
{
	if (len != 8 || memcmp(data, "HTTP/", 5) || !is_digit(data[5]) || data[6] != '.' ||
		!is_digit(data[7]))
		return refuse(head, 400, "malformed HTTP version");
	if (data[5] != '1' || data[7] > '1')
		return refuse(head, 505, "HTTP version not supported");
	head->minor = (uint8_t)(data[7] - '0');
	return 0;
}

/* Only what an URI can consist of, or browsers send unencoded; a fragment is not sent. */
static bool target_is_clean(const struct http_text *target)
{
	for (size_t i = 0; i < target->len; i++) {
		char c = target->data[i];
		if (c <= ' ' || c > '~' || c == '#')
			return false;
	}
	return target->len > 0;
}

static int authority_set(struct http_head *head, const char *data, size_t len)
{
	struct http_text port;

	if (!http_host_split(data, len, &head->host, &port))
		return refuse(head, 400, "invalid host");
	head->authority = (struct http_text){ data, len };
	return 0;
}

static void path_set(struct http_head *head, const char *data, size_t len)
{
	const char *mark = len ? memchr(data, '?', len) : NULL;
	size_t path_len = mark ? (size_t)(mark - data) : len;

	head->path = (struct http_text){ data, path_len };
	if (mark)
		head->query = (struct http_text){ mark + 1, len - path_len - 1 };
	if (!path_len)
		head->path = (struct http_text){ "/", 1 };
}

static int absolute_parse(struct http_head *head)
{
	const char *data = head->target.data;
	const char *end = data + head->target.len;
	const char *start;
	const char *at;

	if (head->target.len > 7 && !strncasecmp(data, "http://", 7))
		start = data + 7;
	else if (head->target.len > 8 && !strncasecmp(data, "https://", 8))
		start = data + 8;
	else
		return refuse(head, 400, "malformed request target");
	for (at = start; at < end && *at != '/' && *at != '?'; at++)
		;
	if (authority_set(head, start, (size_t)(at - start)) < 0)
		return -1;
	head->form = HTTP_TARGET_ABSOLUTE;
	if (at == end && head->method == HTTP_METHOD_OPTIONS)
		head->path = (struct http_text){ "*", 1 }; /* RFC 9112, 3.2.4 */
	else
		path_set(head, at, (size_t)(end - at));
	return 0;
}

static int target_parse(struct http_head *head)
{
	const struct http_text *target = &head->target;

	if (target->len > HTTP_TARGET_MAX)
		return refuse(head, 414, "request target too long");
	if (!target_is_clean(target))
		return refuse(head, 400, "malformed request target");
	if (head->method == HTTP_METHOD_CONNECT)
		return refuse(head, 501, "CONNECT is not served here");
	if (target->data[0] == '/') {
		head->form = HTTP_TARGET_ORIGIN;
		path_set(head, target->data, target->len);
		return 0;
	}
	if (target->len == 1 && target->data[0] == '*') {
		if (head->method != HTTP_METHOD_OPTIONS)
			return refuse(head, 400, "malformed request target");
		head->form = HTTP_TARGET_ASTERISK;
		head->path = *target;
		return 0;
	}
	return absolute_parse(head);
}

static int request_line_parse(struct http_head *head, const char *line, size_t len)
{
	const char *end = line + len;
	const char *space = memchr(line, ' ', len);
	const char *second = space ? memchr(space + 1, ' ', (size_t)(end - space - 1)) : NULL;

	if (!space)
		return refuse(head, 400, "malformed request line");
	head->method_text = (struct http_text){ line, (size_t)(space - line) };
	if (!http_is_token(line, head->method_text.len))
		return refuse(head, 400, "malformed method");
	head->method = method_identify(&head->method_text);
	if (!second && space + 1 < end && space[1] == '/')
		return refuse(head, 505, "HTTP/0.9 is not served here");
	if (!second)
		return refuse(head, 400, "malformed request line");
	head->target = (struct http_text){ space + 1, (size_t)(second - space - 1) };
	if (version_parse(head, second + 1, (size_t)(end - second - 1)) < 0)
		return -1;
	return target_parse(head);
}

static int status_line_parse(struct http_head *head, const char *line, size_t len)
{
	if (len < 12 || line[8] != ' ' || (len > 12 && line[12] != ' '))
		return refuse(head, 502, "malformed status line");
	if (version_parse(head, line, 8) < 0)
		return -1;
	if (line[9] < '1' || line[9] > '5' || !is_digit(line[10]) || !is_digit(line[11]))
		return refuse(head, 502, "malformed status");
	head->status = (uint16_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
	if (len > 13)
		head->reason = (struct http_text){ line + 13, len - 13 };
	if (!http_is_value(head->reason.data, head->reason.len))
		return refuse(head, 502, "malformed reason phrase");
	return 0;
}

/* ---- fields ---- */

static int length_parse(struct http_head *head, const struct http_field *field)
{
	uint64_t value = 0;

	if (head->has_length)
		return refuse(head, 400, "repeated Content-Length");
	/* 18 digits are below 2^60: no overflow here, nor where lengths are added up. */
	if (!field->value_len || field->value_len > 18)
		return refuse(head, 400, "invalid Content-Length");
	for (uint32_t i = 0; i < field->value_len; i++) {
		if (!is_digit(field->value[i]))
			return refuse(head, 400, "invalid Content-Length");
		value = value * 10 + (uint64_t)(field->value[i] - '0');
	}
	head->has_length = true;
	head->content_length = value;
	return 0;
}

static int host_parse(struct http_head *head, const struct http_field *field)
{
	struct http_text authority = head->authority;

	if (head->kind != HTTP_REQUEST)
		return 0;
	for (const struct http_field *other = head->fields; other < field; other++)
		if (other->id == HTTP_FIELD_HOST)
			return refuse(head, 400, "repeated Host");
	if (authority_set(head, field->value, field->value_len) < 0)
		return -1;
	/* Who looks at the target and who looks at Host must see the same. */
	if (authority.data &&
		(authority.len != head->authority.len ||
			strncasecmp(authority.data, head->authority.data, authority.len)))
		return refuse(head, 400, "Host differs from the request target");
	return 0;
}

static int connection_parse(struct http_head *head, const struct http_field *field)
{
	struct http_text item;
	size_t at = 0;

	while (http_list_next(field->value, field->value_len, &at, &item)) {
		if (++head->connection_options > HTTP_CONNECTION_OPTIONS_MAX)
			return refuse(head, 431, "too many options in Connection");
		if (http_text_is(item.data, item.len, "close"))
			head->connection_close = true;
		else if (http_text_is(item.data, item.len, "keep-alive"))
			head->connection_keep_alive = true;
		else if (http_text_is(item.data, item.len, "upgrade"))
			head->connection_upgrade = true;
	}
	return 0;
}

static int expect_parse(struct http_head *head, const struct http_field *field)
{
	if (head->kind != HTTP_REQUEST || head->minor == 0)
		return 0;
	if (!http_text_is(field->value, field->value_len, "100-continue"))
		return refuse(head, 417, "unknown expectation");
	head->expects_continue = true;
	return 0;
}

static int field_apply(struct http_head *head, const struct http_field *field)
{
	switch (field->id) {
	case HTTP_FIELD_HOST:
		return host_parse(head, field);
	case HTTP_FIELD_CONTENT_LENGTH:
		return length_parse(head, field);
	case HTTP_FIELD_TRANSFER_ENCODING:
		if (head->chunked)
			return refuse(head, 400, "repeated Transfer-Encoding");
		if (!http_text_is(field->value, field->value_len, "chunked"))
			return refuse(head, 400, "unsupported Transfer-Encoding");
		head->chunked = true;
		return 0;
	case HTTP_FIELD_CONNECTION:
		return connection_parse(head, field);
	case HTTP_FIELD_EXPECT:
		return expect_parse(head, field);
	case HTTP_FIELD_UPGRADE:
		head->has_upgrade = true;
		return 0;
	default:
		return 0;
	}
}

static int field_parse(struct http_head *head, const char *line, size_t len)
{
	const char *end = line + len;
	const char *colon = memchr(line, ':', len);
	struct http_field *field;

	if (line[0] == ' ' || line[0] == '\t')
		return refuse(head, 400, "folded header line");
	if (!colon || !http_is_token(line, (size_t)(colon - line)))
		return refuse(head, 400, "malformed header name");
	if (head->field_count >= head->max_fields)
		return refuse(head, 431, "too many headers");
	if (!http_is_value(colon + 1, (size_t)(end - colon - 1)))
		return refuse(head, 400, "control character in a header");

	field = &head->fields[head->field_count++];
	field->name = line;
	field->name_len = (uint32_t)(colon - line);
	for (colon++; colon < end && (*colon == ' ' || *colon == '\t'); colon++)
		;
	while (end > colon && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	field->value = colon;
	field->value_len = (uint32_t)(end - colon);
	field->id = http_field_identify(field->name, field->name_len);
	return field_apply(head, field);
}

/* ---- the whole ---- */

static int head_finish(struct http_head *head)
{
	if (head->chunked && head->has_length)
		return refuse(head, 400, "both Content-Length and Transfer-Encoding");
	if (head->chunked && head->minor == 0)
		return refuse(head, 400, "Transfer-Encoding in HTTP/1.0");
	if (head->kind == HTTP_RESPONSE)
		return 0;
	/* HTTP/1.1 needs a Host even where the target names one (RFC 9112, 3.2). */
	if (head->minor == 1 && !http_head_field(head, "host"))
		return refuse(head, 400, "no Host");
	head->body = head->chunked      ? HTTP_BODY_CHUNKED
		     : head->has_length ? HTTP_BODY_LENGTH
					: HTTP_BODY_NONE;
	return 0;
}

static int too_large(struct http_head *head)
{
	if (head->kind == HTTP_REQUEST && !head->first_line_seen)
		return refuse(head, 414, "request line too long");
	return refuse(head, 431, "header too large");
}

static int line_parse(struct http_head *head, const char *line, size_t len)
{
	if (head->first_line_seen)
		return field_parse(head, line, len);
	head->first_line_seen = true;
	if (head->kind == HTTP_REQUEST)
		return request_line_parse(head, line, len);
	return status_line_parse(head, line, len);
}

/* One empty line before a request is let pass (RFC 9112, 2.2); it ends a head otherwise. */
static int blank_line(struct http_head *head, uint32_t end)
{
	if (head->first_line_seen) {
		if (head_finish(head) < 0)
			return -1;
		head->bytes = end;
		return 0;
	}
	if (head->kind == HTTP_RESPONSE || head->blank_seen)
		return refuse(head, 400, "empty line before the message");
	head->blank_seen = true;
	return 0;
}

int http_head_parse(struct http_head *head, const char *data, size_t len)
{
	if (head->refused_status)
		return -1;
	while (!head->bytes) {
		const char *line = data + head->line_at;
		const char *newline = len > head->scanned ? memchr(data + head->scanned, '\n',
								    len - head->scanned)
							  : NULL;
		size_t end = newline ? (size_t)(newline - data) + 1 : len;
		size_t line_len;
		int result;

		if (end > head->max_bytes || (!newline && end == head->max_bytes))
			return too_large(head);
		head->scanned = (uint32_t)end;
		if (!newline)
			return 0;
		if (newline == line || newline[-1] != '\r')
			return refuse(head, 400, "line ended by a bare LF");
		line_len = (size_t)(newline - 1 - line);
		result = line_len ? line_parse(head, line, line_len)
				  : blank_line(head, (uint32_t)end);
		if (result < 0)
			return -1;
		head->line_at = (uint32_t)end;
	}
	return (int)head->bytes;
}

const struct http_field *http_head_field(const struct http_head *head, const char *name)
{
	for (uint32_t i = 0; i < head->field_count; i++)
		if (http_text_is(head->fields[i].name, head->fields[i].name_len, name))
			return &head->fields[i];
	return NULL;
}

enum http_body http_response_body(const struct http_head *head, enum http_method method)
{
	if (head->status < 200 || head->status == 204 || head->status == 304 ||
		method == HTTP_METHOD_HEAD)
		return HTTP_BODY_NONE;
	if (head->chunked)
		return HTTP_BODY_CHUNKED;
	return head->has_length ? HTTP_BODY_LENGTH : HTTP_BODY_UNTIL_CLOSE;
}

bool http_head_keeps_alive(const struct http_head *head)
{
	if (head->connection_close)
		return false;
	return head->minor == 1 || head->connection_keep_alive;
}

bool http_method_is_idempotent(enum http_method method)
{
	switch (method) {
	case HTTP_METHOD_GET:
	case HTTP_METHOD_HEAD:
	case HTTP_METHOD_OPTIONS:
	case HTTP_METHOD_PUT:
	case HTTP_METHOD_DELETE:
	case HTTP_METHOD_TRACE:
		return true;
	default:
		return false;
	}
}
