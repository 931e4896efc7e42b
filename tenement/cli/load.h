/*
 * The configuration read from its files, without a daemon.
 */
#ifndef TEN_LOAD_H
#define TEN_LOAD_H

#include "cli/place.h"
#include "config_set.h"
#include "error.h"

/* A set with the main file alone judged: for its settings. The caller frees it. */
struct config_set *load_main(const struct cli *cli, const struct place *place);

/* And with all files of its conf_dir but the one called BUT (NULL: all). *conf_dir (the caller
 * frees) is the folder that was read. NULL with *err filled: there is a folder and it cannot be
 * read. */
struct config_set *load_all(const struct cli *cli, const struct place *place, const char *but,
	char **conf_dir, struct ten_error *err);

/* Whether NAME is that of a configuration file in a conf.d: not hidden, and ends in .toml. */
bool load_is_config_name(const char *name);

/* The whole of PATH ("-": standard input), at most LIMIT bytes. NULL with *err filled. The caller
 * frees. */
char *load_file(const char *path, size_t limit, size_t *len, struct ten_error *err);

/* The names of the configuration files in FOLDER, sorted (the caller frees by mem_strv_free), or
 * NULL with *err filled. */
char **load_names(const char *folder, struct ten_error *err);

/* Where the daemon of PLACE keeps its data: as flags or the main file say, also when that file has
 * errors. The caller frees. */
char *load_data_dir(const struct cli *cli, const struct place *place);

#endif
