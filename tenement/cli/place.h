/*
 * Which configuration is meant: the nearest tenement.toml or conf.d, or what flags say.
 */
#ifndef TEN_PLACE_H
#define TEN_PLACE_H

#include <stdbool.h>

#include "cli/cli.h"
#include "config_set.h"
#include "error.h"

#define PLACE_SYSTEM "/etc/tenement"

struct machine;

struct place {
	char *main_path; /* of tenement.toml, absolute, whether or not there is one */
	char *conf_dir; /* the folder beside it, or that of --conf-dir; absolute. [settings] may say
			   otherwise. */
	char *data_dir_override;       /* absolute; NULL: not given */
	const struct machine *machine; /* what the files are held against; NULL: nothing */
	bool main_exists;
	bool conf_dir_given;
	bool conf_dir_exists;
};

/* Look for it. That there is none is no error: main_exists and conf_dir_exists say so. */
int place_find(const struct cli *cli, struct place *place, struct ten_error *err);

/* The same for a folder that is named: one that holds tenement.toml or conf.d, or a conf.d. */
int place_of_folder(
	const struct cli *cli, const char *folder, struct place *place, struct ten_error *err);

void place_free(struct place *place);
#define autoplace __attribute__((cleanup(place_free)))

/* PATH from the root; the caller frees. Links are kept as they are. */
char *place_absolute(const char *path);

#endif
