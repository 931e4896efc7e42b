/*
 * One file by itself: its text, what it declares and what is wrong with it, without regard to any
 * other file. All of its problems are found at once; what is right beside them is declared still,
 * so that messages about other files can say what this one would have had.
 */
#ifndef TEN_CONFIG_FILE_H
#define TEN_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "config_layer.h"
#include "config_problem.h"
#include "config_set.h"

struct config_service { /* [service.NAME] */
	char *name;
	struct config_at at;
	struct config_layer layer;
	const struct spec_common *common; /* see spec.h; NULL: not asked for yet */
};

struct config_tenant { /* [tenant], one of [[tenant]], or an id in [instances] */
	char *key;     /* "service:id"; owned, and with it: */
	char *service;
	char *id;
	struct config_at at;
	struct config_at service_at;
	struct config_layer layer;
};

struct config_route_table { /* [route.NAME] */
	struct config_route route;
	struct config_at at;
	struct config_at *split_at; /* of each part of the split */
};

struct config_reference { /* a service that [routing] names */
	char *service;
	struct config_at at;
};

struct config_file {
	const char *name;    /* the set's name of it */
	const char *display; /* as messages call it */
	const char *folder;  /* that its relative paths are meant from */
	char *copies;        /* of those; NULL: they are somebody else's */
	char *text;          /* in one piece with the struct */
	size_t len;

	struct config_service *services;
	size_t service_count;
	struct config_tenant *tenants;
	size_t tenant_count;
	struct config_route_table *routes;
	size_t route_count;

	/* Of the main file alone. */
	struct config_layer settings;
	struct config_layer *listeners; /* [[settings.listener]] */
	size_t listener_count;
	struct config_at listener_at;
	struct config_routing routing;
	struct config_reference *references;
	size_t reference_count;

	struct config_problems problems;
};

/* Never NULL; with .problems when something is wrong. NAME tells the main file from the others.
 * Everything is copied. */
struct config_file *config_file_parse(
	const char *name, const char *display, const char *folder, const char *text, size_t len);

/* The same, but that the three names are not copied, and outlive it. */
struct config_file *config_file_parse_named(
	const char *name, const char *display, const char *folder, const char *text, size_t len);

/* Likewise a file that could not be read, which is all that is wrong with it. */
struct config_file *config_file_unreadable(
	const char *name, const char *display, const char *folder, const char *why);

/* Whether TEXT is what FILE says. */
bool config_file_says(const struct config_file *file, const char *text, size_t len);

void config_file_free(struct config_file *file); /* NULL is allowed */

void config_routing_clear(struct config_routing *routing);

#endif
