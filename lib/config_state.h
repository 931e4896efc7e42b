/*
 * Inside of a config_set: which files are in force or wait, and the index of what they declare.
 *
 * The index always holds the declarations of one text per file: the one in force, or during a
 * judgement the one that is "in play". Putting a file in play or back moves its declarations and
 * marks what depends on them; config_judge.c looks at nothing but what is marked.
 */
#ifndef TEN_CONFIG_STATE_H
#define TEN_CONFIG_STATE_H

#include <uthash.h>

#include "config_claims.h"
#include "config_file.h"
#include "config_set.h"

/* A growing list of things that somebody else owns. */
struct set_list {
	void **items;
	size_t count, room;
};

void set_list_add(struct set_list *list, void *item);

/* What is wanted of a file next: waits until it is accepted or something else is staged. */
struct set_wanted {
	bool waiting;
	struct config_file *text;        /* NULL: the file is gone */
	struct config_problems problems; /* of the text together with the others' */
};

struct set_file {
	UT_hash_handle hh;
	struct set_file *prev, *next; /* in the set's list of those that wait */
	bool listed;
	const char *name; /* the three live as long as it does */
	const char *display;
	const char *folder;
	struct config_file *good; /* in force; NULL: none */
	struct set_wanted wanted;

	/* Staged since the last judgement. */
	bool staged;
	bool staged_same;                /* as what is in force: it is not parsed again */
	struct config_file *staged_text; /* NULL: gone */
	struct config_file *seed;        /* until the first judgement */

	/* Of the judgement at work. */
	bool judged;
	bool was_staged;
	bool in_play;              /* the index has .wanted.text instead of .good */
	bool bad;                  /* to be put back, or put back */
	struct set_wanted *before; /* what .wanted was; NULL: outside of a judgement */
};

struct set_claimant {
	struct set_file *file;
	struct config_at at;
	const void *declaration; /* by kind: config_service, config_tenant, config_route_table */
};

/* A name that one file alone may declare: "service notes", "tenant notes:alice", "domain ...". */
struct set_resource {
	UT_hash_handle hh;
	struct set_claimant *claimants;
	size_t count;
	bool touched;
	char name[];
};

/* Who holds a folder in the trees of claims. */
enum set_owner { OWNER_SELF, OWNER_SERVICE, OWNER_INSTANCE };

struct set_service {
	enum set_owner owner;
	UT_hash_handle hh;
	char *name;
	struct set_resource *declared, *routed;
	struct set_instance *instances; /* all whose service's name this is */
	size_t instance_count;
	struct set_file *good_file; /* that declares it in force */
	char *folder;               /* as it is in the tree of claims; NULL: not there */

	struct service_values values; /* in force, where good_file is not NULL */
	uint64_t route_hash;          /* of what decides about its route, in force */

	bool touched;         /* on the judgement's list */
	bool redeclared;      /* .values are to be made again */
	bool members_changed; /* an instance came, went or changed its weight */
	bool reported;        /* its lack, once per judgement */
	bool faulty;          /* by itself, whoever its tenants are */
	size_t waiting;       /* tenants that wait for a file that was refused */
	unsigned sought;      /* the round in which these two were found out */
	bool kept;            /* its file takes it away, but it is used */
	bool refused;         /* a refused file would declare it */
};

struct set_instance {
	enum set_owner owner;
	UT_hash_handle hh;
	struct set_instance *prev, *next; /* in its service's list */
	struct set_service *service;
	struct set_resource *declared;
	const struct ten_spec *spec;   /* in force; NULL: none */
	const struct ten_spec *wanted; /* what the judgement came to */
	const struct ten_spec
		*claiming; /* whose claims are in the trees; one of the two, or NULL */
	bool dirty;        /* to be merged again */
	bool touched;      /* .wanted counts */
	char key[];
};

/* A strv in the making. */
struct change_names {
	char **items;
	size_t count, room;
};

struct change_lists {
	struct change_names accepted, unchanged, rejected, instances, routes;
	bool settings;
	struct config_template **templates;
	size_t template_count;
};

struct config_set {
	enum set_owner owner;
	struct config_place place;
	char *main_folder; /* of place.main_path */
	struct service_values service_defaults;
	struct tenant_values tenant_defaults;

	struct set_file *files;
	struct set_file *waiting;
	struct set_list staged;
	struct set_list seeds;      /* files with a seed, until the first judgement */
	struct change_lists seeded; /* what they changed, until a judgement tells it */

	struct set_resource *resources;
	struct set_service *services;
	struct set_instance *instances;
	size_t instance_count; /* in force */
	struct config_claims *folders;
	struct config_claims *sockets;

	struct setting_values settings;            /* in force */
	struct setting_values next_settings;       /* while the main file is in play */
	const struct setting_values *settings_now; /* one of the two */
	uint64_t spec_hash; /* of settings_now, as far as specs depend on them */

	/* A main file of which nothing was in force yet and that does not fit the others: its
	 * settings are in force all the same, and of its routing what names a service there is. */
	struct config_file *partial; /* NULL: there is none */
	struct config_routing partial_routing;
	bool partial_now; /* in the judgement at work: the main file's settings stay in play */

	/* Marked for the judgement at work. */
	struct set_list judged;
	struct set_list touched_resources;
	struct set_list touched_services;
	struct set_list touched_instances;
	struct set_list dirty_instances;
	struct set_list orphans; /* instances without a declared service */
	struct set_list bad;
	unsigned round;   /* counts up for ever */
	bool last_resort; /* see config_blame_missing_service() */

	struct config_problem *problems; /* the answer to config_set_problems() */
	size_t problem_count;
	bool problems_known;
	struct config_work work;
};

/* Files by name; set_file_get() makes one where there is none. */
struct set_file *set_file_find(const struct config_set *set, const char *name);
struct set_file *set_file_get(struct config_set *set, const char *name);
void set_file_free(struct config_set *set, struct set_file *file);
void set_file_list(struct config_set *set,
	struct set_file *file); /* put on or off the list of those that wait */
void set_wanted_clear(struct set_wanted *wanted);

/* The text of FILE that the index has; NULL: none. */
const struct config_file *set_file_text(const struct set_file *file);

/* Move FILE's declarations: from those in force to the wanted ones, and back. Settings of a main
 * file that was never in force stay at first, and go when FILE is put back once more. */
void set_file_play(struct config_set *set, struct set_file *file);
void set_file_put_back(struct config_set *set, struct set_file *file);

/* Whether there is anything of FILE to be put back. */
bool set_file_in_play(const struct config_set *set, const struct set_file *file);

/* The settings in force are those of the judgement again. */
void set_state_restore_settings(struct config_set *set);

struct set_resource *set_resource_find(
	const struct config_set *set, const char *kind, const char *name);
struct set_service *set_service_find(const struct config_set *set, const char *name);
struct set_instance *set_instance_find(const struct config_set *set, const char *key);

/* INSTANCE is to be judged in the next round. */
void set_instance_mark(struct config_set *set, struct set_instance *instance);

/* Which of its specs INSTANCE has in the trees of claims (NULL: none). */
void set_instance_claim(
	struct config_set *set, struct set_instance *instance, const struct ten_spec *spec);

/* Hold what is tenement's own in data_dir: at the beginning, settings_now being known. */
void set_state_claim_own(struct config_set *set);

/* Take away instances, services and resources that nobody declares and nothing is in force of. */
void set_state_sweep(struct config_set *set);

#endif
