#include "common/process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

static uint64_t read_stat(pid_t pid, char *state)
{
	char path[32], text[1024];
	autoclose int fd = -1;
	const char *field;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	/* The name in parentheses may hold anything; what follows the last one is plain. */
	field = strrchr(text, ')');
	if (!field || field[1] != ' ')
		return 0;
	field += 2;
	*state = *field;
	for (int number = 3; number < 22; number++) {
		field = strchr(field, ' ');
		if (!field)
			return 0;
		field++;
	}
	return strtoull(field, NULL, 10);
}

uint64_t process_start_time(pid_t pid)
{
	char state;

	return read_stat(pid, &state);
}

bool process_is(pid_t pid, uint64_t start)
{
	char state = 'X';

	return read_stat(pid, &state) == start && start && state != 'Z' && state != 'X';
}
