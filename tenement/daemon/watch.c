#include "daemon/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "config_path.h"
#include "daemon/confdir.h"
#include "mem.h"

#define FOLDER_EVENTS                                                                              \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB |        \
		IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define PARENT_EVENTS                                                                              \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB |        \
		IN_ONLYDIR | IN_MASK_ADD)

static int inotify = -1;
static ev_io reader;
static int folder = -1, parent = -1, main_parent = -1;

/* A file that is made by writing is complete at CLOSE_WRITE. One that is made by a link is at once.
 */
static bool complete_when_made(struct daemon *d, const char *name)
{
	autofree char *path = mem_printf("%s/%s", d->conf_dir, name);
	struct stat st;

	return lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink > 1;
}

static void on_folder_event(struct daemon *d, const struct inotify_event *event)
{
	if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) {
		confdir_rearm(d);
		return;
	}
	if (!event->len)
		return;
	/* Mounted volumes swap their content by a link whose name begins with two dots. */
	if (strncmp(event->name, "..", 2) == 0) {
		confdir_rescan(d);
		return;
	}
	if (!confdir_is_config_name(event->name))
		return;
	if (event->mask == IN_CREATE && !complete_when_made(d, event->name))
		return;
	confdir_mark(d, event->name);
}

static void on_parent_event(struct daemon *d, const struct inotify_event *event)
{
	if (!event->len)
		return;
	if (strcmp(event->name, config_path_name(d->conf_dir)) == 0 &&
		!(event->mask & IN_CLOSE_WRITE))
		confdir_rearm(d);
	if (strcmp(event->name, config_path_name(d->place.main_path)) == 0 &&
		event->mask != IN_CREATE)
		confdir_mark(d, CONFIG_MAIN);
}

static void on_events(struct ev_loop *loop, ev_io *io, int events)
{
	_Alignas(struct inotify_event) char buffer[65536];
	struct daemon *d = ev_userdata(loop);
	ssize_t len;

	(void)io;
	(void)events;
	while ((len = read(inotify, buffer, sizeof(buffer))) > 0) {
		for (char *at = buffer; at < buffer + len;) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			at += sizeof(*event) + event->len;
			if (event->mask & IN_Q_OVERFLOW)
				confdir_rearm(d);
			else if (event->wd == folder)
				on_folder_event(d, event);
			else if (event->wd == parent || event->wd == main_parent)
				on_parent_event(d, event);
		}
	}
}

static int watch_path(const char *path, uint32_t mask)
{
	int wd = inotify_add_watch(inotify, path, mask);

	if (wd < 0 && errno != ENOENT && errno != ENOTDIR)
		log_warn("watching %s: %s; it is looked at every half minute only", path,
			strerror(errno));
	return wd;
}

void watch_arm(struct daemon *d)
{
	autofree char *conf_parent = config_path_parent(d->conf_dir);
	autofree char *file_parent = config_path_parent(d->place.main_path);
	int now = watch_path(d->conf_dir, FOLDER_EVENTS);

	if (folder >= 0 && folder != now && folder != parent && folder != main_parent)
		inotify_rm_watch(inotify, folder);
	folder = now;
	parent = watch_path(conf_parent, PARENT_EVENTS);
	main_parent = watch_path(file_parent, PARENT_EVENTS);
}

int watch_start(struct daemon *d, struct ten_error *err)
{
	inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (inotify < 0)
		return ten_error_set(err, errno, "inotify");
	ev_io_init(&reader, on_events, inotify, EV_READ);
	ev_io_start(d->loop, &reader);
	return 0;
}
