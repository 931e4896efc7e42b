#include "daemon/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/become.h"
#include "common/files.h"
#include "common/log.h"
#include "common/process.h"
#include "daemon/cgroup.h"
#include "daemon/folders.h"
#include "daemon/health.h"
#include "daemon/lifecycle.h"
#include "daemon/network.h"
#include "daemon/oom.h"
#include "daemon/rollout.h"
#include "daemon/secrets.h"
#include "mem.h"
#include "names.h"
#include "text.h"
#include "wire.h"

#define RECORD_VERSION 1
#define RECORD_MAX     4096
#define SECRETS        "secrets" /* begins a line behind the others */
#define LEVEL          "level"   /* likewise */

#define AGAIN_SECONDS 1.0

static TAILQ_HEAD(, instance) due = TAILQ_HEAD_INITIALIZER(due);
static ev_timer again;           /* runs while the disk is full */
static struct ten_error refusal; /* what it says */

static const char *boot(void)
{
	static char id[PROCESS_BOOT_SIZE];

	if (!*id)
		process_boot(id);
	return id;
}

static char *record_path(const char *key)
{
	return mem_printf("instances/%s", key);
}

int record_write(struct daemon *d, const struct instance *instance, struct ten_error *err)
{
	const struct run *run = instance->run;
	autotext struct text text = { 0 };
	autofree char *path = record_path(instance->key);
	autofree char *network = network_record(run);
	autofree char *oom = oom_record(run);

	text_printf(&text,
		"%d %d %" PRIu64 " %" PRId64 " %" PRId64 " %u %d %d %d %" PRIu64 " %" PRIu64
		" %" PRIu64 " %u\n%s\n%s\n%" PRIu64 "\n%s\n" SECRETS " %016" PRIx64 "\n" LEVEL " "
		"%d %d\n%s\n%s\n",
		RECORD_VERSION, (int)run->pid, run->start_time,
		run->uid == BECOME_KEEP ? -1 : (int64_t)run->uid,
		run->uid == BECOME_KEEP ? -1 : (int64_t)run->gid, run->port, run->by_socket,
		run->ready, run->stopping, run->restart_hash, (uint64_t)(run->started * 1000),
		(uint64_t)(run->ready_since * 1000), instance->restarts,
		run->socket_path ? run->socket_path : "", run->cgroup ? run->cgroup : "",
		(uint64_t)(run->hold_until * 1000), boot(), run->secrets_stamp, run->init,
		(int)run->level, network, oom);
	return files_write_fast(d->run_fd, path, text.data, text.len, 0600, err);
}

void record_write_later(struct instance *instance)
{
	if (instance->record_due)
		return;
	instance->record_due = true;
	TAILQ_INSERT_TAIL(&due, instance, due);
}

void record_forget(struct instance *instance)
{
	if (!instance->record_due)
		return;
	instance->record_due = false;
	TAILQ_REMOVE(&due, instance, due);
}

/* That it runs turns the loop. */
static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
}

void record_write_due(struct daemon *d)
{
	struct instance *instance;

	if (ev_is_active(&again))
		return;
	while ((instance = TAILQ_FIRST(&due))) {
		bool first = !*refusal.text;

		if (instance->run && record_write(d, instance, &refusal) < 0) {
			if (first)
				log_error(
					"%s; it is tried again until there is room", refusal.text);
			ev_timer_init(&again, on_again, AGAIN_SECONDS, 0.);
			ev_timer_start(d->loop, &again);
			return;
		}
		record_forget(instance);
	}
	*refusal.text = '\0';
}

char *record_problem(void)
{
	return *refusal.text ? mem_printf("%s: a daemon that came back would not know all of those "
					  "that run",
				       refusal.text)
			     : NULL;
}

void record_remove(struct daemon *d, const char *key)
{
	autofree char *path = record_path(key);

	unlinkat(d->run_fd, path, 0);
}

/* Pids and start times of another boot are anybody's. */
static bool is_of_another_boot(const char *line)
{
	size_t len = strcspn(line, "\n");

	/* (earlier programs wrote none) */
	return len && *boot() && (len != strlen(boot()) || strncmp(line, boot(), len) != 0);
}

/* It becomes part of a path, and what is in it may be killed. */
static bool is_group_of(const char *group, const char *key)
{
	size_t len = strlen(key);

	return strncmp(group, key, len) == 0 && group[len] == '.' && *group != '.' &&
	       !strchr(group, '/');
}

const char *record_line(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ' ')
			return line + len + 1;
	}
	return NULL;
}

/* Programs before wrote none. */
static uint64_t secrets_of(const char *text)
{
	const char *line = record_line(text, SECRETS);

	return line ? strtoull(line, NULL, 16) : 0;
}

static void read_level(struct run *run, const char *text)
{
	const char *line = record_line(text, LEVEL);
	int init, level;

	if (!line || sscanf(line, "%d %d", &init, &level) != 2 || level < ISOLATION_PROCESS ||
		level > ISOLATION_SANDBOX)
		return;
	run->init = init;
	run->level = (enum spec_isolation)level;
}

static struct run *record_parse(char *text, const char *key, uint32_t *restarts)
{
	struct run *run = mem_alloc(sizeof(*run));
	uint64_t started, ready_since;
	int version, pid, by_socket, ready, stopping;
	int64_t uid, gid;
	unsigned port;
	char *newline = strchr(text, '\n');
	char *rest, *group, *hold;

	if (!newline ||
		sscanf(text,
			"%d %d %" SCNu64 " %" SCNd64 " %" SCNd64 " %u %d %d %d %" SCNu64 " %" SCNu64
			" %" SCNu64 " %u\n",
			&version, &pid, &run->start_time, &uid, &gid, &port, &by_socket, &ready,
			&stopping, &run->restart_hash, &started, &ready_since, restarts) != 13 ||
		version != RECORD_VERSION || pid <= 1 || port > 65535) {
		free(run);
		return NULL;
	}
	run->key = mem_strdup(key);
	run->pid = pid;
	run->uid = uid < 0 ? BECOME_KEEP : (uint32_t)uid;
	run->gid = gid < 0 ? BECOME_KEEP : (uint32_t)gid;
	run->port = (uint16_t)port;
	run->by_socket = by_socket;
	run->ready = ready;
	run->stopping = stopping;
	run->failed_fd = run->freezer_fd = -1;
	run->started = (double)started / 1000;
	run->ready_since = (double)ready_since / 1000;
	run->secrets_stamp = secrets_of(newline);
	read_level(run, newline);
	network_recall(run, newline);
	oom_recall(run, newline);
	newline++;
	rest = newline + strcspn(newline, "\n");
	group = *rest ? rest + 1 : rest; /* earlier programs wrote none */
	*rest = '\0';
	rest = group + strcspn(group, "\n");
	hold = *rest ? rest + 1 : rest;
	run->hold_until = (double)strtoull(hold, NULL, 10) / 1000;
	hold += strcspn(hold, "\n");
	if (is_of_another_boot(*hold ? hold + 1 : hold))
		run->start_time = 0;
	*rest = '\0';
	run->socket_path = *newline ? mem_strdup(newline) : NULL;
	run->cgroup = is_group_of(group, key) ? mem_strdup(group) : NULL;
	return run;
}

/* A process that belongs to no tenant any more, or whose record is damaged beyond use. */
static void end_stray(struct daemon *d, const char *key, struct run *run)
{
	if (run && process_is(run->pid, run->start_time)) {
		log_warn("%s: ending process %d, which cannot be taken over", key, (int)run->pid);
		kill(-run->pid, SIGKILL);
		kill(run->pid, SIGKILL);
	}
	run_free(d, run);
	record_remove(d, key);
}

static void adopt(struct daemon *d, const char *key)
{
	autofree char *path = record_path(key);
	autofree char *text = files_read(d->run_fd, path, RECORD_MAX, NULL, NULL);
	struct instance *instance = instance_find(d, key);
	uint32_t restarts = 0;
	struct run *run = text ? record_parse(text, key, &restarts) : NULL;

	/* Under a new keeper nobody drains its output any more: it cannot go on. */
	if (d->keeper_is_new || !run || !instance || !instance->spec || instance->run) {
		end_stray(d, key, run);
		return;
	}
	/* Its exit status comes from the keeper, if it still has it. */
	if (!process_is(run->pid, run->start_time))
		run->exit = PLAN_EXIT_FAILED;
	else if (run->cgroup && !cgroup_has(run->cgroup, run->pid))
		free(mem_steal(&run->cgroup)); /* somebody moved it: no word on its group */
	run->spec = spec_ref(instance->spec);
	secrets_adopted(d, run);
	d->port_given[run->port] = true;
	instance->restarts = restarts;
	instance->run = run;
	run->exit_status = -1;
	run->inherited = true;
	run_register(d, run);
	rollout_adopted(d, instance);
	lifecycle_adopted(d, instance);
}

void record_adopt_all(struct daemon *d)
{
	folders_visit(d, "instances", adopt);
}
