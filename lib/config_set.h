/*
 * The desired state: what all configuration files together ask for.
 *
 * Texts go in by name; the set parses only those, and judges them together: a file that is wrong by
 * itself, or together with the others (two files claim one tenant, route, domain or folder; a
 * service that no file declares), keeps its last accepted text in force, so that nothing of it
 * changes. Work for a change does not grow with the number of files.
 *
 * Pure: reads no file, knows no clock. Names of files are the name in conf.d ("notes-alice.toml"),
 * except for the main file, whose name is "tenement.toml" with FLAG config_main.
 */
#ifndef TEN_CONFIG_SET_H
#define TEN_CONFIG_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "machine.h"
#include "options.h"

#define CONFIG_FILE_MAX     (64u << 10) /* bytes; so that hostile nesting cannot exhaust the stack */
#define CONFIG_MAIN         "../tenement.toml" /* the name of the main file in a set */
#define CONFIG_INSTANCE_MAX 128                /* room for "service:id" */

/* What the world around the files is. Strings are copied. */
struct config_place {
	const char *main_path; /* of tenement.toml, absolute; what messages call it */
	const char *conf_dir;  /* absolute; messages say conf_dir's last component + "/" + name */
	const char *data_dir_override; /* --data-dir; NULL: none. Likewise: */
	const char *domain_override;
	const char *conf_dir_override;
	int64_t port_override; /* --port: the port of `listen`'s first address; 0: none */
	bool root;             /* whether the daemon is root: decides the default runtime_dir */
	const char *xdg_runtime_dir;   /* NULL: none */
	const struct machine *machine; /* outlives the set; NULL: values are not held against it */
};

/* One thing that is wrong. */
struct config_problem {
	const char *file; /* as messages call it: "conf.d/notes-alice.toml" */
	int line, column; /* from 1; 0: the whole file */
	char *message;    /* owned by the set */
	char *excerpt;    /* the line itself; NULL: none */
};
/* "conf.d/alice.toml:7:1: unknown key ... \n  7 | memmory = 5\n    | ^\n"; the caller frees. */
char *config_problem_text(const struct config_problem *problem);

struct spec_common;

/* What one instance is asked to be, all layers merged: service, tenant (env by key). Immutable;
 * counted, because what runs is kept beside what is wanted. What the strings and lists of .values
 * say is shared by all tenants of a service that say nothing else. */
struct ten_spec {
	int references;
	const struct spec_common *common; /* owns what .values point to, argv and degraded */
	char *key;                        /* "notes:alice" */
	char *service_name;
	char *id;
	char *dir;  /* the tenant's own folder, absolute */
	char *file; /* the set's name of the file that declares it */
	int line;
	struct service_values values; /* env etc. merged, not interpolated (checked, though) */
	struct tenant_values tenant;
	char **argv;   /* words of command and args, not interpolated */
	char **claims; /* further folders below data_dir that the environment names with the id as a
			  component */
	char *socket_path; /* of the socket that `socket` chose; NULL: one of the daemon's choosing
			    */
	char **degraded;   /* defaults that the machine cannot give: "memory_limit_mb = 256
			      cannot be given: ..." */
	struct option_ladder ladder; /* what sleep or idle_timeout come to */
	uint64_t restart_hash;       /* over all that a change of restarts the tenant for */
	uint64_t live_hash;          /* over the rest */
	bool memory_limit_written;   /* and not the default: never to be run without */
	bool own_wake; /* it says itself, and not its service, what does not wake it */
};
const struct ten_spec *spec_ref(const struct ten_spec *spec);
void spec_unref(const struct ten_spec *spec); /* NULL is allowed */

/* Values for {placeholders} that are known only when a tenant is started. */
struct spec_place {
	const char *data_dir;
	const char *runtime_dir;
	const char *socket;
	uint16_t port;
};
/* TEMPLATE with {name} {id} {data_dir} {dir} {port} {socket} {version} {runtime_dir} filled in;
 * "{{" is "{" and "}}" is "}". The caller frees. NULL: an unknown one, *err says which. */
char *spec_interpolate(const struct ten_spec *spec, const struct spec_place *place,
	const char *template_text, struct ten_error *err);

/* A [route.NAME], or the lack of one. */
struct config_route {
	char *service;
	char *file;
	int line;
	int sticky; /* an enum sticky; -1: as the service says */
	size_t count;
	struct config_split {
		char *id;
		uint32_t weight;
	} * split; /* in the order of their ids */
};

struct config_routing {               /* [routing] */
	char *default_service;        /* NULL: none */
	struct option_map subdomains; /* name to service */
	struct option_map paths;      /* "/api" to service, longest first */
};

struct config_set;

struct config_set *config_set_new(const struct config_place *place);
void config_set_free(struct config_set *set);

/* Put TEXT (LEN bytes, copied; NULL: the file is gone) in line for the next judgement. A file that
 * could not be read is staged by config_set_stage_unreadable() and counts as wrong. Seeds are put
 * in force first. */
void config_set_stage(struct config_set *set, const char *name, const char *text, size_t len);
void config_set_stage_unreadable(struct config_set *set, const char *name, const char *why);

/* The last accepted text from an earlier life: taken as accepted when it still parses and merges.
 * All seeds come before the first config_set_judge(). */
void config_set_seed(struct config_set *set, const char *name, const char *text, size_t len);

struct config_template;

/* What a judgement changed. Owned by the caller, config_change_clear() frees. */
struct config_change {
	char **accepted;  /* names of files whose staged text is in force now (removals too) */
	char **unchanged; /* of those, the ones whose text was in force already */
	char **rejected;  /* names of files that keep their last accepted text, see problems */
	char **instances; /* keys whose spec appeared, changed or went */
	char **routes;    /* services whose [route] or balance or spawn_undeclared or set of
			     instances/weights changed: to publish again */
	bool settings;    /* [settings] or [routing] changed */
	struct config_template **templates; /* of services whose file changed, as it was before;
					       NULL at the end */
};
void config_change_clear(struct config_change *change);

/* Judge what is staged, put what is right in force, and say what changed. */
void config_set_judge(struct config_set *set, struct config_change *change);

/* The same without putting anything in force: what would be accepted, rejected and change, with
 * WANTED called for each changed instance (spec NULL: it would go) and the problems of the staged
 * texts appended to *problems (texts as of config_problem_text(), strv). Forgets what was staged.
 * Seeds are put in force first; what they change, the first judgement says. */
void config_set_try(struct config_set *set, struct config_change *change, char ***problems,
	void (*wanted)(void *data, const char *key, const struct ten_spec *spec), void *data);

/* Everything that is wrong now, sorted by file and line. Valid until the next call with SET. */
size_t config_set_problems(struct config_set *set, const struct config_problem **problems);

/* The values in force. */
const struct setting_values *config_set_settings(const struct config_set *set);
const struct config_routing *config_set_routing(const struct config_set *set);
const struct service_values *config_set_service(const struct config_set *set, const char *service);
/* The set's name of the file that declares SERVICE in force; NULL: none. */
const char *config_set_service_file(const struct config_set *set, const char *service);
const struct config_route *config_set_route(const struct config_set *set, const char *service);
const struct ten_spec *config_set_instance(
	const struct config_set *set, const char *key); /* not referenced for you */
size_t config_set_instance_count(const struct config_set *set);
void config_set_each_instance(const struct config_set *set,
	void (*visit)(void *data, const struct ten_spec *spec), void *data);
void config_set_each_instance_of(const struct config_set *set, const char *service,
	void (*visit)(void *data, const struct ten_spec *spec), void *data);
void config_set_each_service(
	const struct config_set *set, void (*visit)(void *data, const char *service), void *data);

/* The text in force of file NAME, or NULL; and which names there are (in force or staged or wrong).
 */
const char *config_set_text(const struct config_set *set, const char *name, size_t *len);
/* The text whose settings are in force: the main file's, also when it is wrong in that it does not
 * fit the others and none of it was in force before. */
const char *config_set_settings_text(const struct config_set *set, size_t *len);
void config_set_each_file(const struct config_set *set,
	void (*visit)(void *data, const char *name, bool good), void *data);
/* How much was done since the set was made, or was reset. */
struct config_work {
	size_t parsed; /* texts */
	size_t merged; /* specs, judged again each time */
};
struct config_work config_set_work(const struct config_set *set);
void config_set_work_reset(struct config_set *set);

/* How many tenants the text in force of file NAME declares (for the blast-radius guard). */
size_t config_set_file_tenants(const struct config_set *set, const char *name);

#endif
