#include "common/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "config_path.h"
#include "mem.h"

/* <sys/mount.h> and <linux/mount.h> cannot be had together with every libc. */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	const void *data);
int umount2(const char *target, int flags);
#define DETACH 2 /* MNT_DETACH */

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

#define CLONE_FOR_GOOD 02000000  /* OPEN_TREE_CLOEXEC */
#define PRIVATE        (1 << 18) /* MS_PRIVATE */
#define NO_SETUID      2         /* MS_NOSUID */
#define NO_DEVICES     4         /* MS_NODEV */
#define NO_EXEC        8         /* MS_NOEXEC */
#define BIND           4096      /* MS_BIND */

#define SCAFFOLD_INODES 131072

/* Where the scaffold is put up: a place that every system has. */
#define SITE "/tmp"

/* While the view is made: what is known of each item. */
struct place {
	int tree;       /* what is to be attached; -1: none so far */
	bool absent;    /* nothing is there */
	bool is_file;   /* and not a folder */
	char *scaffold; /* of an empty folder: where in the scaffold it is; NULL: it is not there */
	const struct view_item *below; /* what it is put upon; NULL: the root */
	bool built_upon;               /* something is put on a place in it */
};

struct making {
	const struct enter *enter;
	struct place *places;
	int scaffold; /* the folder of all that is new: one tmpfs */
	int empty[2]; /* a folder, a file: on places that nothing else is put upon; -1: not yet */
	int host;     /* the root that we come from */
	int rootfs;   /* the one that we are to have; -1: the same */
};

uint64_t enter_clone_flags(bool user_namespace)
{
	uint64_t flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;

	return user_namespace ? flags | CLONE_NEWUSER : flags;
}

/* ---- system calls ---- */

static int open_path_at(int folder, const char *path, uint64_t resolve)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
		.resolve = resolve | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

static int open_path(const char *path, uint64_t resolve)
{
	return open_path_at(AT_FDCWD, path, resolve);
}

static int clone_tree(int fd)
{
	return (int)syscall(SYS_open_tree, fd, "",
		OPEN_TREE_CLONE | CLONE_FOR_GOOD | AT_EMPTY_PATH | AT_RECURSIVE);
}

static int set_attributes(int fd, uint64_t set, uint64_t clear)
{
	struct mount_attr attributes = {
		.attr_set = set, .attr_clr = clear, .propagation = PRIVATE
	};

	return (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
		sizeof(attributes));
}

static int attach(int tree, int onto)
{
	return (int)syscall(SYS_move_mount, tree, "", onto, "",
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* ---- the user namespace ---- */

static int write_map(const char *path, const char *text)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static int keep_ids(const struct enter *enter, struct ten_error *err)
{
	char users[32], groups[32];

	snprintf(users, sizeof(users), "%u %u 1", enter->uid, enter->uid);
	snprintf(groups, sizeof(groups), "%u %u 1", enter->gid, enter->gid);
	if (write_map("/proc/self/uid_map", users) < 0 ||
		write_map("/proc/self/setgroups", "deny") < 0 ||
		write_map("/proc/self/gid_map", groups) < 0)
		return ten_error_set(err, errno, "a user namespace");
	return 0;
}

/* ---- what is to be shown, while it can be seen ---- */

static const char *asked_by(const struct view_item *item)
{
	return item->said_by ? item->said_by : "its view";
}

/* An operator's path may be led elsewhere by a link, of a tenant's too. */
static int check_kept(
	const struct making *making, const struct view_item *item, int fd, struct ten_error *err)
{
	const struct view *view = making->enter->view;
	char name[64], real[PATH_MAX];
	ssize_t len;

	if (!(item->flags & VIEW_ASKED))
		return 0;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	len = readlink(name, real, sizeof(real) - 1);
	if (len < 0)
		return ten_error_set(err, errno, "%s: %s", asked_by(item), item->source);
	real[len] = '\0';
	if (view_is_own(view, real))
		return 0;
	for (char *const *kept = making->enter->kept; kept && *kept; kept++) {
		/* In its own place what is kept lies deeper, and is hidden all the same. */
		bool elsewhere = strcmp(real, item->destination) != 0;

		if (config_path_within(real, *kept) ||
			(elsewhere && config_path_within(*kept, real)))
			return ten_error_set(err, 0,
				"%s: %s would show %s, which is kept from tenants", asked_by(item),
				item->source, *kept);
	}
	if (view_is_own(view, item->source))
		return ten_error_set(err, 0, "%s: a link leads %s out of the tenant's own folder",
			asked_by(item), item->source);
	return 0;
}

static int take_source(const struct making *making, const struct view_item *item,
	struct place *place, struct ten_error *err)
{
	autoclose int fd =
		open_path(item->source, item->flags & VIEW_NO_LINKS ? RESOLVE_NO_SYMLINKS : 0);
	uint64_t set = NO_SETUID | (item->kind == VIEW_READ ? MOUNT_ATTR_RDONLY : 0);
	struct stat st;

	if (fd < 0 && item->flags & VIEW_OPTIONAL) {
		place->absent = true;
		return 0;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return ten_error_set(err, errno, "%s: %s", asked_by(item), item->source);
	if (check_kept(making, item, fd, err) < 0)
		return -1;
	place->is_file = !S_ISDIR(st.st_mode);
	place->tree = clone_tree(fd);
	if (!config_path_within(item->destination, "/dev"))
		set |= NO_DEVICES;
	if (place->tree < 0 || set_attributes(place->tree, set, 0) < 0)
		return ten_error_set(err, errno, "%s: showing %s", asked_by(item), item->source);
	return 0;
}

static void look_at(const struct view_item *item, struct place *place)
{
	struct stat st;

	place->absent = stat(item->destination, &st) < 0;
	place->is_file = !place->absent && !S_ISDIR(st.st_mode);
}

/* The one that it is to have, which may not be a way to what is kept either. */
static int take_rootfs(struct making *making, struct ten_error *err)
{
	struct view_item item = { .destination = "", .flags = VIEW_ASKED, .said_by = "rootfs" };
	struct stat st;

	item.source = (char *)making->enter->rootfs;
	making->rootfs = open_path(item.source, 0);
	if (making->rootfs < 0 || fstat(making->rootfs, &st) < 0)
		return ten_error_set(err, errno, "rootfs: %s", item.source);
	if (!S_ISDIR(st.st_mode))
		return ten_error_set(err, ENOTDIR, "rootfs: %s", item.source);
	return check_kept(making, &item, making->rootfs, err);
}

static int collect(struct making *making, struct ten_error *err)
{
	const struct view *view = making->enter->view;

	making->host = open_path("/", 0);
	if (making->host < 0)
		return ten_error_set(err, errno, "/");
	if (making->enter->rootfs && take_rootfs(making, err) < 0)
		return -1;

	for (size_t i = 0; i < view->count; i++) {
		const struct view_item *item = &view->items[i];
		struct place *place = &making->places[i];

		place->tree = -1;
		place->below = view_below(view, i);
		if (place->below)
			making->places[place->below - view->items].built_upon = true;
		if (item->source) {
			if (take_source(making, item, place, err) < 0)
				return -1;
		} else if (item->kind == VIEW_HIDE || item->kind == VIEW_TMP) {
			look_at(item, place);
		}
	}
	return 0;
}

/* ---- the scaffold: all that is empty, or ours to put something in ---- */

static int put_up_scaffold(struct making *making, struct ten_error *err)
{
	char options[96];

	snprintf(options, sizeof(options), "mode=0755,size=%llu,nr_inodes=%d",
		(unsigned long long)making->enter->tmp_bytes, SCAFFOLD_INODES);
	if (mount("tmpfs", SITE, "tmpfs", NO_SETUID, options) < 0)
		return ten_error_set(err, errno, "a tmpfs");
	making->scaffold = open(SITE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (making->scaffold < 0)
		return ten_error_set(err, errno, "a tmpfs");
	umask(0);
	return 0;
}

/* The folders above PATH in the scaffold, and PATH as one itself or as an empty file. */
static int make_place(const struct making *making, const char *path, bool is_file)
{
	autofree char *copy = mem_strdup(path);

	for (char *slash = copy; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdirat(making->scaffold, copy, 0755) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	if (is_file) {
		autoclose int fd = openat(making->scaffold, path,
			O_CREAT | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0444);

		return fd < 0 ? -1 : 0;
	}
	return mkdirat(making->scaffold, path, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

/* A mount of PATH in the scaffold. */
static int clone_scaffold(const struct making *making, const char *path, uint64_t set)
{
	autoclose int fd = openat(making->scaffold, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int tree = fd < 0 ? -1 : clone_tree(fd);

	if (tree >= 0 && set_attributes(tree, set | NO_SETUID, 0) < 0)
		close(fd_steal(&tree));
	return tree;
}

/* ---- /dev ---- */

static const struct device {
	const char *name;
	unsigned major, minor;
} devices[] = {
	{ "null", 1, 3 },
	{ "zero", 1, 5 },
	{ "full", 1, 7 },
	{ "random", 1, 8 },
	{ "urandom", 1, 9 },
	{ "tty", 5, 0 },
};

static const struct link {
	const char *name, *target;
} links[] = {
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },
};

/* The host's own, where no node may be made: shown in its place. */
static int show_device(const struct making *making, const char *name, const char *place)
{
	autofree char *path = mem_printf("dev/%s", name);
	autoclose int fd = open_path_at(making->host, path, 0);
	autoclose int tree = fd < 0 ? -1 : clone_tree(fd);
	autoclose int onto = -1;

	if (tree < 0 || make_place(making, place, true) < 0 ||
		set_attributes(tree, NO_SETUID | NO_EXEC, NO_DEVICES) < 0)
		return -1;
	onto = openat(making->scaffold, place, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return onto < 0 ? -1 : attach(tree, onto);
}

/* Where programs send what is for the system's log: a socket, or a link to one. */
static int show_log(const struct making *making, const char *folder)
{
	autofree char *place = mem_printf("%s/log", folder);
	char target[PATH_MAX];
	ssize_t len = readlinkat(making->host, "dev/log", target, sizeof(target) - 1);
	struct stat st;

	if (len > 0) {
		target[len] = '\0';
		return symlinkat(target, making->scaffold, place);
	}
	if (fstatat(making->host, "dev/log", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode))
		return 0;
	return show_device(making, "log", place);
}

static int make_devices(const struct making *making, const char *folder, struct ten_error *err)
{
	for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
		const struct device *device = &devices[i];
		autofree char *place = mem_printf("%s/%s", folder, device->name);

		if ((making->enter->user_namespace ||
			    mknodat(making->scaffold, place, S_IFCHR | 0666,
				    makedev(device->major, device->minor)) < 0) &&
			show_device(making, device->name, place) < 0)
			return ten_error_set(err, errno, "/dev/%s", device->name);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		autofree char *place = mem_printf("%s/%s", folder, links[i].name);

		if (symlinkat(links[i].target, making->scaffold, place) < 0)
			return ten_error_set(err, errno, "/dev/%s", links[i].name);
	}
	return show_log(making, folder) < 0 ? ten_error_set(err, errno, "/dev/log") : 0;
}

/* ---- putting it together ---- */

/* Where in the scaffold what is at item INDEX's destination would be; NULL: it does not lie in
 * anything that is made of it. The caller frees. */
static char *scaffold_path(const struct making *making, size_t index)
{
	const struct view *view = making->enter->view;
	const struct view_item *below = making->places[index].below;
	const struct place *place = below ? &making->places[below - view->items] : NULL;

	if (!place || !place->scaffold)
		return NULL;
	return mem_printf("%s%s", place->scaffold,
		view->items[index].destination +
			(strcmp(below->destination, "/") == 0 ? 0 : strlen(below->destination)));
}

static bool is_in_tenants_hands(const struct making *making, size_t index)
{
	const struct view *view = making->enter->view;
	const struct view_item *below = making->places[index].below;

	return (below && below->kind == VIEW_WRITE) ||
	       (!(view->items[index].flags & VIEW_OWN) &&
		       view_is_own(view, view->items[index].destination));
}

/* Of what is empty and stays so there is one of each kind, and mounts of it for the places: for
 * most of them that is all there is to do. */
static int make_empty(struct making *making, bool is_file)
{
	const char *name = is_file ? "empty" : "none";
	int *first = &making->empty[is_file];

	if (*first >= 0)
		return clone_tree(*first);
	if (make_place(making, name, is_file) == 0)
		*first = clone_scaffold(
			making, name, NO_SETUID | NO_DEVICES | NO_EXEC | MOUNT_ATTR_RDONLY);
	return *first < 0 ? -1 : fcntl(*first, F_DUPFD_CLOEXEC, 0);
}

static int make_tree(struct making *making, size_t index, struct ten_error *err)
{
	const struct view_item *item = &making->enter->view->items[index];
	struct place *place = &making->places[index];
	uint64_t set = NO_SETUID | NO_DEVICES;

	if (place->is_file || (item->kind == VIEW_HIDE && !place->built_upon)) {
		place->tree = make_empty(making, place->is_file);
	} else {
		place->scaffold = mem_printf("%zu", index);
		if (make_place(making, place->scaffold, false) < 0)
			return ten_error_set(err, errno, "%s", item->destination);
		if (item->kind != VIEW_TMP)
			set |= MOUNT_ATTR_RDONLY | NO_EXEC;
		else if (fchmodat(making->scaffold, place->scaffold, 01777, 0) < 0)
			return ten_error_set(err, errno, "%s", item->destination);
		if (item->kind == VIEW_DEV) {
			set &= ~(uint64_t)NO_DEVICES;
			if (make_devices(making, place->scaffold, err) < 0)
				return -1;
		}
		place->tree = clone_scaffold(making, place->scaffold, set);
	}
	return place->tree < 0 ? ten_error_set(err, errno, "%s", item->destination) : 0;
}

/* The kernel's, in a /proc of our own: nothing is mounted there, and no link leads elsewhere. */
static int seal(const struct view_item *item, struct ten_error *err)
{
	const char *path = item->destination;
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY | NO_SETUID | NO_DEVICES |
						     NO_EXEC,
		.propagation = PRIVATE };

	if (mount(path, path, NULL, BIND, NULL) < 0)
		return errno == ENOENT ? 0 : ten_error_set(err, errno, "%s", path);
	if (syscall(SYS_mount_setattr, AT_FDCWD, path, 0, &attributes, sizeof(attributes)) < 0)
		return ten_error_set(err, errno, "%s", path);
	return 0;
}

static int mount_new(const struct view_item *item, struct ten_error *err)
{
	int rc = item->kind == VIEW_PROC
			 ? mount("proc", item->destination, "proc",
				   NO_SETUID | NO_DEVICES | NO_EXEC, NULL)
			 : mount("devpts", item->destination, "devpts", NO_SETUID | NO_EXEC,
				   "newinstance,ptmxmode=0666,mode=0620");

	return rc < 0 ? ten_error_set(err, errno, "%s", item->destination) : 0;
}

/* A place in a root of its own, which is writable so far. That it could not be made is seen when it
 * is needed. */
static void make_in_root(const char *path, bool is_file)
{
	autofree char *copy = mem_strdup(path);

	for (char *slash = copy; (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		mkdir(copy, 0755);
		*slash = '/';
	}
	if (is_file) {
		autoclose int fd = open(copy, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);
	} else {
		mkdir(copy, 0755);
	}
}

static int put(struct making *making, size_t index, struct ten_error *err)
{
	const struct view_item *item = &making->enter->view->items[index];
	struct place *place = &making->places[index];
	autofree char *within = scaffold_path(making, index);
	autoclose int onto = -1;

	if (item->kind == VIEW_SEAL)
		return seal(item, err);
	/* Collected was what the host has. */
	if (making->rootfs >= 0 && (item->kind == VIEW_HIDE || item->kind == VIEW_TMP) && !within)
		look_at(item, place);
	if (place->absent && item->flags & VIEW_ASKED && item->kind == VIEW_HIDE)
		return ten_error_set(err, ENOENT, "%s: %s", asked_by(item), item->destination);
	if (making->rootfs >= 0 && item->kind == VIEW_TMP)
		place->absent = false;

	if (place->absent && (item->source || !within))
		return item->kind == VIEW_TMP && !(item->flags & VIEW_OPTIONAL)
			       ? ten_error_set(err, ENOENT, "%s", item->destination)
			       : 0;
	if (item->kind == VIEW_HIDE && within) {
		/* It is empty there anyway. */
		if (!place->absent && !place->is_file && make_place(making, within, false) < 0)
			return ten_error_set(err, errno, "%s", item->destination);
		place->scaffold = mem_steal(&within);
		return 0;
	}
	if (within && make_place(making, within, place->is_file) < 0)
		return ten_error_set(err, errno, "%s: %s", asked_by(item), item->destination);
	if (making->rootfs >= 0 && !within && item->kind != VIEW_HIDE &&
		!is_in_tenants_hands(making, index))
		make_in_root(item->destination, place->is_file);
	onto = open_path(
		item->destination, is_in_tenants_hands(making, index) ? RESOLVE_NO_SYMLINKS : 0);
	if (onto < 0)
		return ten_error_set(err, errno, "%s: there is no place for %s", asked_by(item),
			item->destination);
	if (item->kind == VIEW_PROC || item->kind == VIEW_PTS)
		return mount_new(item, err);
	if (place->tree < 0 && make_tree(making, index, err) < 0)
		return -1;
	if (attach(place->tree, onto) < 0)
		return ten_error_set(
			err, errno, "%s: putting it at %s", asked_by(item), item->destination);
	return 0;
}

static int put_all(struct making *making, struct ten_error *err)
{
	for (size_t i = 0; i < making->enter->view->count; i++)
		if (put(making, i, err) < 0)
			return -1;
	return 0;
}

/* ---- */

static int fix_rest(struct ten_error *err)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY | NO_SETUID | NO_DEVICES,
		.propagation = PRIVATE };

	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes,
		    sizeof(attributes)) < 0)
		return ten_error_set(err, errno, "making the file system read-only");
	return 0;
}

/* Over a tmpfs, so that there is room for folders that it does not have. The one before lies upon
 * it, at ".", until go_to_root(). */
static int change_root(const struct making *making, struct ten_error *err)
{
	autofree char *options = mem_printf("lowerdir=/proc/self/fd/%d,upperdir=" SITE
					    "/upper,workdir=" SITE "/work",
		making->rootfs);

	if (mkdirat(making->scaffold, "upper", 0755) < 0 ||
		mkdirat(making->scaffold, "work", 0755) < 0 ||
		mkdirat(making->scaffold, "root", 0755) < 0 ||
		mount("overlay", SITE "/root", "overlay", NO_SETUID | NO_DEVICES, options) < 0)
		return ten_error_set(err, errno, "rootfs: an overlay of %s", making->enter->rootfs);
	if (chdir(SITE "/root") < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return ten_error_set(err, errno, "rootfs: going to %s", making->enter->rootfs);
	return 0;
}

static int go_to_root(struct ten_error *err)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY | NO_SETUID | NO_DEVICES };

	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attributes, sizeof(attributes)) < 0 ||
		umount2(".", DETACH) < 0 || chdir("/") < 0)
		return ten_error_set(err, errno, "rootfs: leaving the host's");
	return 0;
}

int enter_view(const struct enter *enter, struct ten_error *err)
{
	struct making making = {
		.enter = enter, .scaffold = -1, .empty = { -1, -1 }, .host = -1, .rootfs = -1
	};

	making.places = mem_alloc((enter->view->count + 1) * sizeof(*making.places));
	if (enter->user_namespace && keep_ids(enter, err) < 0)
		return -1;
	if (collect(&making, err) < 0 || fix_rest(err) < 0 || put_up_scaffold(&making, err) < 0)
		return -1;
	if (enter->rootfs && change_root(&making, err) < 0)
		return -1;
	if (put_all(&making, err) < 0 || (enter->rootfs && go_to_root(err) < 0))
		return -1;
	for (size_t i = 0; i < enter->view->count; i++) {
		if (making.places[i].tree >= 0)
			close(making.places[i].tree);
		free(making.places[i].scaffold);
	}
	free(making.places);
	for (size_t i = 0; i < sizeof(making.empty) / sizeof(*making.empty); i++)
		if (making.empty[i] >= 0)
			close(making.empty[i]);
	close(making.scaffold);
	close(making.host);
	if (making.rootfs >= 0)
		close(making.rootfs);
	return 0;
}

int enter_processes(const struct enter *enter, struct ten_error *err)
{
	struct mount_attr attributes = { .propagation = PRIVATE };

	if (enter->user_namespace && keep_ids(enter, err) < 0)
		return -1;
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes,
		    sizeof(attributes)) < 0)
		return ten_error_set(err, errno, "making its mounts private");
	if (mount("proc", "/proc", "proc", NO_SETUID | NO_DEVICES | NO_EXEC, NULL) < 0)
		return ten_error_set(err, errno, "/proc");
	return 0;
}
