#include "daemon/command_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/program_find.h"
#include "config_path.h"
#include "daemon/instance.h"
#include "daemon/spawn.h"
#include "mem.h"

static const char *path_of(char *const *env)
{
	for (; *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return PROGRAM_PATH;
}

static int check_words(
	const struct spawn_words *words, const struct ten_spec *spec, struct ten_error *err)
{
	int why;

	/* What is in a root of its own is seen from in there alone. */
	if (spec->values.rootfs)
		return 0;
	if (access(words->workdir, F_OK) < 0 && errno == ENOENT) {
		/* Its own folder is made when it is started. */
		if (config_path_within(words->workdir, spec->dir))
			return 0;
		return ten_error_set(err, ENOENT, "workdir \"%s\"", words->workdir);
	}
	why = program_find(words->argv[0], words->workdir, path_of(words->env));
	return why ? ten_error_set(err, why, "command \"%s\"", words->argv[0]) : 0;
}

int command_check(struct daemon *d, const struct ten_spec *spec, struct ten_error *err)
{
	struct run scratch = { .port = spawn_any_port(d) };
	struct spawn_words words;
	int rc = -1;

	scratch.socket_path = spawn_socket_path(d, spec, err);
	if (!scratch.socket_path)
		return -1;
	if (spawn_words_make(d, spec, &scratch, &words, err) == 0)
		rc = check_words(&words, spec, err);
	spawn_words_free(&words);
	free(scratch.socket_path);
	return rc;
}
