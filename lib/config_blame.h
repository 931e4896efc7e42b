/*
 * Whose fault it is when declarations do not fit together, and saying so there.
 */
#ifndef TEN_CONFIG_BLAME_H
#define TEN_CONFIG_BLAME_H

#include "config_state.h"

/* Of the files in play, the one that changed INSTANCE: its own, its service's, the main file. */
struct set_file *config_blame_instance(
	const struct config_set *set, const struct set_instance *instance);

/* FILE, in play, is to be put back. */
void config_blame(struct config_set *set, struct set_file *file);

/* The same, with a problem at AT in the text of SOURCE; where that is another file than FILE, the
 * problem is put on FILE as a whole and names the place. */
void config_blame_at(struct config_set *set, struct set_file *file, const struct set_file *source,
	struct config_at at, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Nobody declares SERVICE, which INSTANCE, or something else at AT in the text of USER, names. Its
 * removal, where that is the cause and something needs it, is blamed at the last resort only. */
enum blame { BLAME_NOW, BLAME_LATER };
enum blame config_blame_missing_service(struct config_set *set, struct set_service *service,
	const struct set_instance *instance, struct set_file *user, struct config_at at);

/* A file that is wrong by itself is judged no further, but that it names a service that nobody
 * declares is said with the rest. */
void config_blame_report_unknown(struct config_set *set);

/* Say of each service with tenants that wait for a refused file, how many they are. */
void config_blame_report_waiting(struct config_set *set);

#endif
