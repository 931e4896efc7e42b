#include "common/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/files.h"
#include "mem.h"

#define MOUNTINFO_MAX (4u << 20)

/* File systems over several disks (btrfs) have numbers of their own; the mount names one disk. */
static dev_t disk_of_mount(dev_t number)
{
	autofree char *mounts =
		files_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, NULL, NULL);
	char wanted[32];
	dev_t found = 0;

	snprintf(wanted, sizeof(wanted), " %u:%u ", major(number), minor(number));
	for (char *rest = mounts, *line; rest && !found && (line = strsep(&rest, "\n"));) {
		char *tail = strstr(line, " - ");
		char source[256];
		struct stat st;

		if (tail && strstr(line, wanted) && strstr(line, wanted) < tail &&
			sscanf(tail, " - %*s %255s", source) == 1 && *source == '/' &&
			stat(source, &st) == 0 && S_ISBLK(st.st_mode))
			found = st.st_rdev;
	}
	return found;
}

int disk_find(const char *path, char disk[DISK_SIZE], struct ten_error *err)
{
	struct stat st;
	dev_t number;
	char name[64];
	autofree char *whole = NULL;

	if (stat(path, &st) < 0)
		return ten_error_set(err, errno, "%s", path);
	number = major(st.st_dev) ? st.st_dev : disk_of_mount(st.st_dev);
	if (!number)
		return ten_error_set(err, 0, "%s is on no disk of its own", path);
	snprintf(disk, DISK_SIZE, "%u:%u", major(number), minor(number));
	snprintf(name, sizeof(name), "/sys/dev/block/%s/partition", disk);
	if (access(name, F_OK) < 0)
		return 0;
	snprintf(name, sizeof(name), "/sys/dev/block/%s/../dev", disk);
	whole = files_read(AT_FDCWD, name, DISK_SIZE, NULL, err);
	if (!whole)
		return -1;
	snprintf(disk, DISK_SIZE, "%.*s", (int)strcspn(whole, "\n"), whole);
	return 0;
}
