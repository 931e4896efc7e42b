/*
 * The one table of flags, and the reading of a command line by it.
 *
 * Flags may stand before or after the command and its arguments: --name=value, --name value, -n 5,
 * -n5, -af. "--" ends them. What a flag means is the same for every command that takes it.
 */
#ifndef TEN_FLAGS_H
#define TEN_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum flag_id {
	FLAG_DATA_DIR,
	FLAG_CONF_DIR,
	FLAG_CONFIG,
	FLAG_SERVER,
	FLAG_TOKEN,
	FLAG_OUTPUT,
	FLAG_QUIET,
	FLAG_NO_COLOR,
	FLAG_TIMEOUT,
	FLAG_HELP,
	FLAG_ALL,
	FLAG_BY,
	FLAG_CHECK,
	FLAG_COMPLETION,
	FLAG_CONFIRM,
	FLAG_DECLARE,
	FLAG_DESCRIPTION,
	FLAG_DOMAIN,
	FLAG_DRY_RUN,
	FLAG_DUMP_JSON,
	FLAG_EXPIRES,
	FLAG_FOLLOW,
	FLAG_FORCE,
	FLAG_FROM,
	FLAG_ID,
	FLAG_INSTANCE,
	FLAG_LEVEL,
	FLAG_LINES,
	FLAG_MAN,
	FLAG_NAME,
	FLAG_ONCE,
	FLAG_PORT,
	FLAG_PRUNE,
	FLAG_READ_ONLY,
	FLAG_SEARCH,
	FLAG_SECRETS,
	FLAG_SINCE,
	FLAG_SORT,
	FLAG_TENANT,
	FLAG_TO,
	FLAG_UNTIL,
	FLAG_WEIGHT,
	FLAG_COUNT
};

struct flag {
	const char *name;  /* without the dashes */
	char letter;       /* 0: none */
	const char *value; /* what its value is called; NULL: it takes none */
	const char *env;   /* the environment variable that stands in for it; NULL: none */
	const char *brief; /* one line */
};

extern const struct flag flags[FLAG_COUNT];

#define FLAG_BIT(id) (UINT64_C(1) << (id))
#define FLAGS_GLOBAL (FLAG_BIT(FLAG_HELP + 1) - 1) /* those that every command takes */

struct flag_values {
	const char *value[FLAG_COUNT]; /* NULL: not given; "" for a flag without a value */
	uint64_t from_env; /* FLAG_BITs of those that a variable of the environment stands in for */
};

struct command;

/* Read ARGV (ARGC words after the program's name): flags into *values, the command into *command
 * (NULL: none was given), and everything else into *args (NULL-terminated, strings copied, the
 * caller frees by mem_strv_free). An error is one of usage; *command is set as far as it was known.
 * Variables of the environment are looked at for flags that are not there. */
int flags_parse(int argc, char **argv, struct flag_values *values, const struct command **command,
	char ***args, struct ten_error *err);

#endif
