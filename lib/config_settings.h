/*
 * The settings in force: defaults, the main file over them, the command line over both.
 */
#ifndef TEN_CONFIG_SETTINGS_H
#define TEN_CONFIG_SETTINGS_H

#include "config_file.h"
#include "config_set.h"

/* Fill in *settings. MAIN is the main file, or NULL when there is none. All paths are absolute;
 * data_dir has no ".." in it; runtime_dir is never NULL; listeners holds at least one. */
void config_settings_make(struct setting_values *settings, const struct config_place *place,
	const struct config_file *main);
void config_settings_clear(struct setting_values *settings);

/* Over all settings, and over those alone that decide about tenants' specs. */
uint64_t config_settings_hash(const struct setting_values *settings);
uint64_t config_settings_spec_hash(const struct setting_values *settings);

uint64_t config_routing_hash(const struct config_routing *routing);

/* The default runtime_dir for DATA_DIR: below /run/tenement for root, $XDG_RUNTIME_DIR/tenement
 * otherwise, and without that, in /tmp (the daemon makes it 0700 and refuses one it does not own).
 * Its name is made from DATA_DIR, so that two of them never meet. The caller frees. */
char *config_runtime_dir(const struct config_place *place, const char *data_dir);

#endif
