#include "common/storage_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem.h"

#define ROOTS_MAX   1024
#define KEPT_OPEN   32   /* folders above the present one; deeper ones are found by ".." */
#define BUFFER_SIZE 4096 /* read anew after each folder, so small */
#define LINKED_ROOM (STORAGE_WALK_LINKED * 2)
#define BLOCK       512u

struct place {
	uint64_t device, inode;
	off_t next; /* where reading goes on */
	int fd;     /* -1: closed */
};

struct storage_walk {
	struct storage_sum sum;
	storage_walk_visit *visit;
	void *data;
	int roots[ROOTS_MAX];
	size_t root_count, root;
	struct place *places; /* the present folder is the last */
	size_t depth, room;
	uint64_t *linked; /* a hash table; 0: free */
	size_t linked_count;
	size_t filled, at; /* of the buffer */
	_Alignas(struct dirent64) char buffer[BUFFER_SIZE];
};

struct storage_walk *storage_walk_new(void)
{
	return mem_alloc(sizeof(struct storage_walk));
}

static void leave(struct storage_walk *walk)
{
	struct place *place = &walk->places[--walk->depth];

	if (place->fd >= 0)
		close(place->fd);
	walk->filled = walk->at = 0;
}

void storage_walk_free(struct storage_walk *walk)
{
	if (!walk)
		return;
	while (walk->depth)
		leave(walk);
	for (size_t i = walk->root; i < walk->root_count; i++)
		close(walk->roots[i]);
	free(walk->places);
	free(walk->linked);
	free(walk);
}

void storage_walk_add(struct storage_walk *walk, int fd)
{
	if (walk->root_count == ROOTS_MAX) {
		walk->sum.partial = true;
		close(fd);
		return;
	}
	walk->roots[walk->root_count++] = fd;
}

void storage_walk_tell(struct storage_walk *walk, storage_walk_visit *visit, void *data)
{
	walk->visit = visit;
	walk->data = data;
}

const struct storage_sum *storage_walk_sum(const struct storage_walk *walk)
{
	return &walk->sum;
}

/* ---- what an entry counts for ---- */

/* Whether KEY was seen before; NOT_KEPT: it is not, and there is no room to remember it. */
enum seen { SEEN_FIRST, SEEN_BEFORE, NOT_KEPT };

static enum seen look_up(struct storage_walk *walk, uint64_t key)
{
	size_t at = (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) % LINKED_ROOM;

	if (!walk->linked)
		walk->linked = mem_alloc(LINKED_ROOM * sizeof(*walk->linked));
	for (; walk->linked[at]; at = (at + 1) % LINKED_ROOM)
		if (walk->linked[at] == key)
			return SEEN_BEFORE;
	if (walk->linked_count == STORAGE_WALK_LINKED)
		return NOT_KEPT;
	walk->linked[at] = key;
	walk->linked_count++;
	return SEEN_FIRST;
}

static uint64_t device_of(const struct statx *st)
{
	return (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
}

static uint64_t share_of(struct storage_walk *walk, const struct statx *st)
{
	uint64_t bytes = st->stx_blocks * BLOCK;
	uint64_t key;

	if (S_ISDIR(st->stx_mode) || st->stx_nlink <= 1)
		return bytes;
	key = st->stx_ino ^ device_of(st) * 0x9e3779b97f4a7c15u;
	switch (look_up(walk, key ? key : 1)) {
	case SEEN_FIRST:
		return bytes;
	case SEEN_BEFORE:
		return 0;
	case NOT_KEPT:
		break;
	}
	return bytes / st->stx_nlink;
}

/* NAME in FOLDER; "": FOLDER itself. False: it is gone, or something is mounted there. */
static bool look_at(struct storage_walk *walk, int folder, const char *name, struct statx *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);

	if (statx(folder, name, flags, STATX_BASIC_STATS, st) < 0) {
		walk->sum.partial = walk->sum.partial || (errno != ENOENT && errno != ENOTDIR);
		return false;
	}
	return !*name || !(st->stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static void count(struct storage_walk *walk, int folder, const char *name, const struct statx *st)
{
	walk->sum.entries++;
	walk->sum.bytes += share_of(walk, st);
	if (walk->visit && (S_ISREG(st->stx_mode) || S_ISDIR(st->stx_mode)))
		walk->visit(walk->data, folder, name, S_ISDIR(st->stx_mode));
}

/* ---- down and up ---- */

static void enter(struct storage_walk *walk, int fd, const struct statx *st)
{
	if (walk->depth == walk->room) {
		walk->room = walk->room ? walk->room * 2 : 64;
		walk->places = mem_resize(walk->places, walk->room, sizeof(*walk->places));
	}
	/* (the first ones stay open: whatever is moved, there is a way back) */
	if (walk->depth > KEPT_OPEN) {
		close(walk->places[walk->depth - 1].fd);
		walk->places[walk->depth - 1].fd = -1;
	}
	walk->places[walk->depth++] =
		(struct place){ .device = device_of(st), .inode = st->stx_ino, .fd = fd };
	walk->filled = walk->at = 0;
}

static int open_folder(int at, const char *name)
{
	struct open_how how = { .flags =
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, at, name, &how, sizeof(how));

	if (fd >= 0 || errno != EPERM)
		return fd;
	how.flags &= ~(uint64_t)O_NOATIME;
	return (int)syscall(SYS_openat2, at, name, &how, sizeof(how));
}

static void go_down(struct storage_walk *walk, const char *name)
{
	const struct place *here = &walk->places[walk->depth - 1];
	struct statx st;
	int fd;

	if (walk->depth == STORAGE_WALK_DEPTH_MAX) {
		walk->sum.too_deep = walk->sum.partial = true;
		return;
	}
	fd = open_folder(here->fd, name);
	if (fd < 0) {
		/* (gone, another thing by now, or a mount) */
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EXDEV)
			walk->sum.partial = true;
		return;
	}
	/* (another number of a device is no mount yet: btrfs gives one to each subvolume, which
	 * anybody can make) */
	if (look_at(walk, fd, "", &st))
		enter(walk, fd, &st);
	else
		close(fd);
}

static bool is_place(const struct place *place, int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_INO, &st) == 0 && st.stx_ino == place->inode &&
	       device_of(&st) == place->device;
}

/* Back to the folder above, or, when the present one was moved, to the nearest that is open. */
static void go_up(struct storage_walk *walk)
{
	int above = -1;

	if (walk->depth > 1 && walk->places[walk->depth - 2].fd < 0)
		above = openat(
			walk->places[walk->depth - 1].fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	leave(walk);
	if (walk->depth && walk->places[walk->depth - 1].fd < 0) {
		if (above >= 0 && is_place(&walk->places[walk->depth - 1], above)) {
			walk->places[walk->depth - 1].fd = fd_steal(&above);
		} else {
			walk->sum.partial = true;
			while (walk->depth && walk->places[walk->depth - 1].fd < 0)
				leave(walk);
		}
	}
	if (above >= 0)
		close(above);
	if (walk->depth) {
		struct place *here = &walk->places[walk->depth - 1];

		if (lseek(here->fd, here->next, SEEK_SET) < 0)
			walk->sum.partial = true;
	}
}

/* The next entry of the present folder; NULL: there is none any more. */
static const struct dirent64 *next_entry(struct storage_walk *walk)
{
	struct place *here = &walk->places[walk->depth - 1];
	const struct dirent64 *entry;

	if (walk->at == walk->filled) {
		ssize_t got = syscall(SYS_getdents64, here->fd, walk->buffer, sizeof(walk->buffer));

		walk->filled = walk->at = 0;
		if (got < 0 && errno != ENOENT)
			walk->sum.partial = true;
		if (got <= 0)
			return NULL;
		walk->filled = (size_t)got;
	}
	entry = (const struct dirent64 *)(walk->buffer + walk->at);
	walk->at += entry->d_reclen;
	here->next = entry->d_off;
	return entry;
}

static void look_at_next(struct storage_walk *walk)
{
	const struct dirent64 *entry = next_entry(walk);
	const struct place *here = &walk->places[walk->depth - 1];
	struct statx st;

	if (!entry) {
		go_up(walk);
		return;
	}
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		!look_at(walk, here->fd, entry->d_name, &st))
		return;
	count(walk, here->fd, entry->d_name, &st);
	if (S_ISDIR(st.stx_mode))
		go_down(walk, entry->d_name);
}

bool storage_walk_step(struct storage_walk *walk, size_t steps)
{
	struct statx st;

	for (size_t i = 0; i < steps; i++) {
		if (walk->depth) {
			look_at_next(walk);
			continue;
		}
		if (walk->root == walk->root_count)
			return true;
		if (look_at(walk, walk->roots[walk->root], "", &st)) {
			count(walk, walk->roots[walk->root], ".", &st);
			enter(walk, walk->roots[walk->root], &st);
		} else {
			close(walk->roots[walk->root]);
		}
		walk->root++;
	}
	return false;
}
