#include "common/unix_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "mem.h"

int unix_connect(int fd, const char *path, enum unix_links links)
{
	struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = links == UNIX_LINKS_NONE ? RESOLVE_NO_SYMLINKS : 0 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	autoclose int place = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (place < 0)
		return -1;
	/* What was opened and no other; a link that was opened is no socket. */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", place);
	return connect(fd, (struct sockaddr *)&address, sizeof(address));
}
