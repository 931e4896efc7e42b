/*
 * The keeper becomes the program that is on disk now: by exec, so that its children stay its own
 * and nobody notices. What it knows goes along in a file without a name: messages as of lib/wire.h,
 * each after its length. A keeper ignores those that it does not know.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/programs.h"
#include "keeper/keeper.h"
#include "mem.h"
#include "text.h"

#define STATE_VARIABLE "TENEMENT_KEEPER_STATE"
#define STATE_FORMAT   "tenement-keeper-state-1"
#define STATE_MAX      (64 << 20)

static struct text *state; /* that is being written */

void renew_add(const struct wire_buffer *buffer)
{
	uint32_t len = (uint32_t)buffer->len;

	text_add(state, (const char *)&len, sizeof(len));
	text_add(state, buffer->bytes, buffer->len);
}

static void add_stored(void *data, const char *name, int fd)
{
	struct wire_buffer buffer = { 0 };

	(void)data;
	wire_add(&buffer, "store");
	wire_add(&buffer, name);
	wire_add_number(&buffer, fd);
	renew_add(&buffer);
}

static void set_close_on_exec(void *data, const char *name, int fd)
{
	(void)name;
	fcntl(fd, F_SETFD, *(const int *)data);
}

static int write_state(void)
{
	autotext struct text text = { 0 };
	struct wire_buffer first = { 0 };
	autoclose int fd = memfd_create("tenement-keeper", 0);

	state = &text;
	wire_add(&first, STATE_FORMAT);
	renew_add(&first);
	store_each(add_stored, NULL);
	child_save();
	link_save();
	state = NULL;
	if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len)
		return -1;
	return fd_steal(&fd);
}

void renew(char *const *argv)
{
	autofree char *program = programs_path("tenement-keeper");
	autoclose int fd = write_state();
	int keep = 0, close_on_exec = FD_CLOEXEC;
	sigset_t all, before;
	char number[16];

	if (fd < 0) {
		log_error("the keeper stays as it is: %s", strerror(errno));
		return;
	}
	snprintf(number, sizeof(number), "%d", fd);
	setenv(STATE_VARIABLE, number, 1);
	store_each(set_close_on_exec, &keep);
	/* What comes meanwhile is for the next program, when it has an ear for it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	execv(program, argv);
	log_error("the keeper stays as it is: %s: %s", program, strerror(errno));
	sigprocmask(SIG_SETMASK, &before, NULL);
	store_each(set_close_on_exec, &close_on_exec);
	unsetenv(STATE_VARIABLE);
}

/* ---- the other side of it ---- */

static void resume_stored(const struct wire *wire)
{
	int64_t fd;

	if (!wire_number(wire->fields[2], 3, INT32_MAX, &fd) ||
		fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return;
	store_put(wire->fields[1], (int)fd);
}

static void resume_one(struct ev_loop *loop, const struct wire *wire)
{
	if (wire_is(wire, "store", 2))
		resume_stored(wire);
	else if (wire_is(wire, "child", 7))
		child_resume(loop, wire);
	else if (wire_is(wire, "exit", 4))
		link_resume(wire);
}

static bool resume_all(struct ev_loop *loop, const char *bytes, size_t size)
{
	bool first = true;
	uint32_t len;

	for (size_t at = 0; at + sizeof(len) <= size; at += len) {
		struct wire wire;

		memcpy(&len, bytes + at, sizeof(len));
		at += sizeof(len);
		if (len > size - at || !wire_parse(bytes + at, len, &wire))
			return false;
		if (first && !wire_is(&wire, STATE_FORMAT, 0))
			return false;
		first = false;
		resume_one(loop, &wire);
	}
	return !first;
}

bool renew_resume(struct ev_loop *loop)
{
	const char *number = getenv(STATE_VARIABLE);
	autofree char *bytes = NULL;
	struct stat st;
	int64_t fd;

	if (!number || !wire_number(number, 3, INT32_MAX, &fd) || fstat((int)fd, &st) < 0 ||
		st.st_size > STATE_MAX)
		return false;
	unsetenv(STATE_VARIABLE);
	bytes = mem_alloc((size_t)st.st_size + 1);
	if (pread((int)fd, bytes, (size_t)st.st_size, 0) != st.st_size ||
		!resume_all(loop, bytes, (size_t)st.st_size)) {
		log_error("what the keeper before this one knew cannot be read");
		exit(EXIT_FAILURE);
	}
	close((int)fd);
	log_info("renewed: version %s", TEN_VERSION);
	return true;
}
