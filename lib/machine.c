#include "machine.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "option_value.h"

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

void machine_add_lack(
	struct machine *machine, const char *name, const char *value, const char *why, ...)
{
	const struct option *option = option_find(OPTION_SERVICE, name);
	va_list args;

	assert(option);
	for (size_t i = 0; i < machine->count; i++)
		if (machine->lacks[i].option == option && same(machine->lacks[i].value, value))
			return;
	machine->lacks = mem_resize(machine->lacks, machine->count + 1, sizeof(*machine->lacks));
	va_start(args, why);
	machine->lacks[machine->count++] = (struct machine_lack){ .option = option,
		.value = value ? mem_strdup(value) : NULL,
		.why = mem_vprintf(why, args) };
	va_end(args);
}

/* Whether SPELLED, a value as in TOML, asks for nothing. */
static bool asks_for_nothing(const char *spelled)
{
	static const char *const nothings[] = { "", "0", "-1", "false", "\"\"", "[]", "{}" };

	for (size_t i = 0; i < sizeof(nothings) / sizeof(*nothings); i++)
		if (strcmp(spelled, nothings[i]) == 0)
			return true;
	return false;
}

static bool is_value(const char *spelled, const char *value)
{
	size_t quote = *spelled == '"', len = strlen(value);

	return strncmp(spelled + quote, value, len) == 0 && strlen(spelled + quote) == len + quote;
}

static bool is_listed(const char *spelled, const char *value)
{
	autofree char *quoted = mem_printf("\"%s\"", value);

	return strstr(spelled, quoted);
}

static bool is_asked_for(const struct machine_lack *lack, const void *values)
{
	autofree char *spelled = option_spell(lack->option, values);

	if (!lack->value)
		return !asks_for_nothing(spelled);
	return lack->option->type == OPTION_LIST ? is_listed(spelled, lack->value)
						 : is_value(spelled, lack->value);
}

const char *machine_lacks(
	const struct machine *machine, const struct option *option, const void *values)
{
	for (size_t i = 0; machine && i < machine->count; i++) {
		const struct machine_lack *lack = &machine->lacks[i];

		if (lack->option == option && is_asked_for(lack, values))
			return lack->why;
	}
	return NULL;
}

const char *machine_lacks_value(const struct machine *machine, const char *name, const char *value)
{
	for (size_t i = 0; machine && i < machine->count; i++)
		if (strcmp(machine->lacks[i].option->name, name) == 0 &&
			same(machine->lacks[i].value, value))
			return machine->lacks[i].why;
	return NULL;
}

void machine_clear(struct machine *machine)
{
	for (size_t i = 0; i < machine->count; i++) {
		free(machine->lacks[i].value);
		free(machine->lacks[i].why);
	}
	free(machine->lacks);
	*machine = (struct machine){ 0 };
}
