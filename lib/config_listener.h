/*
 * The addresses that are listened on, looked at together: whether all of them can be had.
 */
#ifndef TEN_CONFIG_LISTENER_H
#define TEN_CONFIG_LISTENER_H

#include "config_file.h"

/* What `listen` or the [[settings.listener]] of FILE contradict each other in becomes its problem,
 * at the later of two. Each by itself has been checked. */
void config_listeners_check(struct config_file *file);

#endif
