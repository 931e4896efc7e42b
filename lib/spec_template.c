#include "spec_template.h"

#include <string.h>

#include "mem.h"
#include "suggest.h"
#include "text.h"

static const char *const placeholder_names[PLACEHOLDER_COUNT] = {
	[PLACEHOLDER_NAME] = "name",
	[PLACEHOLDER_ID] = "id",
	[PLACEHOLDER_DATA_DIR] = "data_dir",
	[PLACEHOLDER_DIR] = "dir",
	[PLACEHOLDER_PORT] = "port",
	[PLACEHOLDER_SOCKET] = "socket",
	[PLACEHOLDER_VERSION] = "version",
	[PLACEHOLDER_RUNTIME_DIR] = "runtime_dir",
};

static int refuse_unknown(const char *name, unsigned allowed, struct ten_error *err)
{
	struct suggest suggest = suggest_begin(name);
	autotext struct text known = { 0 };

	for (int i = 0; i < PLACEHOLDER_COUNT; i++) {
		if (!(allowed & 1u << i))
			continue;
		suggest_offer(&suggest, placeholder_names[i]);
		text_printf(&known, " {%s}", placeholder_names[i]);
	}
	if (suggest.best)
		return ten_error_set(err, 0, "unknown placeholder {%s} (did you mean {%s}?)", name,
			suggest.best);
	return ten_error_set(err, 0,
		"unknown placeholder {%s}: there are%s, and \"{{\" stands for a brace", name,
		known.data);
}

/* The placeholder that TEXT, behind its "{", begins with; *len is how much of TEXT it is with its
 * "}". Negative: there is none, or not among ALLOWED. */
static int read_placeholder(const char *text, unsigned allowed, size_t *len, struct ten_error *err)
{
	size_t name_len = strcspn(text, "{}");
	autofree char *name = mem_strndup(text, name_len < 60 ? name_len : 60);

	if (text[name_len] != '}')
		return ten_error_set(
			err, 0, "a \"{\" without its \"}\": write \"{{\" where a brace is meant");
	*len = name_len + 1;
	for (int i = 0; i < PLACEHOLDER_COUNT; i++) {
		if (strcmp(placeholder_names[i], name) != 0)
			continue;
		if (allowed & 1u << i)
			return i;
		return ten_error_set(err, 0, "{%s} is not known here", name);
	}
	return refuse_unknown(name, allowed, err);
}

/* Check TEXT, and when OUT is not NULL write it there with VALUES filled in. */
static int walk(const char *text, unsigned allowed, const char *const *values, struct text *out,
	struct ten_error *err)
{
	while (*text) {
		size_t len = strcspn(text, "{}");
		int placeholder;

		if (out)
			text_add(out, text, len);
		text += len;
		if (!*text)
			break;
		if (text[1] == *text || *text == '}') {
			if (out)
				text_add(out, text, 1);
			text += text[1] == *text ? 2 : 1;
			continue;
		}
		placeholder = read_placeholder(text + 1, allowed, &len, err);
		if (placeholder < 0)
			return -1;
		if (out)
			text_puts(out, values[placeholder]);
		text += 1 + len;
	}
	return 0;
}

int spec_template_check(const char *text, unsigned allowed, struct ten_error *err)
{
	return walk(text, allowed, NULL, NULL, err);
}

char *spec_template_fill(
	const char *text, const char *const values[PLACEHOLDER_COUNT], struct ten_error *err)
{
	autotext struct text out = { 0 };
	unsigned known = 0;

	for (int i = 0; i < PLACEHOLDER_COUNT; i++)
		known |= values[i] ? 1u << i : 0;
	if (walk(text, known, values, &out, err) < 0)
		return NULL;
	return text_steal(&out);
}

char *spec_template_escape(const char *text)
{
	struct text out = { 0 };

	for (; *text; text++) {
		text_add(&out, text, 1);
		if (*text == '{' || *text == '}')
			text_add(&out, text, 1);
	}
	return text_steal(&out);
}
