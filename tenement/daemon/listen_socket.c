#include "daemon/listen_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mem.h"

#define BACKLOG     4096
#define UNIX_PREFIX "unix:"

bool listen_socket_is_path(const char *address)
{
	return strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
}

const char *listen_socket_path(const char *address)
{
	return address + strlen(UNIX_PREFIX);
}

char *listen_socket_address(int fd, const char *address)
{
	struct sockaddr_storage bound;
	socklen_t len = sizeof(bound);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0 || bound.ss_family == AF_UNIX ||
		getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return mem_strdup(address);
	return mem_printf(bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static int unix_socket(struct ten_error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? ten_error_set(err, errno, "socket") : fd;
}

/* Remove the socket that a program which is gone left at ADDRESS. What is no socket, or still
 * listened on (its queue may be full), is not ours to remove. */
static int remove_stale(const struct sockaddr_un *address, struct ten_error *err)
{
	const char *path = address->sun_path;
	autoclose int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : ten_error_set(err, errno, "listen on unix:%s", path);
	if (!S_ISSOCK(st.st_mode))
		return ten_error_set(
			err, 0, "listen on unix:%s: there is something that is no socket", path);
	fd = unix_socket(err);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		errno != ECONNREFUSED)
		return ten_error_set(
			err, 0, "listen on unix:%s: another program listens there", path);
	if (unlink(path) < 0)
		return ten_error_set(err, errno, "remove the old unix:%s", path);
	return 0;
}

int listen_socket_open_path(const char *listened, struct ten_error *err)
{
	const char *path = listen_socket_path(listened);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	autoclose int fd = -1;
	mode_t mask;
	int rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return ten_error_set(err, ENAMETOOLONG, "listen on unix:%s", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = remove_stale(&address, err) < 0 ? -1 : unix_socket(err);
	if (fd < 0)
		return -1;
	/* For everyone, as a port is; made so, and not by a chmod() that could be led astray. */
	mask = umask(0111);
	rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (rc < 0 || listen(fd, BACKLOG) < 0)
		return ten_error_set(err, errno, "listen on unix:%s", path);
	return fd_steal(&fd);
}

/* A socket bound to ADDRESS, with the socket option OPTION set on it as well (0: none). */
static int bind_port(const char *address, int option, struct ten_error *err)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(address, ':');
	autofree char *host = NULL;
	struct addrinfo *info;
	autoclose int fd = -1;
	int one = 1, rc;

	if (!colon)
		return ten_error_set(err, 0, "listen = \"%s\" has no port", address);
	host = *address == '[' ? mem_strndup(address + 1, (size_t)(colon - address) - 2)
			       : mem_strndup(address, (size_t)(colon - address));
	rc = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &info);
	if (rc != 0)
		return ten_error_set(err, 0, "listen = \"%s\": %s", address, gai_strerror(rc));
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		if (info->ai_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (option)
			setsockopt(fd, SOL_SOCKET, option, &one, sizeof(one));
	}
	rc = fd < 0 ? -1 : bind(fd, info->ai_addr, info->ai_addrlen);
	freeaddrinfo(info);
	if (rc < 0)
		return ten_error_set(err, errno, "listen on %s", address);
	return fd_steal(&fd);
}

int listen_socket_open_port(const char *address, struct ten_error *err)
{
	autoclose int fd = bind_port(address, SO_REUSEPORT, err);

	if (fd < 0)
		return -1;
	if (listen(fd, BACKLOG) < 0)
		return ten_error_set(err, errno, "listen on %s", address);
	return fd_steal(&fd);
}

int listen_socket_check_free(const char *address, struct ten_error *err)
{
	autoclose int fd = bind_port(address, 0, err);

	return fd < 0 ? -1 : 0;
}
