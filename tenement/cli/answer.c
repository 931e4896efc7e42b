#include "cli/answer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/visible.h"
#include "mem.h"
#include "text.h"

const char *answer_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int64_t answer_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_real(value))
		return (int64_t)json_real_value(value);
	return json_is_integer(value) ? json_integer_value(value) : -1;
}

bool answer_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

const json_t *answer_list(const json_t *object, const char *key)
{
	const json_t *list = json_object_get(object, key);

	return json_is_array(list) ? list : NULL;
}

size_t answer_count(const json_t *object, const char *key)
{
	return json_array_size(json_object_get(object, key));
}

char *answer_joined(const json_t *object, const char *key, const char *between)
{
	struct text out = { 0 };
	const json_t *list = answer_list(object, key);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *item = json_string_value(json_array_get(list, i));

		if (item)
			text_printf(&out, "%s%s", out.len ? between : "", item);
	}
	return text_steal(&out);
}

/* JSON leaves characters above 0x7f as they are, and some of them steer a terminal. */
static size_t harmless(void)
{
	return isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0;
}

void answer_print_line(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_COMPACT | harmless());
	putchar('\n');
}

void answer_print(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | harmless());
	putchar('\n');
}

/* A harmless string in place of VALUE; NULL: it is none, or harmless as it is. */
static json_t *harmless_string(const json_t *value)
{
	autofree char *text = NULL;

	if (!json_is_string(value))
		return NULL;
	text = visible_lines(json_string_value(value));
	return strcmp(text, json_string_value(value)) == 0 ? NULL : json_string(text);
}

static void make_object_harmless(json_t *object)
{
	autojson json_t *renamed = json_object();
	const char *key;
	json_t *value, *string;
	void *next;

	json_object_foreach_safe(object, next, key, value)
	{
		autofree char *name = visible_line(key);

		string = harmless_string(value);
		if (string)
			json_object_set_new(object, key, string);
		else
			answer_make_harmless(value);
		if (strcmp(name, key) != 0) {
			json_object_set(renamed, name, json_object_get(object, key));
			json_object_del(object, key);
		}
	}
	json_object_update(object, renamed);
}

void answer_make_harmless(json_t *answer)
{
	json_t *value, *string;
	size_t i;

	if (json_is_object(answer))
		make_object_harmless(answer);
	json_array_foreach (answer, i, value) {
		string = harmless_string(value);
		if (string)
			json_array_set_new(answer, i, string);
		else
			answer_make_harmless(value);
	}
}

void answer_release(json_t **answer)
{
	json_decref(*answer);
	*answer = NULL;
}
