#include "options_doc.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

static const struct {
	enum option_scope scope;
	const char *table;
	const char *about;
} scopes[] = {
	{ OPTION_SETTING, "[settings]", "In tenement.toml only." },
	{ OPTION_LISTENER, "[[settings.listener]]",
		"Instead of listen, where more is to be said of one address." },
	{ OPTION_SERVICE, "[service.NAME]",
		"A template that tenants are made from. Every key but command has a default; each "
		"may "
		"be said again in a [tenant], env key by key." },
	{ OPTION_TENANT, "[tenant]", "Of a tenant alone, beside all keys of a service." },
};

/* "a|b|c" as "a, b or c". */
static char *spell_choices(const char *choices, const char *quote)
{
	struct text out = { 0 };

	while (*choices) {
		size_t len = strcspn(choices, "|");
		text_printf(&out, "%s%.*s%s", quote, (int)len, choices, quote);
		choices += len;
		if (*choices++ != '|')
			break;
		text_puts(&out, strchr(choices, '|') ? ", " : " or ");
	}
	return text_steal(&out);
}

char *options_doc_type(const struct option *option)
{
	char from[OPTION_FRACTION_SIZE], to[OPTION_FRACTION_SIZE];

	switch (option->type) {
	case OPTION_BOOL:
		return mem_strdup("true or false");
	case OPTION_INT:
		return mem_printf("%" PRId64 " to %" PRId64, option->min, option->max);
	case OPTION_FRACTION:
		option_fraction_spell(option->min, from);
		option_fraction_spell(option->max, to);
		return mem_printf("%s to %s, in steps of 0.01", from, to);
	case OPTION_STRING:
		return mem_strdup("string");
	case OPTION_PATH:
		return mem_strdup("path");
	case OPTION_ENUM:
		return spell_choices(option->choices, "\"");
	case OPTION_LIST:
		return mem_strdup("array of strings");
	case OPTION_TIMES:
		return mem_strdup("string or array of strings");
	case OPTION_PATHS:
		return mem_strdup("path or array of paths");
	case OPTION_LADDER:
		return mem_strdup("array of { after, to }");
	case OPTION_MAP:
		return mem_strdup("table of strings");
	default:
		return mem_strdup("array of tables");
	}
}

const char *options_doc_change(const struct option *option)
{
	switch (option->change) {
	case OPTION_LIVE:
		return "at once";
	case OPTION_RESTART:
		return "restarts the tenant";
	case OPTION_BOOT:
		return "at the next start";
	default:
		return "at the next start, with --confirm";
	}
}

char *options_doc_given(const struct option *option)
{
	autofree char *given = NULL;

	/* Choices that are all there is to the value are no limit of the build. */
	if (strcmp(option->given, "*") == 0)
		return mem_strdup("");
	if (!*option->given)
		return mem_strdup("This build cannot give it: leave it out.");
	given = spell_choices(option->given, option->type == OPTION_ENUM ? "\"" : "");
	return mem_printf("This build takes %s.", given);
}

static bool has_default(const struct option *option)
{
	return *option->fallback != '\0';
}

/* TEXT with what roff would read as more than text made harmless. */
static void put_man(struct text *out, const char *text)
{
	for (const char *at = text; *at; at++) {
		if (*at == '\\')
			text_puts(out, "\\e");
		else if (*at == '-')
			text_puts(out, "\\-");
		else if ((*at == '.' || *at == '\'') && at == text)
			text_printf(out, "\\&%c", *at);
		else
			text_add(out, at, 1);
	}
}

static void print_man(struct text *out, const struct option *option)
{
	autofree char *type = options_doc_type(option);
	autofree char *given = options_doc_given(option);

	text_puts(out, ".TP\n.B ");
	put_man(out, option->name);
	text_puts(out, "\n");
	put_man(out, option->prose);
	text_puts(out, "\n");
	if (*given) {
		put_man(out, given);
		text_puts(out, "\n");
	}
	text_puts(out, ".br\n");
	put_man(out, type);
	if (has_default(option)) {
		text_puts(out, "; default ");
		put_man(out, option->fallback);
	}
	text_puts(out, "; a change acts ");
	put_man(out, option->change == OPTION_RESTART ? "by a restart of the tenant"
						      : options_doc_change(option));
	text_puts(out, ".\n");
}

/* TEXT within a cell of a table. */
static void put_cell(struct text *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|' || *text == '<' || *text == '*' || *text == '_')
			text_puts(out, "\\");
		text_add(out, text, 1);
	}
}

static void print_markdown(struct text *out, const struct option *option)
{
	autofree char *type = options_doc_type(option);
	autofree char *given = options_doc_given(option);

	text_printf(out, "| `%s` | ", option->name);
	put_cell(out, type);
	text_puts(out, " | ");
	if (has_default(option))
		text_printf(out, "`%s`", option->fallback);
	text_printf(out, " | %s | ", options_doc_change(option));
	put_cell(out, option->prose);
	if (*given) {
		text_puts(out, " ");
		put_cell(out, given);
	}
	text_puts(out, " |\n");
}

static void print_scope(struct text *out, enum options_doc_format format, size_t place)
{
	if (format == OPTIONS_DOC_MAN) {
		text_puts(out, ".SS ");
		put_man(out, scopes[place].table);
		text_puts(out, "\n");
		put_man(out, scopes[place].about);
		text_puts(out, "\n");
	} else {
		text_printf(out, "%s### `%s`\n\n%s\n\n", place ? "\n" : "", scopes[place].table,
			scopes[place].about);
		text_puts(out, "| key | value | default | a change acts | |\n"
			       "|---|---|---|---|---|\n");
	}
	for (size_t i = 0; i < option_count; i++) {
		if (options[i].scope != scopes[place].scope)
			continue;
		if (format == OPTIONS_DOC_MAN)
			print_man(out, &options[i]);
		else
			print_markdown(out, &options[i]);
	}
}

void options_doc_print(struct text *out, enum options_doc_format format)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		print_scope(out, format, i);
}
