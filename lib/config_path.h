/*
 * Paths as text: nothing here looks at a file system.
 */
#ifndef TEN_CONFIG_PATH_H
#define TEN_CONFIG_PATH_H

#include <stdbool.h>

/* PATH, which is meant relative to FOLDER unless it is absolute, without empty and "." parts. The
 * caller frees. */
char *config_path_join(const char *folder, const char *path);

/* The absolute PATH with its ".." parts taken back too. The caller frees. */
char *config_path_normalize(const char *path);

/* PATH without its last part ("/" for what has but one). The caller frees. */
char *config_path_parent(const char *path);

/* The last part of PATH. */
const char *config_path_name(const char *path);

/* Whether the normalized absolute PATH is FOLDER or inside it. */
bool config_path_within(const char *path, const char *folder);

#endif
