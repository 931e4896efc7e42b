#include "daemon/accepted_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/helper.h"
#include "mem.h"

#define SLICE 8 /* texts at once: a wake waits for no more */

struct queued {
	TAILQ_ENTRY(queued) next;
	accepted_store *store;
	size_t len;
	const char *text; /* behind the name */
	char name[];
};

static TAILQ_HEAD(, queued) queue = TAILQ_HEAD_INITIALIZER(queue);
static ev_check turn;
static ev_idle busy; /* keeps the loop from sleeping */
static struct helper syncer;
static bool sync_again; /* what was stored since it began */

static void sync_here(struct daemon *d)
{
	if (syncfs(d->own_fd) < 0)
		log_warn("syncing %s: %s", d->data_dir, strerror(errno));
}

/* It holds nothing of the daemon's but the folder. */
static void syncer_main(int folder)
{
	dup2(folder, STDIN_FILENO);
	syscall(SYS_close_range, 3u, ~0u, 0u);
	_exit(syncfs(STDIN_FILENO) < 0 ? errno : 0);
}

static void sync_begin(struct daemon *d);

static void on_synced(struct daemon *d, struct helper *helper, const siginfo_t *end)
{
	(void)helper;
	if (end->si_code == CLD_EXITED && end->si_status)
		log_warn("syncing %s: %s", d->data_dir, strerror(end->si_status));
	if (sync_again && TAILQ_EMPTY(&queue))
		sync_begin(d);
}

static void sync_begin(struct daemon *d)
{
	pid_t pid;

	sync_again = syncer.pid != 0;
	if (syncer.pid)
		return;
	pid = helper_fork(d, &syncer, on_synced);
	if (pid == 0)
		syncer_main(d->own_fd);
	if (pid < 0)
		sync_here(d);
}

static void store_one(struct daemon *d, struct queued *queued)
{
	TAILQ_REMOVE(&queue, queued, next);
	queued->store(d, queued->name, queued->text, queued->len);
	free(queued);
}

static void stop(struct daemon *d)
{
	ev_check_stop(d->loop, &turn);
	ev_idle_stop(d->loop, &busy);
}

static void on_turn(struct ev_loop *loop, ev_check *watcher, int events)
{
	struct daemon *d = ev_userdata(loop);

	(void)watcher;
	(void)events;
	for (int i = 0; i < SLICE && !TAILQ_EMPTY(&queue); i++)
		store_one(d, TAILQ_FIRST(&queue));
	if (!TAILQ_EMPTY(&queue))
		return;
	stop(d);
	sync_begin(d);
}

static void nothing(struct ev_loop *loop, ev_idle *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events;
}

void accepted_queue_sync(struct daemon *d)
{
	if (TAILQ_EMPTY(&queue))
		sync_begin(d);
}

void accepted_queue_add(
	struct daemon *d, const char *name, const char *text, size_t len, accepted_store *store)
{
	size_t name_size = strlen(name) + 1;
	struct queued *queued = mem_alloc(sizeof(*queued) + name_size + len);

	queued->store = store;
	memcpy(queued->name, name, name_size);
	memcpy(queued->name + name_size, text, len);
	queued->text = queued->name + name_size;
	queued->len = len;
	TAILQ_INSERT_TAIL(&queue, queued, next);
	if (ev_is_active(&turn))
		return;
	ev_check_init(&turn, on_turn);
	ev_check_start(d->loop, &turn);
	ev_idle_init(&busy, nothing);
	ev_idle_start(d->loop, &busy);
}

void accepted_queue_store(struct daemon *d, const char *name)
{
	struct queued *queued, *next;

	for (queued = TAILQ_FIRST(&queue); queued; queued = next) {
		next = TAILQ_NEXT(queued, next);
		if (strcmp(queued->name, name) == 0)
			store_one(d, queued);
	}
}

void accepted_queue_finish(struct daemon *d)
{
	if (TAILQ_EMPTY(&queue) && !syncer.pid)
		return;
	while (!TAILQ_EMPTY(&queue))
		store_one(d, TAILQ_FIRST(&queue));
	stop(d);
	sync_here(d);
}
