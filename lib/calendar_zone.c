/* The one look at the machine: where the C library finds its time zones. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calendar.h"
#include "mem.h"

#define FOLDER "/usr/share/zoneinfo"
#define MAGIC  "TZif"

bool calendar_zone_known(const char *zone)
{
	const char *folder = getenv("TZDIR");
	autofree char *path = NULL;
	char magic[4];
	bool known;
	int fd;

	if (!*zone || strcmp(zone, "UTC") == 0)
		return true;
	path = mem_printf("%s/%s", folder && *folder ? folder : FOLDER, zone);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	known = read(fd, magic, sizeof(magic)) == sizeof(magic) &&
		memcmp(magic, MAGIC, sizeof(magic)) == 0;
	close(fd);
	return known;
}
