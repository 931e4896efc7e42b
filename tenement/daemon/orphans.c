#include "daemon/orphans.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "common/log.h"
#include "daemon/instance.h"
#include "daemon/keeper_link.h"
#include "daemon/uids.h"
#include "mem.h"

#define CHILDREN_MAX (1u << 20)
#define ENVIRON_MAX  (1u << 20)

/* Where tenants have uids of their own these are the proof; else what it was started with is. The
 * caller frees. */
static char *owner_of(struct daemon *d, pid_t pid)
{
	char path[64];
	autofree char *environment = NULL;
	struct stat st;
	size_t len = 0;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (d->root && stat(path, &st) == 0 && uids_key(st.st_uid))
		return mem_strdup(uids_key(st.st_uid));
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	environment = files_read(AT_FDCWD, path, ENVIRON_MAX, &len, NULL);
	for (size_t at = 0; environment && at < len; at += strlen(environment + at) + 1) {
		if (strncmp(environment + at, ORPHANS_MARK "=", strlen(ORPHANS_MARK) + 1) == 0)
			return mem_strdup(environment + at + strlen(ORPHANS_MARK) + 1);
	}
	return NULL;
}

static bool is_known(struct daemon *d, pid_t pid)
{
	struct run *run;

	HASH_FIND(by_pid, d->runs, &pid, sizeof(pid), run);
	return run || pid == getpid() || keeper_link_is_child(pid);
}

static void end_if_orphan(struct daemon *d, pid_t pid)
{
	autofree char *key = is_known(d, pid) ? NULL : owner_of(d, pid);
	const struct instance *instance = key ? instance_find(d, key) : NULL;

	if (!key || !strchr(key, ':') ||
		(instance && instance->run && instance->run->exit == PLAN_EXIT_NONE))
		return;
	log_warn("%s: its process %d outlived it: SIGKILL", key, (int)pid);
	if (getpgid(pid) == pid)
		kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
}

void orphans_end(struct daemon *d)
{
	char path[64];
	autofree char *list = NULL;
	char *rest, *word;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getppid(), (int)getppid());
	list = files_read(AT_FDCWD, path, CHILDREN_MAX, NULL, NULL);
	rest = list;
	while ((word = strsep(&rest, " "))) {
		pid_t pid = (pid_t)strtol(word, NULL, 10);

		if (pid > 1)
			end_if_orphan(d, pid);
	}
}
