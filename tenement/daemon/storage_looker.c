/* What the helper does: looks, a little at each of what it was asked, and no faster than it may. */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/project_quota.h"
#include "common/storage_walk.h"
#include "daemon/storage_helper.h"
#include "mem.h"

#define SLICE              500       /* entries of one, then comes the next */
#define ENTRIES_PER_SECOND 50000     /* of all */
#define ENTRIES_MOST       500000000 /* of one: it grows as fast as it is looked at */
#define NICE               10
#define AUDIT_SLACK        (1u << 20)

struct job {
	struct storage_ask ask;
	struct storage_answer answer;
	struct storage_walk *walk; /* NULL: there is no job here */
	bool gives;                /* the walk gives what it finds to the project */
	int own;                   /* the first folder, while there is a project; -1 */
	uint64_t begun;
	char folders[STORAGE_MESSAGE_MAX + 1];
	size_t folders_len;
};

static void say(struct job *job, const char *text)
{
	size_t len = strnlen(text, sizeof(job->answer.problem) - 1);

	memcpy(job->answer.problem, text, len);
	job->answer.problem[len] = '\0';
}

/* Above a tenant's own folder all is ours or the operator's; below, nothing is followed. */
static int open_below(const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, STORAGE_HELPER_DATA, path, &how, sizeof(how));
}

/* Whether a folder before PATH in the list has it below. */
static bool is_listed(const struct job *job, const char *path)
{
	for (const char *other = job->folders; other < path; other += strlen(other) + 1) {
		size_t len = strlen(other);

		if (strncmp(path, other, len) == 0 && (path[len] == '/' || !path[len]))
			return true;
	}
	return false;
}

static void give(void *data, int folder, const char *name, bool is_folder)
{
	struct job *job = data;
	struct ten_error err;

	(void)is_folder;
	if (project_quota_give(folder, name, job->ask.project, &err) < 0 && err.code != ENOENT &&
		err.code != ELOOP && err.code != EXDEV && !*job->answer.problem)
		say(job, err.text);
}

static void walk_begin(struct job *job, bool gives)
{
	storage_walk_free(job->walk);
	job->walk = storage_walk_new();
	job->gives = gives;
	if (gives)
		storage_walk_tell(job->walk, give, job);
	for (const char *path = job->folders; path < job->folders + job->folders_len;
		path += strlen(path) + 1) {
		int fd = is_listed(job, path) ? -1 : open_below(path);

		if (fd >= 0)
			storage_walk_add(job->walk, fd);
		else if (!is_listed(job, path) && errno != ENOENT)
			say(job, strerror(errno));
	}
}

/* Whether all folders are the project's; what the tenant did to what is below them is for an
 * audit. */
static bool all_given(const struct job *job)
{
	bool all = true;

	for (const char *path = job->folders; all && path < job->folders + job->folders_len;
		path += strlen(path) + 1) {
		autoclose int fd = open_below(path);

		all = fd < 0 || project_quota_is_of(fd, job->ask.project);
	}
	return all;
}

static void answer(struct job *job)
{
	const struct storage_sum *sum = storage_walk_sum(job->walk);
	struct ten_error err;
	uint64_t bytes, entries;

	job->answer.id = job->ask.id;
	job->answer.bytes = sum->bytes;
	job->answer.entries = sum->entries;
	job->answer.partial = sum->partial;
	job->answer.too_deep = sum->too_deep;
	job->answer.took_us = (clock_ns(CLOCK_MONOTONIC) - job->begun) / 1000;
	if (job->own >= 0 && !*job->answer.problem) {
		if (project_quota_used(job->own, job->ask.project, &bytes, &entries, &err) < 0) {
			say(job, err.text);
		} else {
			job->answer.bytes = bytes;
			job->answer.entries = entries;
			job->answer.partial = job->answer.too_deep = 0;
			job->answer.counted = 1;
		}
	}
	/* The daemon reads what it is sent, or is gone. */
	if (send(STORAGE_HELPER_LINK, &job->answer, sizeof(job->answer), MSG_NOSIGNAL) < 0)
		_exit(0);
	storage_walk_free(mem_steal(&job->walk));
	if (job->own >= 0)
		close(fd_steal(&job->own));
}

static void begin_with_project(struct job *job)
{
	struct ten_error err;

	job->own = open_below(job->folders);
	if (job->own < 0) {
		walk_begin(job, false);
		return;
	}
	if (project_quota_limit(job->own, job->ask.project, job->ask.limit_bytes, &err) < 0) {
		/* It is looked at as where there are no quotas. */
		say(job, err.text);
		close(fd_steal(&job->own));
		walk_begin(job, false);
	} else if (!all_given(job)) {
		walk_begin(job, true);
	} else if (job->ask.audit) {
		walk_begin(job, false);
	} else {
		job->walk = storage_walk_new(); /* of nothing */
	}
}

static void begin(struct job *job, const char *message, size_t len)
{
	if (len < sizeof(job->ask))
		return;
	memcpy(&job->ask, message, sizeof(job->ask));
	job->answer = (struct storage_answer){ 0 };
	job->folders_len = len - sizeof(job->ask);
	memcpy(job->folders, message + sizeof(job->ask), job->folders_len);
	job->folders[job->folders_len] = '\0';
	job->own = -1;
	job->begun = clock_ns(CLOCK_MONOTONIC);
	if (job->ask.project && job->folders_len)
		begin_with_project(job);
	else
		walk_begin(job, false);
}

/* A tenant can take its own files out of a project: then there is more than is counted. */
static bool is_evaded(struct job *job)
{
	const struct storage_sum *sum = storage_walk_sum(job->walk);
	struct ten_error err;
	uint64_t bytes, entries;

	if (job->own < 0 || !job->ask.audit || job->gives || !sum->entries ||
		project_quota_used(job->own, job->ask.project, &bytes, &entries, &err) < 0)
		return false;
	return sum->bytes > bytes + bytes / 16 + AUDIT_SLACK;
}

static void step(struct job *job)
{
	if (!storage_walk_step(job->walk, SLICE) &&
		storage_walk_sum(job->walk)->entries < ENTRIES_MOST)
		return;
	if (is_evaded(job))
		walk_begin(job, true);
	else
		answer(job);
}

static void be_modest(void)
{
	static const unsigned keep[] = { CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_SYS_ADMIN };
	bool reads = capng_have_capability(CAPNG_PERMITTED, CAP_DAC_READ_SEARCH);
	bool overrides = capng_have_capability(CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
	bool had[sizeof(keep) / sizeof(*keep)];

	for (size_t i = 0; i < sizeof(keep) / sizeof(*keep); i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, keep[i]);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < sizeof(keep) / sizeof(*keep); i++)
		if (had[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, keep[i]);
	/* Containers are often given the larger one alone. */
	if (!reads && overrides)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
	setpriority(PRIO_PROCESS, 0, NICE);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

/* Take what was asked; with nothing to do, wait for it. */
static void hear(struct job *jobs, bool wait)
{
	static char message[STORAGE_MESSAGE_MAX];
	ssize_t got;

	for (size_t i = 0; i < STORAGE_JOBS_MAX; i++) {
		if (jobs[i].walk)
			continue;
		do
			got = recv(STORAGE_HELPER_LINK, message, sizeof(message),
				wait ? 0 : MSG_DONTWAIT);
		while (got < 0 && errno == EINTR);
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0)
			_exit(0);
		begin(&jobs[i], message, (size_t)got);
		wait = false;
	}
}

void storage_helper_main(void)
{
	struct job *jobs = mem_alloc(STORAGE_JOBS_MAX * sizeof(*jobs));
	pid_t daemon = getppid();
	struct timespec pause = { 0 };

	prctl(PR_SET_NAME, "tenement-storage");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	if (getppid() != daemon)
		_exit(0);
	be_modest();
	for (;;) {
		uint64_t begun = clock_ns(CLOCK_MONOTONIC), took, least;
		unsigned at_work = 0;

		for (size_t i = 0; i < STORAGE_JOBS_MAX; i++)
			at_work += jobs[i].walk != NULL;
		hear(jobs, at_work == 0);
		for (size_t i = 0; i < STORAGE_JOBS_MAX; i++)
			if (jobs[i].walk)
				step(&jobs[i]);
		took = clock_ns(CLOCK_MONOTONIC) - begun;
		least = (uint64_t)at_work * SLICE * (1000000000 / ENTRIES_PER_SECOND);
		pause.tv_nsec = took < least ? (long)(least - took) : 0;
		if (pause.tv_nsec)
			nanosleep(&pause, NULL);
	}
}
