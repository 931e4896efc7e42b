/*
 * The rows of options.def as data, and the structs that their values are kept in.
 */
#ifndef TEN_OPTIONS_H
#define TEN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_BOOL,
	OPTION_INT,
	OPTION_STRING,
	OPTION_PATH,
	OPTION_ENUM,
	OPTION_LIST,
	OPTION_MAP,
	OPTION_TABLES,
	OPTION_LADDER,
	OPTION_TIMES,
	OPTION_PATHS,
	OPTION_FRACTION,
};

/* Paths in one value, and pairs in one table of credentials. */
#define OPTION_PATHS_MAX ((size_t)64)

enum option_scope { OPTION_SETTING, OPTION_LISTENER, OPTION_SERVICE, OPTION_TENANT };
enum option_change { OPTION_LIVE, OPTION_RESTART, OPTION_BOOT, OPTION_CONFIRM };

struct option {
	enum option_scope scope;
	enum option_type type;
	const char *name;
	const char *fallback; /* the default, as TOML */
	int64_t min, max;     /* INT, and FRACTION in hundredths */
	const char *choices;  /* ENUM, separated by | */
	enum option_change change;
	const char *given; /* what this build can give; see options.def */
	const char *prose;
	size_t offset; /* of the value in its struct */
};

extern const struct option options[];
extern const size_t option_count;

/* The option NAME of SCOPE, or NULL. A tenant has all of a service's. */
const struct option *option_find(enum option_scope scope, const char *name);

/* The name in SCOPE that is nearest to NAME (for "did you mean"), or NULL when none is near. */
const char *option_suggest(enum option_scope scope, const char *name);

/* String pairs in the order of their names. */
struct option_map {
	size_t count;
	struct option_pair {
		char *name;
		char *value;
	} * pairs;
};
const char *option_map_get(const struct option_map *map, const char *name); /* NULL: not there */

/* Of each table of mounts a list has its source, its destination, and one of the two words. */
#define OPTION_MOUNT_STRINGS 3
#define OPTION_MOUNT_READ    "r"
#define OPTION_MOUNT_WRITE   "w"
#define OPTION_MOUNTS_MAX    64

/* How a tenant goes to sleep: seconds without work until it is frozen and until it is stopped; 0:
 * that never happens. */
struct option_ladder {
	int64_t frozen, stopped;
};

/* The values. BOOL is a bool; INT an int64_t; ENUM an int, the place in its choices; STRING and
 * PATH an owned char * (PATH absolute), NULL when unset; LIST an owned NULL-terminated array, never
 * NULL; MAP a struct option_map; TABLES as a LIST, see OPTION_MOUNT_STRINGS; LADDER a struct
 * option_ladder; TIMES and PATHS as a LIST; FRACTION an int64_t, in hundredths. */
#define OPTION_FIELD_BOOL(name)     bool name;
#define OPTION_FIELD_INT(name)      int64_t name;
#define OPTION_FIELD_ENUM(name)     int name;
#define OPTION_FIELD_STRING(name)   char *name;
#define OPTION_FIELD_PATH(name)     char *name;
#define OPTION_FIELD_LIST(name)     char **name;
#define OPTION_FIELD_MAP(name)      struct option_map name;
#define OPTION_FIELD_TABLES(name)   char **name;
#define OPTION_FIELD_LADDER(name)   struct option_ladder name;
#define OPTION_FIELD_TIMES(name)    char **name;
#define OPTION_FIELD_FRACTION(name) int64_t name;
#define OPTION_FIELD_PATHS(name)    char **name;

struct listener_values {
#define LISTENER(type, name, ...) OPTION_FIELD_##type(name)
#include "options.def"
	bool api; /* of api_listen */
};

struct setting_values {
#define SETTING(type, name, ...) OPTION_FIELD_##type(name)
#include "options.def"
	struct listener_values *listeners; /* `listen` or [[settings.listener]], and api_listen, in
					      one list; owned */
	size_t listener_count;
};

struct service_values {
#define SERVICE(type, name, ...) OPTION_FIELD_##type(name)
#include "options.def"
};

struct tenant_values {
#define TENANT(type, name, ...) OPTION_FIELD_##type(name)
#include "options.def"
};

/* Places in the choices of the ENUMs, which the program asks for by name. */
enum setting_cgroups { CGROUPS_AUTO, CGROUPS_V2, CGROUPS_V1, CGROUPS_NONE };
enum spec_stop_signal {
	STOP_SIGTERM,
	STOP_SIGINT,
	STOP_SIGQUIT,
	STOP_SIGHUP,
	STOP_SIGUSR1,
	STOP_SIGUSR2,
	STOP_SIGWINCH,
	STOP_SIGNALS
};
enum spec_ready { READY_LISTEN, READY_HEALTH, READY_NOTIFY };
enum spec_restart { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER };
enum spec_isolation { ISOLATION_PROCESS, ISOLATION_NAMESPACE, ISOLATION_SANDBOX };
enum spec_sandbox { SANDBOX_AUTO, SANDBOX_GVISOR, SANDBOX_NATIVE };
enum spec_network { NETWORK_HOST, NETWORK_NONE, NETWORK_PRIVATE };
enum spec_idle_connections { IDLE_CONNECTIONS_KEEP, IDLE_CONNECTIONS_IGNORE };
enum spec_storage_over { STORAGE_OVER_WARN, STORAGE_OVER_READONLY, STORAGE_OVER_STOP };
enum spec_log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum tenant_state { TENANT_ON_DEMAND, TENANT_RUNNING, TENANT_STOPPED, TENANT_SUSPENDED };

/* The name at PLACE among CHOICES ("a|b|c"), copied into OUT. */
const char *option_choice(const struct option *option, int place, char *out, size_t size);

/* Hundredths as in TOML: "2", "0.5", "0.25". */
#define OPTION_FRACTION_SIZE 32
void option_fraction_spell(int64_t hundredths, char text[OPTION_FRACTION_SIZE]);

#endif
