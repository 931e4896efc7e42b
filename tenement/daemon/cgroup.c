#include "daemon/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_place.h"
#include "common/files.h"
#include "common/log.h"
#include "common/process.h"
#include "daemon/instance.h"
#include "mem.h"
#include "option_value.h"

#define MOUNTINFO_MAX (4u << 20)
#define PROCS_MAX     (4u << 20)
#define NAME_TRIES    64
#define FIRST_SECONDS 0.005
#define LAST_SECONDS  1.0
#define PATIENCE      5.0 /* of an end, for groups that do not go */
#define PIDS_AT_ONCE  4096

enum layer { LAYER_NONE, LAYER_V1, LAYER_V2 };
static const char *const layer_names[] = { "none", "version 1", "version 2" };

static enum layer layer;
static char *base; /* our folder in the hierarchy */
static int base_fd = -1;
static char *why_not; /* of LAYER_NONE */

/* Groups that are to go. */
struct ending {
	char *name;
	double since;
	bool told;
	struct ending *next;
};
static struct ending *endings;
static ev_timer end_timer;
static double end_interval;

/* ---- files of a group ---- */

static int open_file(const char *name, const char *file, int flags)
{
	autofree char *path = mem_printf("%s/%s", name, file);

	return base_fd < 0 ? -1 : openat(base_fd, path, flags | O_CLOEXEC);
}

static int write_file(const char *name, const char *file, const char *text)
{
	autoclose int fd = open_file(name, file, O_WRONLY);

	if (fd < 0)
		return -1;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static char *read_file(const char *name, const char *file)
{
	autofree char *path = mem_printf("%s/%s", name, file);

	return base_fd < 0 ? NULL : files_read(base_fd, path, PROCS_MAX, NULL, NULL);
}

/* ---- which there is ---- */

static int try_layer(struct daemon *d, enum layer kind, const char *own)
{
	const char *needed = kind == LAYER_V2 ? "cgroup.freeze" : "freezer.state";
	struct stat st;

	if (!own) {
		why_not = mem_printf("%s is not mounted", layer_names[kind]);
		return -1;
	}
	base = mem_printf("%s/tenement-%016" PRIx64, own,
		option_hash_bytes(d->data_dir, strlen(d->data_dir), 0));
	if (mkdir(base, 0755) < 0 && errno != EEXIST)
		why_not = mem_printf("%s: %s", own, strerror(errno));
	else if ((base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
		 faccessat(base_fd, "cgroup.procs", W_OK, AT_EACCESS) < 0)
		why_not = mem_printf("%s: %s", base, strerror(errno));
	else if (fstatat(base_fd, needed, &st, 0) < 0)
		why_not = mem_printf("%s: no %s", base, needed);
	else
		layer = kind;
	if (layer == kind)
		return 0;
	if (base_fd >= 0)
		close(fd_steal(&base_fd));
	rmdir(base);
	free(base);
	base = NULL;
	return -1;
}

static void on_end_timer(struct ev_loop *loop, ev_timer *timer, int events);

int cgroup_start(struct daemon *d, struct ten_error *err)
{
	autofree char *mountinfo =
		files_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, NULL, NULL);
	autofree char *groups = files_read(AT_FDCWD, "/proc/self/cgroup", 65536, NULL, NULL);
	enum setting_cgroups wanted = (enum setting_cgroups)d->boot.cgroups;
	struct cgroup_place place = { 0 };

	ev_timer_init(&end_timer, on_end_timer, 0., 0.);
	cgroup_place_find(mountinfo ? mountinfo : "", groups ? groups : "", &place);
	if (wanted == CGROUPS_NONE)
		why_not = mem_strdup("cgroups = \"none\"");
	if (wanted == CGROUPS_V2 || wanted == CGROUPS_AUTO)
		try_layer(d, LAYER_V2, place.unified);
	if (layer == LAYER_NONE && (wanted == CGROUPS_V1 || wanted == CGROUPS_AUTO)) {
		autofree char *before = mem_steal(&why_not);

		if (try_layer(d, LAYER_V1, place.freezer) < 0 && before) {
			autofree char *now = mem_steal(&why_not);

			why_not = mem_printf("%s; %s", before, now);
		}
	}
	cgroup_place_clear(&place);
	if (layer == LAYER_NONE && (wanted == CGROUPS_V1 || wanted == CGROUPS_V2))
		return ten_error_set(err, 0,
			"cgroups = \"%s\" cannot be had: %s; remove the key to take what there is",
			wanted == CGROUPS_V1 ? "v1" : "v2", why_not);
	return 0;
}

char *cgroup_describe(void)
{
	if (layer == LAYER_NONE)
		return mem_printf("none, process groups (%s)", why_not);
	return mem_printf("%s (%s)", layer_names[layer], base);
}

/* ---- one group ---- */

char *cgroup_make(const char *key)
{
	uint64_t number = daemon_now_ms();

	for (int i = 0; layer != LAYER_NONE && i < NAME_TRIES; i++) {
		autofree char *name = mem_printf("%s.%" PRIx64, key, number + (uint64_t)i);

		if (mkdirat(base_fd, name, 0755) == 0)
			return mem_steal(&name);
		if (errno == EEXIST)
			continue;
		log_warn("%s: no control group: %s/%s: %s", key, base, name, strerror(errno));
		return NULL;
	}
	return NULL;
}

int cgroup_open(const char *name)
{
	if (layer != LAYER_V2 || !name)
		return -1;
	return openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int cgroup_join(const char *name, pid_t pid, struct ten_error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	if (write_file(name, "cgroup.procs", text) < 0)
		return ten_error_set(err, errno, "%s/%s/cgroup.procs", base, name);
	return 0;
}

int cgroup_freezer_open(const char *name)
{
	return open_file(name, layer == LAYER_V2 ? "cgroup.freeze" : "freezer.state", O_WRONLY);
}

static int write_text(int fd, const char *text)
{
	return pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text) ? 0 : -1;
}

int cgroup_freeze(int freezer)
{
	return write_text(freezer, layer == LAYER_V2 ? "1" : "FROZEN");
}

int cgroup_thaw(int freezer)
{
	return write_text(freezer, layer == LAYER_V2 ? "0" : "THAWED");
}

bool cgroup_is_frozen(const char *name)
{
	autofree char *text =
		read_file(name, layer == LAYER_V2 ? "cgroup.freeze" : "freezer.state");

	return text && (*text == '1' || *text == 'F'); /* FREEZING is on its way */
}

int cgroup_reclaim_open(const char *name, char text[24])
{
	autofree char *used = layer == LAYER_V2 ? read_file(name, "memory.current") : NULL;

	if (!used)
		return -1;
	snprintf(text, 24, "%.*s", (int)strcspn(used, "\n"), used);
	return open_file(name, "memory.reclaim", O_WRONLY);
}

size_t cgroup_pids(const char *name, pid_t *pids, size_t max)
{
	autofree char *text = read_file(name, "cgroup.procs");
	size_t count = 0;

	for (char *rest = text, *line; rest && count < max && (line = strsep(&rest, "\n"));) {
		long pid = strtol(line, NULL, 10);

		if (pid > 1)
			pids[count++] = (pid_t)pid;
	}
	return count;
}

uint64_t cgroup_memory(const char *name)
{
	autofree char *used = layer == LAYER_V2 ? read_file(name, "memory.current") : NULL;
	autofree pid_t *pids = mem_alloc(PIDS_AT_ONCE * sizeof(*pids));
	uint64_t sum = 0;

	if (used)
		return strtoull(used, NULL, 10);
	for (size_t i = cgroup_pids(name, pids, PIDS_AT_ONCE); i; i--)
		sum += process_memory(pids[i - 1]);
	return sum;
}

/* Version 1 has no such word: all are held still, so that none is missed while it forks, and go as
 * soon as they are let loose. Whoever got away is met the next time. */
static void kill_each(const char *name)
{
	autofree pid_t *pids = mem_alloc(PIDS_AT_ONCE * sizeof(*pids));
	size_t count;

	if (layer == LAYER_V1)
		write_file(name, "freezer.state", "FROZEN");
	count = cgroup_pids(name, pids, PIDS_AT_ONCE);
	for (size_t i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	if (layer == LAYER_V1)
		write_file(name, "freezer.state", "THAWED");
}

void cgroup_kill(const char *name)
{
	/* Before Linux 5.14 there is no cgroup.kill. */
	if (layer != LAYER_V2 || write_file(name, "cgroup.kill", "1") < 0)
		kill_each(name);
}

bool cgroup_has(const char *name, pid_t pid)
{
	char path[32];
	autofree char *text = NULL;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	text = files_read(AT_FDCWD, path, 65536, NULL, NULL);
	return text && cgroup_place_is(text, name);
}

/* ---- the end of groups ---- */

/* A tenant of our own uid may have made groups below its own. */
static void remove_below(const char *name)
{
	int fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
	if (folder)
		closedir(folder);
}

static bool try_remove(const char *name)
{
	if (unlinkat(base_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return true;
	cgroup_kill(name);
	remove_below(name);
	return unlinkat(base_fd, name, AT_REMOVEDIR) == 0;
}

static void arm(struct daemon *d)
{
	ev_timer_stop(d->loop, &end_timer);
	ev_now_update(d->loop);
	ev_timer_set(&end_timer, end_interval, 0.);
	ev_timer_start(d->loop, &end_timer);
}

static void on_end_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);
	struct ending **at = &endings;
	double now = daemon_now();

	(void)timer;
	(void)events;
	while (*at) {
		struct ending *ending = *at;

		if (try_remove(ending->name)) {
			*at = ending->next;
			free(ending->name);
			free(ending);
			continue;
		}
		if (!ending->told && now - ending->since > PATIENCE)
			log_warn("%s/%s: what is in it does not end", base, ending->name);
		ending->told = ending->told || now - ending->since > PATIENCE;
		at = &ending->next;
	}
	end_interval = end_interval * 2 < LAST_SECONDS ? end_interval * 2 : LAST_SECONDS;
	if (endings)
		arm(d);
}

void cgroup_end(struct daemon *d, const char *name)
{
	struct ending *ending;

	if (layer == LAYER_NONE || try_remove(name))
		return;
	ending = mem_alloc(sizeof(*ending));
	ending->name = mem_strdup(name);
	ending->since = daemon_now();
	ending->next = endings;
	endings = ending;
	end_interval = FIRST_SECONDS;
	arm(d);
}

/* NAME is a tenant's key with a number behind it. */
static bool is_in_use(struct daemon *d, const char *name)
{
	const char *dot = strrchr(name, '.');
	autofree char *key = dot ? mem_strndup(name, (size_t)(dot - name)) : NULL;
	const struct instance *instance = key ? instance_find(d, key) : NULL;

	return instance && instance->run && instance->run->cgroup &&
	       strcmp(instance->run->cgroup, name) == 0;
}

void cgroup_sweep(struct daemon *d)
{
	int fd = base_fd >= 0 ? openat(base_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
			is_in_use(d, entry->d_name))
			continue;
		log_info("ending the control group %s of an earlier life", entry->d_name);
		cgroup_end(d, entry->d_name);
	}
	if (folder)
		closedir(folder);
}

bool cgroup_busy(void)
{
	for (const struct ending *ending = endings; ending; ending = ending->next)
		if (daemon_now() - ending->since < PATIENCE)
			return true;
	return false;
}

void cgroup_stop(struct daemon *d)
{
	ev_timer_stop(d->loop, &end_timer);
	if (base)
		rmdir(base);
}
