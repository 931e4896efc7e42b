#include "logger/log_counts.h"

#include "common/fds.h"
#include "common/log.h"

static struct board_logs untold;
struct board_logs *log_counts = &untold;

void log_counts_start(void)
{
	int fd = fds_find("board");
	struct board *board;
	struct ten_error err;

	if (fd < 0)
		return;
	if (board_open(&board, fd, &err) < 0)
		log_warn("lines are not counted: %s", err.text);
	else
		log_counts = &board->logs;
}
