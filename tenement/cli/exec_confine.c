#include "cli/exec_confine.h"

#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "common/confine.h"
#include "common/confine_filter.h"
#include "mem.h"

#define RIGHTS_ALL (CONFINE_READ | CONFINE_WRITE | CONFINE_DEVICES | CONFINE_OPTIONAL)

/* An answer that is not understood would give too much or too little. */
static int read_paths(const json_t *list, struct confine_path *paths, struct ten_error *err)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		int64_t rights = answer_number(item, "rights");

		paths[i] = (struct confine_path){ .path = answer_text(item, "path"),
			.rights = (unsigned)rights };
		if (*paths[i].path != '/' || rights < 0 || rights & ~(int64_t)RIGHTS_ALL)
			return ten_error_set(err, 0, "the daemon's answer is not understood");
	}
	return 0;
}

int exec_confine(const json_t *identity, struct ten_error *err)
{
	const json_t *said = json_object_get(identity, "confine");
	const json_t *list = said ? answer_list(said, "paths") : NULL;
	autofree struct confine_path *paths = NULL;
	struct confine_filters filters = { 0 };
	struct confine confine = { .filters = &filters };
	int rc;

	if (strcmp(answer_text(identity, "isolation"), "sandbox") != 0)
		return 0;
	if (!json_is_object(said) || !json_array_size(list))
		return ten_error_set(err, 0, "the daemon did not say what its sandbox is");
	confine.port = (uint16_t)answer_number(said, "port");
	confine.path_count = json_array_size(list);
	paths = mem_alloc(confine.path_count * sizeof(*paths));
	confine.paths = paths;
	rc = read_paths(list, paths, err);
	if (rc == 0)
		rc = confine_filters_make(&filters, err);
	if (rc == 0)
		rc = confine_apply(&confine, err);
	confine_filters_clear(&filters);
	return rc;
}
