#include "daemon/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/netns.h"
#include "daemon/nft.h"
#include "daemon/port_guard.h"
#include "daemon/private_rules.h"
#include "daemon/record.h"
#include "daemon/veth.h"
#include "egress.h"
#include "machine.h"
#include "mem.h"

#define PLACE_TRIES 64

static bool place_taken[PRIVATE_PAIRS_MAX];
static uint32_t next_place;

static bool has_own(const struct run *run)
{
	return run->network.kind != NETWORK_HOST;
}

/* ---- the daemon's life ---- */

void network_start(struct daemon *d)
{
	struct ten_error err;
	struct run *run, *next;

	HASH_ITER (by_pid, d->runs, run, next)
		if (run->network.kind == NETWORK_PRIVATE)
			place_taken[run->network.index % PRIVATE_PAIRS_MAX] = true;
	if (port_guard_start(d, &err) < 0) {
		log_warn("the ports of tenants are not closed to others: %s", err.text);
		if (!d->root)
			return;
	}
	private_rules_start(d);
	veth_sweep(d);
}

void network_stop(struct daemon *d)
{
	if (!d->root)
		return;
	private_rules_stop(d);
	port_guard_stop(d);
	veth_sweep(d);
	nft_stop(d);
}

void network_turn(struct daemon *d)
{
	port_guard_turn(d);
	private_rules_turn(d);
}

char *network_problem(const struct daemon *d)
{
	if (private_rules_problem())
		return mem_printf(
			"networks of tenants with network = \"private\" are not closed: %s",
			private_rules_problem());
	if (!port_guard_problem() || !d->root) /* (of a plain user's all is said already) */
		return NULL;
	return mem_printf("every local user can connect to the ports of tenants with network = "
			  "\"host\", and other machines to those that listen on all addresses: %s",
		port_guard_problem());
}

/* ---- a process ---- */

/* Those that were given back are given again as late as can be: their links may take a while to
 * go, and who had one is remembered elsewhere. */
static int take_place(struct daemon *d, struct run *run, struct ten_error *err)
{
	struct private_range range;

	if (private_range_parse(d->boot.private_range, &range, err) < 0)
		return ten_error_wrap(err, "private_range");
	for (uint32_t i = 0; i < range.pairs; i++) {
		uint32_t place = next_place++ % range.pairs;

		if (place_taken[place])
			continue;
		place_taken[place] = true;
		run->network.index = place;
		run->network.address = range.first + 2 * place + 1;
		return 0;
	}
	/* (as other shortages: it is tried again) */
	return ten_error_say(err, ENOBUFS, "no address is free in private_range = \"%s\"",
		d->boot.private_range);
}

static void leave_place(struct run *run)
{
	if (run->network.address)
		place_taken[run->network.index] = false;
	run->network.address = 0;
}

int network_prepare(struct daemon *d, struct run *run, struct ten_error *err)
{
	run->network.kind = (enum spec_network)run->spec->values.network;
	if (!has_own(run) || d->root)
		return 0;
	if (run->network.kind == NETWORK_NONE && run->spec->values.isolation != ISOLATION_PROCESS)
		return 0;
	return ten_error_set(err, 0,
		"network = \"%s\" needs %sa daemon that is root: run `ten serve` as root",
		run->network.kind == NETWORK_NONE ? "none" : "private",
		run->network.kind == NETWORK_NONE ? "isolation = \"namespace\", or " : "");
}

uint64_t network_clone_flags(const struct run *run)
{
	return has_own(run) ? CLONE_NEWNET : 0;
}

static int open_private(struct daemon *d, struct run *run, struct ten_error *err)
{
	const struct service_values *values = &run->spec->values;
	bool taken = true;

	for (int tries = 0; taken; tries++) {
		if (take_place(d, run, err) < 0)
			return -1;
		if (veth_make(d, run, values->bandwidth_mbit, &taken, err) == 0)
			break;
		leave_place(run);
		if (!taken || tries == PLACE_TRIES)
			return -1;
	}
	run->network.bandwidth_mbit = values->bandwidth_mbit;
	return private_rules_add(d, run, values, err);
}

int network_open(struct daemon *d, struct run *run, struct ten_error *err)
{
	switch (run->network.kind) {
	case NETWORK_HOST:
		port_guard_add(d, run);
		return 0;
	case NETWORK_PRIVATE:
		return open_private(d, run, err);
	case NETWORK_NONE:
		break;
	}
	return 0;
}

void network_close(struct daemon *d, struct run *run)
{
	network_diag_close(run);
	if (run->network.kind == NETWORK_HOST)
		port_guard_remove(d, run);
	if (run->network.kind == NETWORK_PRIVATE)
		private_rules_remove(d, run);
	leave_place(run);
}

void network_update(struct daemon *d, struct instance *instance)
{
	const struct service_values *values = &instance->spec->values;
	struct run *run = instance->run;
	struct ten_error err;

	/* (one that is to become another kind is restarted) */
	if (!run || run->network.kind != NETWORK_PRIVATE || values->network != NETWORK_PRIVATE ||
		run->exit != PLAN_EXIT_NONE)
		return;
	if (private_rules_update(d, run, values, &err) < 0)
		log_error("%s: %s", run->key, err.text);
	if (values->bandwidth_mbit == run->network.bandwidth_mbit)
		return;
	if (veth_set_bandwidth(d, run, values->bandwidth_mbit, &err) < 0)
		log_error("%s: %s", run->key, err.text);
	run->network.bandwidth_mbit = values->bandwidth_mbit;
}

struct nl_sock *network_diag(struct run *run, bool *unseen)
{
	struct ten_error err;

	*unseen = false;
	if (!has_own(run))
		return NULL;
	if (!run->network.diag)
		run->network.diag = netns_connect(run->pid, NETLINK_SOCK_DIAG, &err);
	if (run->network.diag)
		nl_socket_disable_auto_ack(run->network.diag);
	*unseen = !run->network.diag;
	return run->network.diag;
}

void network_diag_close(struct run *run)
{
	if (run->network.diag)
		nl_socket_free(run->network.diag);
	run->network.diag = NULL;
}

/* ---- for people, and for the next life ---- */

char *network_describe(const struct run *run)
{
	struct in_addr address = { .s_addr = htonl(run->network.address) };
	char spelled[INET_ADDRSTRLEN];

	if (run->network.kind == NETWORK_HOST)
		return mem_strdup("host");
	if (run->network.kind == NETWORK_NONE)
		return mem_strdup("none");
	return mem_printf("private %s", inet_ntop(AF_INET, &address, spelled, sizeof(spelled)));
}

char *network_record(const struct run *run)
{
	return mem_printf("network %d %u %u", (int)run->network.kind, run->network.index,
		run->network.address);
}

void network_recall(struct run *run, const char *text)
{
	const char *line = record_line(text, "network");
	unsigned kind, index, address;

	if (!line || sscanf(line, "%u %u %u", &kind, &index, &address) != 3 ||
		kind > NETWORK_PRIVATE || index >= PRIVATE_PAIRS_MAX)
		return;
	run->network.kind = (enum spec_network)kind;
	run->network.index = index;
	run->network.address = address;
	run->network.bandwidth_mbit = -1; /* not known */
}

/* ---- what the machine gives ---- */

static void tell(int fd, const char *option, const char *value, const char *why)
{
	dprintf(fd, "%s\t%s\t%s\n", option, value ? value : "", why);
}

/* In a namespace of its own, which goes with this process, it is simply tried. */
static void probe(struct daemon *d, int out)
{
	struct ten_error err;

	if (unshare(d->root ? CLONE_NEWNET : CLONE_NEWNET | CLONE_NEWUSER) < 0) {
		ten_error_set(&err, errno, "a network namespace cannot be made here");
		tell(out, "network", "none", err.text);
		tell(out, "network", "private", err.text);
		return;
	}
	if (!d->root)
		return;
	if (private_rules_probe(d, &err) < 0 || veth_probe(d, &err) < 0)
		tell(out, "network", "private", err.text);
	else if (veth_probe_bandwidth(d, &err) < 0)
		tell(out, "bandwidth_mbit", NULL, err.text);
	if (private_rules_probe_egress(&err) < 0)
		tell(out, "egress", NULL, err.text);
}

static void take_line(struct daemon *d, char *line)
{
	char *value = strchr(line, '\t');
	char *why = value ? strchr(value + 1, '\t') : NULL;

	if (!why)
		return;
	*value++ = *why++ = '\0';
	machine_add_lack(&d->machine, line, *value ? value : NULL, "%s", why);
}

static void take_lines(struct daemon *d, int in)
{
	FILE *stream = fdopen(in, "r");
	autofree char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while (stream && (len = getline(&line, &room, stream)) > 0) {
		line[len - 1] = '\0';
		take_line(d, line);
	}
	if (stream)
		fclose(stream);
}

void network_find_lacks(struct daemon *d)
{
	int ends[2];
	pid_t child;

	if (!d->root)
		machine_add_lack(&d->machine, "network", "private",
			"it needs a daemon that is root: run `ten serve` as root");
	if (!d->root && machine_lacks_value(&d->machine, "isolation", "namespace"))
		machine_add_lack(&d->machine, "network", "none",
			"without root it needs isolation = \"namespace\", which cannot be given: "
			"%s",
			machine_lacks_value(&d->machine, "isolation", "namespace"));
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	child = fork();
	if (child == 0) {
		probe(d, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	take_lines(d, ends[0]);
	if (child > 0)
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
}
