/* Where the management API is asked: its two sockets, and who gets in. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/files.h"
#include "common/log.h"
#include "daemon/control_connection.h"
#include "daemon/keeper_link.h"
#include "mem.h"

#define CONNECTIONS_MAX 128 /* at each of the two doors */
#define AGAIN_SECONDS   0.1
#define API_FOLDER      "api"
#define API_FD          "api"

struct door {
	enum control_door kind;
	int fd;
	char *path;
	ev_io io;
	ev_timer again; /* runs while there is no descriptor for who wants to come in */
	unsigned count;
};

struct control {
	struct door local, api;
	bool any_group;
	gid_t group;
	struct control_connection *connections;
};

static struct door *door_of(struct control *control, enum control_door kind)
{
	return kind == CONTROL_DOOR_LOCAL ? &control->local : &control->api;
}

void control_forget(struct daemon *d, struct control_connection *connection)
{
	struct control_connection **link = &d->control->connections;

	while (*link != connection)
		link = &(*link)->next;
	*link = connection->next;
	door_of(d->control, connection->door)->count--;
}

bool control_turn(struct daemon *d)
{
	struct control_connection *connection, *next;
	bool more = false;

	for (connection = d->control->connections; connection; connection = next) {
		next = connection->next;
		if (connection->look)
			control_look(connection, false);
		while (!connection->dead && connection->goes_on) {
			connection->goes_on = control_take_request(connection);
			more |= connection->goes_on;
		}
		if (connection->dead)
			control_connection_free(connection);
	}
	return more;
}

const struct control_connection *control_connections(const struct daemon *d)
{
	return d->control->connections;
}

const char *control_api_path(const struct daemon *d)
{
	return d->control->api.path;
}

/* ---- who gets in ---- */

static bool in_group(uid_t uid, gid_t primary, gid_t group)
{
	struct passwd *entry = getpwuid(uid);
	gid_t groups[256];
	int count = 256;

	if (primary == group)
		return true;
	if (!entry || getgrouplist(entry->pw_name, entry->pw_gid, groups, &count) < 0)
		return false;
	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

static void admit(struct daemon *d, struct door *door, int fd)
{
	struct control *control = d->control;
	struct control_connection *connection;
	uid_t proxy = d->proxy_uid == UINT32_MAX ? d->uid : d->proxy_uid;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		close(fd);
		return;
	}
	connection = control_connection_new(d, door->kind, fd, peer.uid);
	connection->next = control->connections;
	control->connections = connection;
	door->count++;
	if (door->kind == CONTROL_DOOR_API) {
		connection->by_proxy = peer.uid == proxy;
		return;
	}
	/* Told when it has asked: an answer before that may be lost with the connection. */
	connection->refused = peer.uid != 0 && peer.uid != d->uid &&
			      !(control->any_group && in_group(peer.uid, peer.gid, control->group));
	if (connection->refused)
		log_warn("uid %u was refused at the control socket", peer.uid);
}

static void on_connection(struct ev_loop *loop, ev_io *io, int events)
{
	struct daemon *d = ev_userdata(loop);
	struct door *door = io->data;
	int fd;

	(void)events;
	while ((fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (door->count >= CONNECTIONS_MAX)
			close(fd);
		else
			admit(d, door, fd);
	}
	/* Who waits in the queue would turn the loop on and on. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		ev_io_stop(loop, io);
		ev_timer_set(&door->again, AGAIN_SECONDS, 0.);
		ev_timer_start(loop, &door->again);
	}
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct door *door = timer->data;

	(void)events;
	ev_io_start(loop, &door->io);
}

/* ---- the sockets ---- */

static void door_open(struct daemon *d, struct door *door)
{
	ev_io_init(&door->io, on_connection, door->fd, EV_READ);
	door->io.data = door;
	ev_timer_init(&door->again, on_again, 0., 0.);
	door->again.data = door;
	ev_io_start(d->loop, &door->io);
}

/* A socket at PATH that listens. MODE and GROUP ((gid_t)-1: as it is) say who may connect. */
static int listen_at(const char *path, mode_t mode, gid_t group, struct ten_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return ten_error_set(err, ENAMETOOLONG, "%s", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		chmod(path, mode) == 0 &&
		(group == (gid_t)-1 || chown(path, (uid_t)-1, group) == 0) &&
		listen(fd, CONNECTIONS_MAX) == 0)
		return fd;
	ten_error_set(err, errno, "%s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The keeper holds it: who asks while there is no daemon waits for the next one. */
static int open_api(struct daemon *d, struct ten_error *err)
{
	struct door *door = &d->control->api;
	gid_t group = d->proxy_gid == UINT32_MAX ? (gid_t)-1 : d->proxy_gid;
	autoclose int folder = files_make_dir(d->run_fd, API_FOLDER, 0711, err);

	door->kind = CONTROL_DOOR_API;
	door->path = mem_printf("%s/" API_FOLDER "/api.sock", d->runtime_dir);
	if (folder < 0)
		return -1;
	door->fd = fds_find(API_FD);
	if (door->fd < 0) {
		door->fd = listen_at(door->path, 0660, group, err);
		if (door->fd < 0)
			return -1;
		keeper_link_store(d, API_FD, door->fd);
	}
	return 0;
}

int control_start(struct daemon *d, struct ten_error *err)
{
	struct control *control = mem_alloc(sizeof(*control));
	struct group *group = NULL;

	d->control = control;
	control->local.path = mem_printf("%s/control.sock", d->runtime_dir);
	if (d->boot.admin_group && *d->boot.admin_group) {
		group = getgrnam(d->boot.admin_group);
		if (!group)
			return ten_error_set(err, 0, "admin_group = \"%s\": there is no such group",
				d->boot.admin_group);
		control->any_group = true;
		control->group = group->gr_gid;
	}
	control->local.fd =
		listen_at(control->local.path, 0660, group ? group->gr_gid : (gid_t)-1, err);
	if (control->local.fd < 0 || open_api(d, err) < 0)
		return -1;
	door_open(d, &control->local);
	door_open(d, &control->api);
	return 0;
}

static void door_close(struct daemon *d, struct door *door)
{
	ev_io_stop(d->loop, &door->io);
	ev_timer_stop(d->loop, &door->again);
	close(door->fd);
	if (d->shutting_down)
		unlink(door->path);
	free(door->path);
}

void control_stop(struct daemon *d)
{
	while (d->control->connections)
		control_connection_free(d->control->connections);
	door_close(d, &d->control->local);
	door_close(d, &d->control->api);
	if (d->shutting_down)
		unlinkat(d->run_fd, API_FOLDER, AT_REMOVEDIR);
	free(d->control);
	d->control = NULL;
}
