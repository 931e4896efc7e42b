#include "daemon/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/log.h"
#include "daemon/keeper_link.h"
#include "daemon/listen_socket.h"
#include "daemon/port_guard.h"
#include "daemon/upgrade.h"
#include "mem.h"
#include "text.h"
#include "wire.h"

#define LIST_FD  "listeners"
#define LIST_MAX 65536

#define RETRY_SECONDS 5.0

/* Each lane has a socket of its own on the address (SO_REUSEPORT), or all have the one of a path.
 */
struct listener {
	uint32_t place; /* in the names of its descriptors; never given twice */
	bool proxied, api;
	bool wanted;
	bool given;    /* its sockets, to one of the same address */
	char *address; /* as it was asked for */
	char *bound;   /* with the port that the kernel chose for port 0 */
	int fds[BOARD_LANES_MAX];
};

static struct listener *listeners;
static size_t listener_count;
static uint32_t next_place;
static char **addresses;
static char **problems;
static ev_timer retry;
static bool started;
/* What is in force, for the daemon after us: a line each, after one that says whether the workers
 * have yet to be told. */

char **listeners_addresses(void)
{
	return addresses;
}

char **listeners_problems(void)
{
	return problems;
}

/* ---- one listener ---- */

/* Its name says whether connections begin with a PROXY header: a worker knows nothing else of it.
 */
static char *name_of(const struct listener *listener, uint32_t lane)
{
	return mem_printf("listen.%u.%u%s%s", lane, listener->place, listener->api ? ".api" : "",
		listener->proxied ? ".proxy" : "");
}

static void let_go(struct daemon *d, struct listener *listener)
{
	for (uint32_t lane = 0; lane < d->workers; lane++) {
		int fd = listener->fds[lane];

		if (fd >= 0 && (lane == 0 || fd != listener->fds[0]))
			close(fd);
	}
	free(listener->address);
	free(listener->bound);
}

/* Whether a port that ADDRESS has is ours already, on another address. */
static bool port_is_ours(const char *address)
{
	const char *port = strrchr(address, ':');

	for (size_t i = 0; started && port && i < listener_count; i++) {
		const char *bound = listeners[i].bound;
		const char *other =
			bound && !listen_socket_is_path(bound) ? strrchr(bound, ':') : NULL;

		if (other && strcmp(port, other) == 0)
			return true;
	}
	return false;
}

/* The sockets of all lanes: handed down to us, or new ones. */
static int open_all(struct daemon *d, struct listener *listener, struct ten_error *err)
{
	const char *address = listener->address;

	for (uint32_t lane = 0; lane < d->workers; lane++) {
		autofree char *name = name_of(listener, lane);
		int fd = fds_find(name);

		if (fd < 0 && listen_socket_is_path(address))
			fd = lane ? listener->fds[0] : listen_socket_open_path(address, err);
		else if (fd < 0 && !lane && !port_is_ours(address) &&
			 listen_socket_check_free(address, err) < 0)
			return -1;
		else if (fd < 0)
			/* Port 0: the others take the port that the first was given. */
			fd = listen_socket_open_port(lane ? listener->bound : address, err);
		if (fd < 0)
			return -1;
		listener->fds[lane] = fd;
		if (!lane)
			listener->bound = listen_socket_address(fd, address);
	}
	return 0;
}

/* What to do about it, as far as the kernel's word tells. */
static void advise(const struct listener *listener, struct ten_error *err)
{
	bool path = listen_socket_is_path(listener->address);
	const char *advice = NULL;
	size_t len = strlen(err->text);

	if (err->code == EADDRINUSE && !path)
		advice = !started && listener == listeners
				 ? "another program has it: `ten serve --port N` takes another one"
				 : "another program has it";
	else if (err->code == EACCES && !path)
		advice = "a port below 1024 wants root or CAP_NET_BIND_SERVICE";
	else if (err->code == EADDRNOTAVAIL)
		advice = "no interface of this machine has that address";
	else if (err->code == ENOENT)
		advice = "its folder does not exist";
	else if (err->code == ENOTDIR)
		advice = "what should be its folder is none";
	else if (err->code == EACCES || err->code == EPERM)
		advice = "its folder is not ours to write in";
	else if (err->code == EROFS)
		advice = "its folder can only be read";
	else if (err->code == EMFILE || err->code == ENFILE)
		advice = "there are too many open files";
	if (advice)
		snprintf(err->text + len, sizeof(err->text) - len, " (%s)", advice);
}

static void make(struct listener *listener, const struct listener_values *asked, uint32_t place)
{
	*listener = (struct listener){
		.place = place, .proxied = asked->proxy_protocol, .api = asked->api, .wanted = true
	};
	listener->address = mem_strdup(asked->address);
	for (int i = 0; i < BOARD_LANES_MAX; i++)
		listener->fds[i] = -1;
}

static void tell_keeper(struct daemon *d, const struct listener *listener)
{
	for (uint32_t lane = 0; lane < d->workers; lane++) {
		autofree char *name = name_of(listener, lane);

		if (fds_find(name) != listener->fds[lane])
			keeper_link_store(d, name, listener->fds[lane]);
	}
}

static void untell_keeper(struct daemon *d, const struct listener *listener)
{
	for (uint32_t lane = 0; lane < d->workers; lane++) {
		autofree char *name = name_of(listener, lane);

		keeper_link_drop(d, name);
	}
}

/* ---- the list ---- */

static void note_addresses(void)
{
	mem_strv_free(addresses);
	addresses = NULL;
	for (size_t i = 0; i < listener_count; i++)
		mem_strv_append(&addresses, listeners[i].bound);
}

/* What is wanted, as one message to the keeper, between those that bring new sockets and those that
 * drop old ones: wherever we are killed, there are sockets for all that the list has. */
static int write_list(struct daemon *d, bool workers_know, struct ten_error *err)
{
	autotext struct text text = { 0 };

	autoclose int fd = memfd_create("tenement-listeners", MFD_CLOEXEC);

	text_puts(&text, workers_know ? "told\n" : "news\n");
	for (size_t i = 0; i < listener_count; i++) {
		if (listeners[i].wanted)
			text_printf(&text, "%u %d %s\n", listeners[i].place,
				listeners[i].proxied | listeners[i].api << 1, listeners[i].address);
	}
	if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len)
		return ten_error_set(err, errno, "noting the listeners");
	keeper_link_store(d, LIST_FD, fd);
	return 0;
}

static struct listener *append(void)
{
	listeners = mem_resize(listeners, listener_count + 1, sizeof(*listeners));
	return &listeners[listener_count++];
}

/* Of the daemon before us. */
static void read_list(int fd, bool *workers_know)
{
	autofree char *text = mem_alloc(LIST_MAX + 1);
	ssize_t len = pread(fd, text, LIST_MAX, 0);
	char *rest = text, *line;

	text[len > 0 ? len : 0] = '\0';
	*workers_know = strncmp(text, "news", 4) != 0;
	strsep(&rest, "\n");
	while ((line = strsep(&rest, "\n")) && *line) {
		unsigned place;
		int kind, at;

		if (sscanf(line, "%u %d %n", &place, &kind, &at) != 2)
			continue;
		make(append(),
			&(struct listener_values){
				.address = line + at, .proxy_protocol = kind & 1, .api = kind & 2 },
			place);
		if (place >= next_place)
			next_place = place + 1;
	}
}

static bool is_listed(uint32_t place)
{
	for (size_t i = 0; i < listener_count; i++)
		if (listeners[i].place == place)
			return true;
	return false;
}

/* Sockets that the daemon before us opened and had no time to list, or no time to drop. */
static void drop_unlisted(struct daemon *d)
{
	const char *name;

	for (size_t i = 0; (name = fds_name(i)); i++) {
		unsigned lane, place;

		if (sscanf(name, "listen.%u.%u", &lane, &place) != 2)
			continue;
		if (place >= next_place)
			next_place = place + 1;
		if (is_listed(place))
			continue;
		keeper_link_drop(d, name);
		close(FDS_FIRST + (int)i);
	}
}

int listeners_start(struct daemon *d, struct ten_error *err)
{
	const int list_fd = fds_find(LIST_FD);
	bool workers_know = true;

	if (list_fd >= 0) {
		read_list(list_fd, &workers_know);
		drop_unlisted(d);
		close(list_fd);
	}
	for (size_t i = 0; list_fd < 0 && i < d->boot.listener_count; i++)
		make(append(), &d->boot.listeners[i], next_place++);
	for (size_t i = 0; i < listener_count; i++) {
		if (open_all(d, &listeners[i], err) < 0) {
			advise(&listeners[i], err);
			return -1;
		}
		tell_keeper(d, &listeners[i]);
	}
	started = true;
	note_addresses();
	if (list_fd < 0 && write_list(d, true, err) < 0)
		return -1;
	if (!workers_know)
		upgrade_reload(d);
	return 0;
}

/* ---- changes ---- */

static struct listener *find(struct listener *list, size_t count, const char *address)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].address, address) == 0)
			return &list[i];
	return NULL;
}

/* An address may be there more than once, with port 0: each is matched by one. */
static bool match(const struct listener_values *asked)
{
	for (size_t i = 0; i < listener_count; i++) {
		struct listener *listener = &listeners[i];

		if (listener->wanted || listener->proxied != asked->proxy_protocol ||
			listener->api != asked->api ||
			strcmp(listener->address, asked->address) != 0)
			continue;
		listener->wanted = true;
		return true;
	}
	return false;
}

/* The same sockets by another name, of one of the HAD first that is not wanted as it is. 0: there
 * is none. */
static int take_sockets(
	struct daemon *d, struct listener *listener, size_t had, struct ten_error *err)
{
	struct listener *same = NULL;

	for (size_t i = 0; i < had && !same; i++)
		if (!listeners[i].wanted && !listeners[i].given &&
			strcmp(listeners[i].address, listener->address) == 0)
			same = &listeners[i];
	if (!same)
		return 0;
	same->given = true;
	listener->bound = mem_strdup(same->bound);
	for (uint32_t lane = 0; lane < d->workers; lane++) {
		listener->fds[lane] = lane && same->fds[lane] == same->fds[0]
					      ? listener->fds[0]
					      : fcntl(same->fds[lane], F_DUPFD_CLOEXEC, 0);
		if (listener->fds[lane] < 0) {
			same->given = false;
			return ten_error_set(err, errno, "listen on %s", listener->address);
		}
	}
	return 1;
}

/* What is not THERE is put behind those that are, as far as it can be had; returns why some cannot.
 */
static char **open_new(struct daemon *d, const struct setting_values *settings, const bool *there)
{
	size_t had = listener_count;
	char **failed = NULL;

	for (size_t i = 0; i < settings->listener_count; i++) {
		const struct listener_values *asked = &settings->listeners[i];
		struct listener *listener;
		struct ten_error err;
		int taken;

		if (there[i])
			continue;
		listener = append();
		make(listener, asked, next_place++);
		taken = take_sockets(d, listener, had, &err);
		if (taken > 0 || (taken == 0 && open_all(d, listener, &err) == 0))
			continue;
		advise(listener, &err);
		mem_strv_append(&failed, err.text);
		let_go(d, listener);
		listener_count--;
	}
	return failed;
}

static void unlink_path(const struct listener *listener)
{
	const char *path = listen_socket_path(listener->address);
	struct stat st;

	if (listen_socket_is_path(listener->address) && listener->fds[0] >= 0 &&
		lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
}

static void close_unwanted(struct daemon *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < listener_count; i++) {
		struct listener *listener = &listeners[i];

		if (listener->wanted) {
			listeners[kept++] = *listener;
			continue;
		}
		untell_keeper(d, listener);
		if (!find(listener + 1, listener_count - i - 1, listener->address)) {
			log_info("no more listening on %s", listener->bound);
			unlink_path(listener);
		}
		let_go(d, listener);
	}
	listener_count = kept;
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	listeners_update(ev_userdata(loop));
}

static bool is_known(const char *problem)
{
	for (size_t i = 0; problems && problems[i]; i++)
		if (strcmp(problems[i], problem) == 0)
			return true;
	return false;
}

/* Say what is new of it, and only that. */
static void note_failures(struct daemon *d, char **failed)
{
	for (size_t i = 0; failed && failed[i]; i++)
		if (!is_known(failed[i]))
			log_error("%s", failed[i]);
	mem_strv_free(problems);
	problems = failed;
	ev_timer_stop(d->loop, &retry);
	if (!failed)
		return;
	ev_timer_init(&retry, on_retry, RETRY_SECONDS, 0.);
	ev_timer_start(d->loop, &retry);
}

/* While something cannot be begun nothing is ended: it may be what was to come in its place. */
static size_t keep_unwanted(size_t had)
{
	size_t ending = 0;

	for (size_t i = 0; i < had; i++) {
		if (problems && !listeners[i].given)
			listeners[i].wanted = true;
		ending += !listeners[i].wanted;
	}
	return ending;
}

void listeners_update(struct daemon *d)
{
	const struct setting_values *settings = config_set_settings(d->set);
	autofree bool *there = mem_alloc(settings->listener_count + 1);
	size_t had = listener_count;
	struct ten_error err;

	if (d->shutting_down || d->leaving)
		return;
	for (size_t i = 0; i < had; i++)
		listeners[i].wanted = listeners[i].given = false;
	for (size_t i = 0; i < settings->listener_count; i++)
		there[i] = match(&settings->listeners[i]);
	note_failures(d, open_new(d, settings, there));
	if (!keep_unwanted(had) && listener_count == had)
		return;
	for (size_t i = had; i < listener_count; i++) {
		tell_keeper(d, &listeners[i]);
		log_info("listening on %s", listeners[i].bound);
	}
	if (write_list(d, false, &err) < 0)
		log_error("%s", err.text);
	close_unwanted(d);
	note_addresses();
	port_guard_settings_changed(d); /* before anybody accepts there */
	upgrade_reload(d);
}

void listeners_known(struct daemon *d)
{
	struct ten_error err;

	if (write_list(d, true, &err) < 0)
		log_error("%s", err.text);
}

void listeners_remove_sockets(void)
{
	for (size_t i = 0; i < listener_count; i++)
		unlink_path(&listeners[i]);
}
