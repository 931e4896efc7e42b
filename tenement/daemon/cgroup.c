#include "daemon/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup_place.h"
#include "common/files.h"
#include "common/log.h"
#include "daemon/cgroup_tree.h"
#include "daemon/instance.h"
#include "mem.h"

#define NAME_TRIES    64
#define FIRST_SECONDS 0.005
#define LAST_SECONDS  1.0
#define PATIENCE      5.0 /* of an end, for groups that do not go */
#define PIDS_AT_ONCE  4096

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

static void on_end_timer(struct ev_loop *loop, ev_timer *timer, int events);

int cgroup_start(struct daemon *d, struct ten_error *err)
{
	ev_timer_init(&end_timer, on_end_timer, 0., 0.);
	return cgroup_tree_start(d, err);
}

static bool is_v2(void)
{
	return cgroup_tree_version(CGROUP_CORE) == 2;
}

char *cgroup_describe(void)
{
	if (!cgroup_tree_version(CGROUP_CORE))
		return mem_printf("none, process groups (%s)", cgroup_tree_why_not(CGROUP_CORE));
	return mem_printf("version %u (%s)", cgroup_tree_version(CGROUP_CORE),
		cgroup_tree_folder(CGROUP_CORE));
}

/* ---- one group ---- */

char *cgroup_make(const char *key)
{
	uint64_t number = daemon_now_ms();

	for (int i = 0; cgroup_tree_version(CGROUP_CORE) && i < NAME_TRIES; i++) {
		autofree char *name = mem_printf("%s.%" PRIx64, key, number + (uint64_t)i);

		if (cgroup_tree_make(name) == 0)
			return mem_steal(&name);
		if (errno == EEXIST)
			continue;
		log_warn("%s: no control group: %s/%s: %s", key, cgroup_tree_folder(CGROUP_CORE),
			name, strerror(errno));
		return NULL;
	}
	return NULL;
}

int cgroup_open(const char *name)
{
	if (!is_v2() || !name)
		return -1;
	return cgroup_tree_open(CGROUP_CORE, name, ".", O_RDONLY | O_DIRECTORY);
}

char *cgroup_folder(const char *name)
{
	return is_v2() && name ? mem_printf("%s/%s", cgroup_tree_folder(CGROUP_CORE), name) : NULL;
}

int cgroup_join(const char *name, pid_t pid, struct ten_error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	if (cgroup_tree_write(CGROUP_CORE, name, "cgroup.procs", text) < 0)
		return ten_error_set(
			err, errno, "%s/%s/cgroup.procs", cgroup_tree_folder(CGROUP_CORE), name);
	return 0;
}

int cgroup_enter(const int *doors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (write(doors[i], "0", 1) != 1)
			return -1;
	return 0;
}

int cgroup_freezer_open(const char *name)
{
	return cgroup_tree_open(
		CGROUP_CORE, name, is_v2() ? "cgroup.freeze" : "freezer.state", O_WRONLY);
}

static int write_text(int fd, const char *text)
{
	return pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text) ? 0 : -1;
}

int cgroup_freeze(int freezer)
{
	return write_text(freezer, is_v2() ? "1" : "FROZEN");
}

int cgroup_thaw(int freezer)
{
	return write_text(freezer, is_v2() ? "0" : "THAWED");
}

bool cgroup_is_frozen(const char *name)
{
	autofree char *text =
		cgroup_tree_read(CGROUP_CORE, name, is_v2() ? "cgroup.freeze" : "freezer.state");

	return text && (*text == '1' || *text == 'F'); /* FREEZING is on its way */
}

int cgroup_reclaim_open(const char *name, char text[24])
{
	autofree char *used = NULL;

	if (cgroup_tree_version(CGROUP_MEMORY) == 1) {
		snprintf(text, 24, "0");
		return cgroup_tree_open(CGROUP_MEMORY, name, "memory.force_empty", O_WRONLY);
	}
	used = cgroup_tree_read(CGROUP_MEMORY, name, "memory.current");
	if (!used)
		return -1;
	snprintf(text, 24, "%.*s", (int)strcspn(used, "\n"), used);
	return cgroup_tree_open(CGROUP_MEMORY, name, "memory.reclaim", O_WRONLY);
}

size_t cgroup_pids(const char *name, pid_t *pids, size_t max)
{
	autofree char *text = cgroup_tree_read(CGROUP_CORE, name, "cgroup.procs");
	size_t count = 0;

	for (char *rest = text, *line; rest && count < max && (line = strsep(&rest, "\n"));) {
		long pid = strtol(line, NULL, 10);

		if (pid > 1)
			pids[count++] = (pid_t)pid;
	}
	return count;
}

/* Version 1 has no such word: all are held still, so that none is missed while it forks, and go as
 * soon as they are let loose. Whoever got away is met the next time. */
static void kill_each(const char *name)
{
	autofree pid_t *pids = mem_alloc(PIDS_AT_ONCE * sizeof(*pids));
	size_t count;

	if (!is_v2())
		cgroup_tree_write(CGROUP_CORE, name, "freezer.state", "FROZEN");
	count = cgroup_pids(name, pids, PIDS_AT_ONCE);
	for (size_t i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	if (!is_v2())
		cgroup_tree_write(CGROUP_CORE, name, "freezer.state", "THAWED");
}

void cgroup_kill(const char *name)
{
	/* Before Linux 5.14 there is no cgroup.kill. */
	if (!is_v2() || cgroup_tree_write(CGROUP_CORE, name, "cgroup.kill", "1") < 0)
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

static bool try_remove(const char *name)
{
	if (cgroup_tree_remove(name) == 0)
		return true;
	cgroup_kill(name);
	/* A tenant of our own uid may have made groups below its own. */
	cgroup_tree_remove_below(name);
	return cgroup_tree_remove(name) == 0;
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
			log_warn("%s/%s: what is in it does not end",
				cgroup_tree_folder(CGROUP_CORE), ending->name);
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

	if (!cgroup_tree_version(CGROUP_CORE) || try_remove(name))
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

static void sweep(struct daemon *d, const char *name)
{
	if (is_in_use(d, name))
		return;
	log_info("ending the control group %s of an earlier life", name);
	cgroup_end(d, name);
}

void cgroup_sweep(struct daemon *d)
{
	cgroup_tree_each(d, sweep);
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
	cgroup_tree_stop();
}
