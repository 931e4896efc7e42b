#include "cli/problems.h"

#include <string.h>

#include "cli/visible.h"
#include "mem.h"

static struct config_problem renamed(const struct config_problem *problem, const char *called)
{
	struct config_problem copy = *problem;

	if (called)
		copy.file = called;
	return copy;
}

void problem_print(FILE *out, const struct config_problem *problem, const char *called)
{
	struct config_problem copy = renamed(problem, called);
	autofree char *text = config_problem_text(&copy);
	autofree char *harmless = visible_lines(text);
	size_t len = strlen(harmless);

	fprintf(out, "%s%s", harmless, len && harmless[len - 1] == '\n' ? "" : "\n");
}

static json_t *string_or_null(const char *text)
{
	json_t *string = text ? json_string(text) : NULL;

	return string ? string : json_null();
}

json_t *problem_json(const struct config_problem *problem, const char *called)
{
	return json_pack("{sosisisoso}", "file", string_or_null(called ? called : problem->file),
		"line", problem->line, "column", problem->column, "message",
		string_or_null(problem->message), "excerpt", string_or_null(problem->excerpt));
}
