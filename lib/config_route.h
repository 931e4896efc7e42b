/*
 * What a file says about traffic: [route.NAME] and [routing].
 */
#ifndef TEN_CONFIG_ROUTE_H
#define TEN_CONFIG_ROUTE_H

#include "config_file.h"
#include "toml.h"

#define CONFIG_WEIGHT_MAX 10000

/* ENTRY is NAME = { split = ... }; the name is valid. */
void config_route_read(struct config_file *file, const struct toml_entry *entry);
void config_routes_clear(struct config_file *file);

/* ENTRY is the whole table [routing]. */
void config_routing_read(struct config_file *file, const struct toml_entry *entry);

#endif
