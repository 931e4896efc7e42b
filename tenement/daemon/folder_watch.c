#include "daemon/folder_watch.h"

#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "mem.h"

/* Two tenants may have their sockets in one folder, which has one number then. */
struct folder {
	int number;
	struct folder_watch *first;
	bool touched;
	UT_hash_handle hh;
};
static struct folder *folders;
static ev_io reader;
static int inotify = -1;

static void tell(int number)
{
	struct folder_watch *watch, *next;
	struct folder *folder;

	HASH_FIND_INT(folders, &number, folder);
	if (!folder || !folder->touched)
		return;
	folder->touched = false;
	DL_FOREACH_SAFE (folder->first, watch, next)
		watch->happened(watch->data);
}

static void touch(int number)
{
	struct folder *folder;

	HASH_FIND_INT(folders, &number, folder);
	if (folder)
		folder->touched = true;
}

/* One buffer in a turn of the loop, and each folder in it once: the folders are the tenants' own,
 * who can make events faster than they are acted on. */
static void on_inotify(struct ev_loop *loop, ev_io *io, int events)
{
	_Alignas(struct inotify_event) char buffer[4096];
	const struct inotify_event *event;
	ssize_t len = read(io->fd, buffer, sizeof(buffer));

	(void)loop;
	(void)events;
	if (len < 0)
		return;
	for (char *at = buffer; at < buffer + len; at += sizeof(*event) + event->len) {
		event = (const struct inotify_event *)(void *)at;
		touch(event->wd);
	}
	for (char *at = buffer; at < buffer + len; at += sizeof(*event) + event->len) {
		event = (const struct inotify_event *)(void *)at;
		tell(event->wd);
	}
}

static bool open_inotify(struct daemon *d)
{
	if (inotify >= 0)
		return true;
	inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (inotify < 0)
		return false;
	ev_io_init(&reader, on_inotify, inotify, EV_READ);
	ev_io_start(d->loop, &reader);
	return true;
}

void folder_watch_start(struct daemon *d, struct folder_watch *watch, const char *path,
	void (*happened)(void *data), void *data)
{
	struct folder *folder;

	watch->happened = happened;
	watch->data = data;
	watch->number = open_inotify(d) ? inotify_add_watch(inotify, path,
						  IN_CREATE | IN_MOVED_TO | IN_ATTRIB)
					: -1;
	if (watch->number < 0)
		return;
	HASH_FIND_INT(folders, &watch->number, folder);
	if (!folder) {
		folder = mem_alloc(sizeof(*folder));
		folder->number = watch->number;
		HASH_ADD_INT(folders, number, folder);
	}
	DL_APPEND(folder->first, watch);
}

void folder_watch_end(struct folder_watch *watch)
{
	struct folder *folder;

	if (watch->number < 0)
		return;
	HASH_FIND_INT(folders, &watch->number, folder);
	DL_DELETE(folder->first, watch);
	watch->number = -1;
	if (folder->first)
		return;
	/* (a folder that was removed has taken it along) */
	inotify_rm_watch(inotify, folder->number);
	HASH_DEL(folders, folder);
	free(folder);
}
