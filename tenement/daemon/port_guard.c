#include "daemon/port_guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/become.h"
#include "common/log.h"
#include "daemon/nft.h"
#include "mem.h"
#include "option_value.h"
#include "text.h"

static bool started;
static char *problem;
static struct text leaving; /* commands that take out the ports of those that ended */

const char *port_guard_table(const struct daemon *d)
{
	static char name[32];

	if (!*name)
		snprintf(name, sizeof(name), "tenement_%016" PRIx64,
			option_hash_bytes(d->data_dir, strlen(d->data_dir), 0));
	return name;
}

void port_guard_add_trusted(const struct daemon *d, struct text *text)
{
	text_puts(text, "{ 0");
	if (d->proxy_uid != UINT32_MAX && d->proxy_uid != 0)
		text_printf(text, ", %u", d->proxy_uid);
	text_puts(text, " }");
}

static void add_elements(
	const char *verb, const char *table, const struct run *run, struct text *text)
{
	text_printf(text, "%s element inet %s ports { %u }\n", verb, table, run->port);
	if (run->uid != BECOME_KEEP)
		text_printf(text, "%s element inet %s owners { %u . %u }\n", verb, table, run->uid,
			run->port);
}

static bool is_guarded(const struct run *run)
{
	return run->network.kind == NETWORK_HOST && run->port;
}

/* All of it in one transaction: what was there is in force until this is. Beginnings of
 * connections alone are looked at, so that nothing that stands is harmed, and the rest costs the
 * proxy next to nothing. */
static int build(struct daemon *d, struct ten_error *err)
{
	const char *table = port_guard_table(d);
	autotext struct text text = { 0 };
	struct run *run, *next;

	text_printf(&text,
		"add table inet %s\n"
		"delete table inet %s\n"
		"table inet %s {\n"
		"set ports { type inet_service; }\n"
		"set owners { type uid . inet_service; }\n"
		"chain guarded {\n"
		"meta skuid ",
		table, table, table);
	port_guard_add_trusted(d, &text);
	text_puts(&text,
		" accept\n"
		"meta skuid . tcp dport @owners accept\n"
		"reject with tcp reset\n"
		"}\n"
		"chain local {\n"
		"type filter hook output priority filter; policy accept;\n"
		"oif lo tcp flags & (syn | ack) == syn tcp dport @ports goto guarded\n"
		"}\n"
		"chain remote {\n"
		"type filter hook input priority filter; policy accept;\n"
		"iif != lo tcp flags & (syn | ack) == syn tcp dport @ports reject with tcp reset\n"
		"}\n"
		"}\n");
	HASH_ITER (by_pid, d->runs, run, next)
		if (is_guarded(run))
			add_elements("add", table, run, &text);
	text_free(&leaving);
	return nft_run(text.data, err);
}

static void rebuild(struct daemon *d)
{
	struct ten_error err;

	if (build(d, &err) == 0) {
		if (problem)
			log_info("the ports of tenants are closed to others again");
		free(mem_steal(&problem));
		return;
	}
	if (!problem)
		log_error("the ports of tenants are not closed to others: %s", err.text);
	free(problem);
	problem = mem_strdup(err.text);
}

static void gone(struct daemon *d)
{
	log_warn("somebody removed our table %s of nftables; it is made anew", port_guard_table(d));
	rebuild(d);
}

int port_guard_start(struct daemon *d, struct ten_error *err)
{
	if (!d->root)
		ten_error_set(err, 0, "it needs a daemon that is root");
	if (!d->root || build(d, err) < 0) {
		problem = mem_strdup(err->text);
		return -1;
	}
	started = true;
	nft_watch(d, port_guard_table(d), gone);
	return 0;
}

void port_guard_stop(struct daemon *d)
{
	autofree char *command = NULL;
	struct ten_error err;

	if (!started)
		return;
	started = false;
	text_free(&leaving);
	command = mem_printf("delete table inet %s\n", port_guard_table(d));
	if (nft_run(command, &err) < 0)
		log_warn("%s", err.text);
}

void port_guard_add(struct daemon *d, struct run *run)
{
	autotext struct text text = { 0 };

	if (!started || !is_guarded(run))
		return;
	if (leaving.len)
		text_add(&text, leaving.data, leaving.len);
	text_free(&leaving);
	add_elements("add", port_guard_table(d), run, &text);
	/* Somebody was at our table: the whole of it, then. */
	if (problem || nft_run(text.data, NULL) < 0)
		rebuild(d);
}

void port_guard_remove(struct daemon *d, const struct run *run)
{
	if (!started || !is_guarded(run))
		return;
	/* (what is not there cannot be deleted) */
	add_elements("add", port_guard_table(d), run, &leaving);
	add_elements("delete", port_guard_table(d), run, &leaving);
}

void port_guard_turn(struct daemon *d)
{
	autotext struct text text = leaving;

	leaving = (struct text){ 0 };
	if (started && text.len && nft_run(text.data, NULL) < 0)
		rebuild(d);
}

const char *port_guard_problem(void)
{
	return problem;
}
