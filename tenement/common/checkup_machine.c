/* Limits of the machine, users, programs, and databases. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "calendar.h"
#include "common/checkup.h"
#include "common/files.h"
#include "common/program_find.h"
#include "common/programs.h"
#include "mem.h"

#define LIMITS   "limits"
#define USERS    "users"
#define PROGRAMS "programs"

/* A running tenant takes pipes for its output, its socket, what it sends and what is passed on. */
#define DESCRIPTORS_PER_TENANT 8
#define DESCRIPTORS_MIN        4096
#define PIDS_PER_TENANT        8
#define PIDS_MIN               4096
#define WATCHES_MIN            1024
#define INSTANCES_MIN          16
#define YEAR_OF_NOW            2024
#define NOFILE_DEFAULT         4096 /* who asks for no more takes what there is */

/* -1: it does not say. */
static int64_t number_in(const char *path)
{
	autofree char *text = files_read(AT_FDCWD, path, 256, NULL, NULL);

	return text ? strtoll(text, NULL, 10) : -1;
}

static void find_sysctl(struct checkup *checkup, const char *name, const char *path, int64_t least,
	const char *lost, const char *todo)
{
	int64_t have = number_in(path);

	if (have >= 0)
		checkup_add(checkup, LIMITS, name, have >= least, lost, todo,
			"%" PRId64 ", %" PRId64 " are wanted", have, least);
}

static int64_t at_least(int64_t least, int64_t wanted)
{
	return wanted > least ? wanted : least;
}

static void find_limits(struct checkup *checkup)
{
	int64_t tenants = (int64_t)checkup->tenants;
	int64_t files = at_least(DESCRIPTORS_MIN, tenants * DESCRIPTORS_PER_TENANT);
	struct rlimit have;

	find_sysctl(checkup, "inotify watches", "/proc/sys/fs/inotify/max_user_watches",
		at_least(WATCHES_MIN, 2 * tenants),
		"changes of files and sockets are found by looking twice a minute",
		"sysctl fs.inotify.max_user_watches");
	find_sysctl(checkup, "inotify instances", "/proc/sys/fs/inotify/max_user_instances",
		INSTANCES_MIN, "the daemon may not start", "sysctl fs.inotify.max_user_instances");
	find_sysctl(checkup, "pid_max", "/proc/sys/kernel/pid_max",
		at_least(PIDS_MIN, tenants * PIDS_PER_TENANT), "not all tenants can run at once",
		"sysctl kernel.pid_max");
	find_sysctl(checkup, "threads-max", "/proc/sys/kernel/threads-max",
		at_least(PIDS_MIN, tenants * PIDS_PER_TENANT), "not all tenants can run at once",
		"sysctl kernel.threads-max");
	if (getrlimit(RLIMIT_NOFILE, &have) < 0)
		return;
	checkup_add(checkup, LIMITS, "descriptors (RLIMIT_NOFILE)",
		have.rlim_max == RLIM_INFINITY || (int64_t)have.rlim_max >= files,
		"not all tenants can run at once", "LimitNOFILE= of the unit, or ulimit -Hn",
		"%" PRIu64 ", %" PRId64 " are wanted", (uint64_t)have.rlim_max, files);
	if (checkup->nofile)
		checkup_add(checkup, LIMITS, "nofile_limit",
			have.rlim_max == RLIM_INFINITY || (int64_t)have.rlim_max >= checkup->nofile,
			"tenants have fewer descriptors than nofile_limit says",
			"LimitNOFILE= of the unit, or ulimit -Hn",
			"the hard limit is %" PRIu64 ", the largest nofile_limit %" PRId64,
			(uint64_t)have.rlim_max, checkup->nofile)
			->asked = checkup->nofile > NOFILE_DEFAULT;
}

/* ---- users ---- */

/* Who of /etc/subuid has uids of FIRST to LAST. The caller frees; NULL: nobody. */
static char *who_overlaps(uint32_t first, uint32_t last)
{
	autofree char *text = files_read(AT_FDCWD, "/etc/subuid", 1 << 20, NULL, NULL);
	char *rest = text, *line;

	while (rest && (line = strsep(&rest, "\n"))) {
		char *name = strsep(&line, ":"), *start = line ? strsep(&line, ":") : NULL;
		uint64_t from = start ? strtoull(start, NULL, 10) : 0;
		uint64_t count = line ? strtoull(line, NULL, 10) : 0;

		if (name && count && from <= last && from + count > first)
			return mem_strdup(name);
	}
	return NULL;
}

static char *who_is_in(uint32_t first, uint32_t last)
{
	struct passwd *entry;
	char *name = NULL;

	setpwent();
	while (!name && (entry = getpwent()))
		if (entry->pw_uid >= first && entry->pw_uid <= last)
			name = mem_strdup(entry->pw_name);
	endpwent();
	return name;
}

static void find_users(struct checkup *checkup)
{
	const struct setting_values *settings = checkup->settings;
	const char *proxy = settings->proxy_user ? settings->proxy_user : "tenement-proxy";
	bool there = getpwnam(proxy) != NULL;
	autofree char *user = NULL, *sub = NULL;
	unsigned first = 0, last = 0;

	checkup_add(checkup, USERS, "proxy_user", there || !settings->proxy_user,
		"the daemon cannot start as root", "useradd --system the user", "%s%s", proxy,
		there                  ? ""
		: settings->proxy_user ? ": no such user"
				       : ": no such user, a uid of uid_range does as well")
		->asked = !there && settings->proxy_user;
	if (sscanf(settings->uid_range ? settings->uid_range : "", "%u-%u", &first, &last) != 2)
		return;
	user = who_is_in(first, last);
	checkup_add(checkup, USERS, "uid_range", !user,
		"a tenant may be given the uid of a user of the machine",
		"another uid_range (needs `ten apply --confirm`)", "%u-%u%s%s", first, last,
		user ? " holds " : "", user ? user : "");
	sub = who_overlaps(first, last);
	checkup_add(checkup, USERS, "uid_range and subuids", !sub,
		"a container of a user of the machine may have a tenant's uid",
		"another uid_range, or another range in /etc/subuid", "%s%s",
		sub ? "/etc/subuid gives some of them to " : "apart", sub ? sub : "");
}

/* ---- programs ---- */

static void find_programs(struct checkup *checkup)
{
	static const char *const ours[] = { "tenement-keeper", "tenementd", "tenement-proxy",
		"tenement-logger", "tenement-tracer", "tenement-init" };
	const char *missing = NULL;
	struct checkup_finding *finding;
	bool there;

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		autofree char *path = programs_path(ours[i]);

		if (access(path, X_OK) < 0)
			missing = ours[i];
	}
	checkup_add(checkup, PROGRAMS, "tenement's own", !missing, "`ten serve` does not start",
		"install the package anew", "%s", missing ? missing : "there")
		->asked = true;
	there = program_find("runsc", "/", PROGRAM_PATH) == 0;
	finding = checkup_add(checkup, PROGRAMS, "runsc (gVisor)", there, "no sandbox = \"gvisor\"",
		"install runsc", "%s", there ? "there" : "not in PATH");
	finding->asked = checkup->asks_gvisor;
	checkup_need(finding, "sandbox", "gvisor");
}

static void find_databases(struct checkup *checkup)
{
	void *sqlite = dlopen("libsqlite3.so.0", RTLD_LAZY);
	const char *unknown = calendar_zone_known("Europe/Berlin") ? NULL : "Europe/Berlin";
	time_t now = time(NULL);
	struct tm parts = { 0 };

	checkup_add(checkup, PROGRAMS, "SQLite", sqlite != NULL, "no `ten usage`",
		"install libsqlite3-0", "%s", sqlite ? "there" : "no libsqlite3.so.0");
	if (sqlite)
		dlclose(sqlite);
	checkup_add(checkup, PROGRAMS, "time zones", !unknown,
		"awake and wake_at cannot name zones", "install tzdata", "%s%s",
		unknown ? "no " : "there", unknown ? unknown : "");
	gmtime_r(&now, &parts);
	checkup_add(checkup, PROGRAMS, "the clock", parts.tm_year + 1900 >= YEAR_OF_NOW,
		"schedules and logs go by a wrong time",
		"set the clock (chrony, systemd-timesyncd)", "%d-%02d-%02d UTC",
		parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

void checkup_machine(struct checkup *checkup)
{
	find_limits(checkup);
	find_users(checkup);
	find_programs(checkup);
	find_databases(checkup);
}
