/*
 * What goes over an upgraded connection that runs a command elsewhere: frames, each a byte of type,
 * four of length (big-endian) and so many bytes. What is malformed is refused, and nothing guessed.
 *
 * Standard input goes by a window: at most EXEC_WINDOW bytes of it are under way, and more when
 * WINDOW says that so many were taken. So signals and the end are read however full that is.
 */
#ifndef TEN_EXEC_FRAME_H
#define TEN_EXEC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "text.h"

#define EXEC_PROTOCOL   "tenement-exec"
#define EXEC_FRAME_HEAD 5
#define EXEC_FRAME_MAX  65536u
#define EXEC_WINDOW     262144u
#define EXEC_ARGS_MAX   1024
#define EXEC_TERM_MAX   63

enum exec_frame_type {
	/* of who asks */
	EXEC_COMMAND = 1,   /* struct exec_command; the first, and once */
	EXEC_STDIN = 2,     /* 1 byte or more */
	EXEC_STDIN_EOF = 3, /* nothing */
	EXEC_RESIZE = 4,    /* rows, columns: 2 bytes each */
	EXEC_SIGNAL = 5,    /* 1 byte: HUP 1, INT 2, QUIT 3, TERM 15 */
	/* of who runs it */
	EXEC_STDOUT = 16,
	EXEC_STDERR = 17,
	EXEC_EXIT = 18,  /* 1 byte: the exit code; the last */
	EXEC_ERROR = 19, /* text: there was no command; the last */
	EXEC_TAKEN = 20, /* 4 bytes: so much more of standard input may come */
};

enum exec_side { EXEC_FROM_CLIENT, EXEC_FROM_SERVER };

struct exec_frame {
	enum exec_frame_type type;
	const char *bytes; /* borrowed */
	size_t len;
};

/* The frame that BYTES begin with: how many bytes it has, 0 when it is not whole yet, -1 when it is
 * none that SIDE may send. */
ssize_t exec_frame_read(
	const char *bytes, size_t len, enum exec_side side, struct exec_frame *frame);

/* LEN is at most EXEC_FRAME_MAX. */
void exec_frame_put(struct text *out, enum exec_frame_type type, const char *bytes, size_t len);

/* Of RESIZE, SIGNAL, EXIT, TAKEN that were read. */
void exec_frame_size(const struct exec_frame *frame, uint16_t *rows, uint16_t *columns);
uint32_t exec_frame_number(const struct exec_frame *frame);

void exec_frame_put_size(struct text *out, uint16_t rows, uint16_t columns);
void exec_frame_put_number(struct text *out, enum exec_frame_type type, uint32_t number);

/* argv may be empty: a shell. */
struct exec_command {
	bool tty;
	uint16_t rows, columns;
	char terminal[EXEC_TERM_MAX + 1]; /* TERM; "": none */
	char **argv;                      /* NULL-terminated; owned */
};

/* False: it does not fit into a frame, or is no such terminal. */
bool exec_command_put(struct text *out, const struct exec_command *command);
/* False: it is malformed; then there is nothing to free. */
bool exec_command_read(const struct exec_frame *frame, struct exec_command *command);
void exec_command_free(struct exec_command *command);

/* What TERM may be. */
bool exec_terminal_is_good(const char *name);

#endif
