/* Frames of a command that runs elsewhere: what is read is written again as it was, cut anywhere it
 * is not whole yet, and a command is kept as it is or refused. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exec_frame.h"

static void require(int condition)
{
	if (!condition)
		abort();
}

static void try_command(const struct exec_frame *frame)
{
	autotext struct text out = { 0 };
	struct exec_command command;

	if (!exec_command_read(frame, &command))
		return;
	require(exec_command_put(&out, &command));
	require(out.len == frame->len + EXEC_FRAME_HEAD &&
		!memcmp(out.data + EXEC_FRAME_HEAD, frame->bytes, frame->len));
	exec_command_free(&command);
}

static void try_side(const char *bytes, size_t size, enum exec_side side)
{
	struct exec_frame frame;
	ssize_t taken;

	while ((taken = exec_frame_read(bytes, size, side, &frame)) > 0) {
		autotext struct text out = { 0 };
		struct exec_frame none;

		require((size_t)taken <= size);
		require(exec_frame_read(bytes, (size_t)taken - 1, side, &none) == 0);
		exec_frame_put(&out, frame.type, frame.bytes, frame.len);
		require(out.len == (size_t)taken && !memcmp(out.data, bytes, out.len));
		if (frame.type == EXEC_COMMAND)
			try_command(&frame);
		bytes += taken;
		size -= (size_t)taken;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_side((const char *)data, size, EXEC_FROM_CLIENT);
	try_side((const char *)data, size, EXEC_FROM_SERVER);
	return 0;
}
