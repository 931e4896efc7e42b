#include "pressure.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "mem.h"

#define PRESSURE_FILE "/proc/pressure/memory"

double pressure_parse(const char *text)
{
	unsigned whole, hundredths;

	/* (not strtod: the decimal point is the kernel's and not a locale's) */
	if (sscanf(text, "some avg10=%3u.%2u ", &whole, &hundredths) != 2 || whole > 100)
		return -1;
	return whole + hundredths / 100.0;
}

double pressure_now(void)
{
	autoclose int fd = open(PRESSURE_FILE, O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (len <= 0)
		return -1;
	text[len] = '\0';
	return pressure_parse(text);
}
