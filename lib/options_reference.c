/*
 * Prints the table of options, for scripts/check-options: options_reference man|markdown. Fails
 * when an option says nothing of itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options_doc.h"

static int check_prose(void)
{
	int result = EXIT_SUCCESS;

	for (size_t i = 0; i < option_count; i++) {
		const char *prose = options[i].prose;
		size_t len = strlen(prose);
		if (len > 10 && prose[len - 1] == '.')
			continue;
		fprintf(stderr, "lib/options.def: %s has no line of prose that ends with a dot\n",
			options[i].name);
		result = EXIT_FAILURE;
	}
	return result;
}

int main(int argc, char **argv)
{
	struct text out = { 0 };

	if (argc != 2 || (strcmp(argv[1], "man") != 0 && strcmp(argv[1], "markdown") != 0)) {
		fprintf(stderr, "usage: options_reference man|markdown\n");
		return 2;
	}
	options_doc_print(
		&out, strcmp(argv[1], "man") == 0 ? OPTIONS_DOC_MAN : OPTIONS_DOC_MARKDOWN);
	fputs(out.data, stdout);
	text_free(&out);
	return check_prose();
}
