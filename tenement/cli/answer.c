#include "cli/answer.h"

#include <stdio.h>
#include <unistd.h>

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

void answer_release(json_t **answer)
{
	json_decref(*answer);
	*answer = NULL;
}
