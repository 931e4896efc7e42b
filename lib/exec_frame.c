#include "exec_frame.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define COMMAND_HEAD 5 /* flags, rows, columns */
#define FLAG_TTY     1

/* The least and the most bytes of a frame of TYPE; false: SIDE sends none. */
static bool bounds(uint8_t type, enum exec_side side, size_t *least, size_t *most)
{
	static const struct {
		enum exec_frame_type type;
		enum exec_side side;
		size_t least, most;
	} types[] = {
		{ EXEC_COMMAND, EXEC_FROM_CLIENT, COMMAND_HEAD + 1, EXEC_FRAME_MAX },
		{ EXEC_STDIN, EXEC_FROM_CLIENT, 1, EXEC_FRAME_MAX },
		{ EXEC_STDIN_EOF, EXEC_FROM_CLIENT, 0, 0 },
		{ EXEC_RESIZE, EXEC_FROM_CLIENT, 4, 4 },
		{ EXEC_SIGNAL, EXEC_FROM_CLIENT, 1, 1 },
		{ EXEC_STDOUT, EXEC_FROM_SERVER, 1, EXEC_FRAME_MAX },
		{ EXEC_STDERR, EXEC_FROM_SERVER, 1, EXEC_FRAME_MAX },
		{ EXEC_EXIT, EXEC_FROM_SERVER, 1, 1 },
		{ EXEC_ERROR, EXEC_FROM_SERVER, 1, 4096 },
		{ EXEC_TAKEN, EXEC_FROM_SERVER, 4, 4 },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (types[i].type != type || types[i].side != side)
			continue;
		*least = types[i].least;
		*most = types[i].most;
		return true;
	}
	return false;
}

static uint32_t number_at(const char *bytes, size_t count)
{
	uint32_t number = 0;

	for (size_t i = 0; i < count; i++)
		number = number << 8 | (unsigned char)bytes[i];
	return number;
}

static void put_number(char *out, size_t count, uint32_t number)
{
	while (count) {
		out[--count] = (char)(number & 0xff);
		number >>= 8;
	}
}

static bool is_signal(char byte)
{
	return byte == 1 || byte == 2 || byte == 3 || byte == 15;
}

ssize_t exec_frame_read(
	const char *bytes, size_t len, enum exec_side side, struct exec_frame *frame)
{
	size_t least, most, said;

	if (!len)
		return 0;
	if (!bounds((uint8_t)bytes[0], side, &least, &most))
		return -1;
	if (len < EXEC_FRAME_HEAD)
		return 0;
	said = number_at(bytes + 1, 4);
	if (said < least || said > most)
		return -1;
	if (len - EXEC_FRAME_HEAD < said)
		return 0;
	*frame = (struct exec_frame){ (enum exec_frame_type)bytes[0], bytes + EXEC_FRAME_HEAD,
		said };
	if (frame->type == EXEC_SIGNAL && !is_signal(*frame->bytes))
		return -1;
	return (ssize_t)(EXEC_FRAME_HEAD + said);
}

void exec_frame_put(struct text *out, enum exec_frame_type type, const char *bytes, size_t len)
{
	char head[EXEC_FRAME_HEAD] = { (char)type };

	put_number(head + 1, 4, (uint32_t)len);
	text_add(out, head, sizeof(head));
	text_add(out, bytes, len);
}

void exec_frame_size(const struct exec_frame *frame, uint16_t *rows, uint16_t *columns)
{
	*rows = (uint16_t)number_at(frame->bytes, 2);
	*columns = (uint16_t)number_at(frame->bytes + 2, 2);
}

uint32_t exec_frame_number(const struct exec_frame *frame)
{
	return number_at(frame->bytes, frame->len);
}

void exec_frame_put_size(struct text *out, uint16_t rows, uint16_t columns)
{
	char bytes[4];

	put_number(bytes, 2, rows);
	put_number(bytes + 2, 2, columns);
	exec_frame_put(out, EXEC_RESIZE, bytes, sizeof(bytes));
}

void exec_frame_put_number(struct text *out, enum exec_frame_type type, uint32_t number)
{
	size_t count = type == EXEC_TAKEN ? 4 : 1;
	char bytes[4];

	put_number(bytes, count, number);
	exec_frame_put(out, type, bytes, count);
}

/* ---- the command ---- */

bool exec_terminal_is_good(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-._+";

	return strlen(name) <= EXEC_TERM_MAX && name[strspn(name, good)] == '\0';
}

bool exec_command_put(struct text *out, const struct exec_command *command)
{
	size_t len = COMMAND_HEAD + strlen(command->terminal) + 1, count = 0;
	char head[COMMAND_HEAD] = { command->tty ? FLAG_TTY : 0 };
	autotext struct text body = { 0 };

	if (!exec_terminal_is_good(command->terminal))
		return false;
	put_number(head + 1, 2, command->rows);
	put_number(head + 3, 2, command->columns);
	text_add(&body, head, sizeof(head));
	text_add(&body, command->terminal, strlen(command->terminal) + 1);
	for (char *const *arg = command->argv; arg && *arg; arg++) {
		len += strlen(*arg) + 1;
		if (len > EXEC_FRAME_MAX || ++count > EXEC_ARGS_MAX)
			return false;
		text_add(&body, *arg, strlen(*arg) + 1);
	}
	exec_frame_put(out, EXEC_COMMAND, body.data, body.len);
	return true;
}

bool exec_command_read(const struct exec_frame *frame, struct exec_command *command)
{
	const char *at = frame->bytes + COMMAND_HEAD, *end = frame->bytes + frame->len;
	size_t count = 0;

	*command = (struct exec_command){ .tty = frame->bytes[0] == FLAG_TTY };
	command->rows = (uint16_t)number_at(frame->bytes + 1, 2);
	command->columns = (uint16_t)number_at(frame->bytes + 3, 2);
	if ((frame->bytes[0] & ~FLAG_TTY) || end[-1] != '\0' || !exec_terminal_is_good(at))
		return false;
	memcpy(command->terminal, at, strlen(at) + 1);
	at += strlen(at) + 1;
	for (const char *arg = at; arg < end; arg += strlen(arg) + 1)
		count++;
	if (count > EXEC_ARGS_MAX)
		return false;
	command->argv = mem_alloc((count + 1) * sizeof(*command->argv));
	for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
		command->argv[i] = mem_strdup(at);
	return true;
}

void exec_command_free(struct exec_command *command)
{
	mem_strv_free(command->argv);
	command->argv = NULL;
}
