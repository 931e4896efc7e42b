#include "daemon/log_tail.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/log_reader.h"
#include "mem.h"
#include "text.h"

struct log_tail {
	struct log_ask *ask; /* NULL: it is over */
	struct text text;    /* what came */
	bool failed;
};

static void on_text(void *data, const char *text, size_t len)
{
	struct log_tail *tail = data;

	text_add(&tail->text, text, len);
}

static void on_end(void *data, int status, const char *why)
{
	struct log_tail *tail = data;

	(void)why;
	tail->ask = NULL;
	tail->failed = status != 200;
}

static const struct log_answer answers = { on_text, on_end };

struct log_tail *log_tail_ask(struct daemon *d, const char *key, int64_t count)
{
	struct log_question question = { .limit = count };
	struct log_tail *tail = mem_alloc(sizeof(*tail));
	size_t service_len = strcspn(key, ":");
	const char *id = key[service_len] ? key + service_len + 1 : "";

	if (service_len > NAMES_MAX || strlen(id) > NAMES_MAX)
		return tail;
	memcpy(question.service, key, service_len);
	memcpy(question.id, id, strlen(id));
	tail->ask = log_reader_ask(d, &question, &answers, tail);
	return tail;
}

void log_tail_free(struct log_tail *tail)
{
	if (tail->ask)
		log_ask_forget(tail->ask);
	text_free(&tail->text);
	free(tail);
}

bool log_tail_is_there(const struct log_tail *tail)
{
	return !tail->ask;
}

json_t *log_tail_lines(const struct log_tail *tail, size_t most)
{
	json_t *lines = NULL;
	size_t bytes = 0, first;

	if (!tail->ask && !tail->failed && tail->text.len)
		lines = json_loadb(tail->text.data, tail->text.len, JSON_ALLOW_NUL, NULL);
	if (!lines)
		return json_array();
	for (first = json_array_size(lines); first > 0; first--) {
		bytes += json_string_length(
			json_object_get(json_array_get(lines, first - 1), "message"));
		if (bytes > most)
			break;
	}
	while (first-- > 0)
		json_array_remove(lines, 0);
	return lines;
}
