#include "log_checkpoint.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "mem.h"

#define PAGES_WORTH_IT 2000
#define PAGES_TOO_MANY 65536 /* then the writer has to wait: the disk is slower than what comes */

struct log_checkpoint {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool due;
	bool over;
	sqlite3 *sqlite; /* the thread's own */
};

static void *run(void *data)
{
	struct log_checkpoint *checkpoint = data;

	pthread_mutex_lock(&checkpoint->lock);
	while (!checkpoint->over) {
		if (!checkpoint->due) {
			pthread_cond_wait(&checkpoint->news, &checkpoint->lock);
			continue;
		}
		checkpoint->due = false;
		pthread_mutex_unlock(&checkpoint->lock);
		/* Whatever goes wrong in here goes wrong in the next commit, too. */
		sqlite3_wal_checkpoint_v2(
			checkpoint->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		pthread_mutex_lock(&checkpoint->lock);
	}
	pthread_mutex_unlock(&checkpoint->lock);
	return NULL;
}

/* After each commit. */
static int on_commit(void *data, sqlite3 *writer, const char *name, int pages)
{
	struct log_checkpoint *checkpoint = data;

	if (pages >= PAGES_TOO_MANY)
		sqlite3_wal_checkpoint_v2(writer, name, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
	else if (pages >= PAGES_WORTH_IT) {
		pthread_mutex_lock(&checkpoint->lock);
		checkpoint->due = true;
		pthread_cond_signal(&checkpoint->news);
		pthread_mutex_unlock(&checkpoint->lock);
	}
	return SQLITE_OK;
}

struct log_checkpoint *log_checkpoint_start(const char *path, sqlite3 *writer)
{
	struct log_checkpoint *checkpoint = mem_alloc(sizeof(*checkpoint));
	sigset_t all, before;
	int failed;

	if (sqlite3_open_v2(path, &checkpoint->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW,
		    NULL) != SQLITE_OK ||
		sqlite3_exec(checkpoint->sqlite, "PRAGMA synchronous = NORMAL; PRAGMA user_version",
			NULL, NULL, NULL) != SQLITE_OK) {
		sqlite3_close(checkpoint->sqlite);
		free(checkpoint);
		return NULL;
	}
	pthread_mutex_init(&checkpoint->lock, NULL);
	pthread_cond_init(&checkpoint->news, NULL);
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&checkpoint->thread, NULL, run, checkpoint);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		sqlite3_close(checkpoint->sqlite);
		free(checkpoint);
		return NULL;
	}
	sqlite3_wal_hook(writer, on_commit, checkpoint);
	return checkpoint;
}

void log_checkpoint_stop(struct log_checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	pthread_mutex_lock(&checkpoint->lock);
	checkpoint->over = true;
	pthread_cond_signal(&checkpoint->news);
	pthread_mutex_unlock(&checkpoint->lock);
	pthread_join(checkpoint->thread, NULL);
	pthread_cond_destroy(&checkpoint->news);
	pthread_mutex_destroy(&checkpoint->lock);
	sqlite3_close(checkpoint->sqlite);
	free(checkpoint);
}
