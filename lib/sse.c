#include "sse.h"

#include <assert.h>
#include <string.h>

/* ---- writing ---- */

static void put_line(struct text *out, const char *name, const char *value, size_t len)
{
	text_puts(out, name);
	text_add(out, value, len);
	text_add(out, "\n", 1);
}

static size_t line_length(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] != '\n' && text[n] != '\r')
		n++;
	return n;
}

void sse_put(struct text *out, const char *event, const char *id, const char *data, size_t len)
{
	assert(!event || !strpbrk(event, "\r\n"));
	assert(!id || !strpbrk(id, "\r\n"));
	if (event)
		put_line(out, "event: ", event, strlen(event));
	if (id)
		put_line(out, "id: ", id, strlen(id));
	for (;;) {
		size_t n = line_length(data, len);

		put_line(out, "data: ", data, n);
		if (n == len)
			break;
		if (data[n] == '\r' && n + 1 < len && data[n + 1] == '\n')
			n++;
		data += n + 1;
		len -= n + 1;
	}
	text_add(out, "\n", 1);
}

/* ---- reading ---- */

static void empty(struct text *text)
{
	text->len = 0;
	if (text->data)
		*text->data = '\0';
}

static void put(struct text *text, const char *value, size_t len)
{
	empty(text);
	text_add(text, value, len);
}

static void dispatch(struct sse_reader *reader,
	void (*each)(void *data, const struct sse_event *event), void *data)
{
	struct sse_event event = {
		.event = reader->event.len ? reader->event.data : "message",
		.id = reader->id.len ? reader->id.data : "",
		.data = reader->data.len ? reader->data.data : "",
		.len = reader->data.len,
	};

	if (reader->has_data)
		each(data, &event);
	empty(&reader->event);
	empty(&reader->data);
	reader->has_data = false;
}

static bool take_field(
	struct sse_reader *reader, const char *name, size_t name_len, const char *value, size_t len)
{
	if (name_len == 4 && memcmp(name, "data", 4) == 0) {
		if (reader->data.len + len + 1 > SSE_EVENT_MAX)
			return false;
		if (reader->has_data)
			text_add(&reader->data, "\n", 1);
		text_add(&reader->data, value, len);
		reader->has_data = true;
	} else if (name_len == 5 && memcmp(name, "event", 5) == 0 && !memchr(value, '\0', len)) {
		put(&reader->event, value, len);
	} else if (name_len == 2 && memcmp(name, "id", 2) == 0 && !memchr(value, '\0', len)) {
		put(&reader->id, value, len);
	}
	return true;
}

static bool take_line(struct sse_reader *reader,
	void (*each)(void *data, const struct sse_event *event), void *data)
{
	const char *line = reader->line.len ? reader->line.data : "";
	size_t len = reader->line.len;
	const char *colon, *value;

	if (!reader->begun && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
		line += 3;
		len -= 3;
	}
	reader->begun = true;
	if (!len) {
		dispatch(reader, each, data);
		return true;
	}
	colon = memchr(line, ':', len);
	if (!colon)
		return take_field(reader, line, len, "", 0);
	value = colon + 1;
	if (value < line + len && *value == ' ')
		value++;
	return take_field(
		reader, line, (size_t)(colon - line), value, (size_t)(line + len - value));
}

bool sse_read(struct sse_reader *reader, const char *bytes, size_t len,
	void (*each)(void *data, const struct sse_event *event), void *data)
{
	while (len) {
		size_t n;

		if (reader->after_cr && *bytes == '\n') {
			bytes++;
			len--;
		}
		reader->after_cr = false;
		n = line_length(bytes, len);
		if (reader->line.len + n > SSE_EVENT_MAX)
			return false;
		text_add(&reader->line, bytes, n);
		if (n == len)
			return true;
		reader->after_cr = bytes[n] == '\r';
		if (!take_line(reader, each, data))
			return false;
		empty(&reader->line);
		bytes += n + 1;
		len -= n + 1;
	}
	return true;
}

void sse_reader_free(struct sse_reader *reader)
{
	text_free(&reader->line);
	text_free(&reader->event);
	text_free(&reader->id);
	text_free(&reader->data);
	*reader = (struct sse_reader){ 0 };
}
