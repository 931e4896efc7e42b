/*
 * tenement-tracer: hands the spans of proxy workers to a collector, by OTLP over HTTP. A child of
 * the keeper, which holds the socket that they come by; there is one while otlp_endpoint is set.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board.h"
#include "common/fds.h"
#include "common/log.h"
#include "mem.h"
#include "tracer/exporter.h"

#define EXIT_USAGE   2
#define MESSAGES_MAX 64 /* between two looks at the collector */
#define LAST_SECONDS 1.0

static volatile sig_atomic_t ended;

static void on_terminate(int number)
{
	(void)number;
	ended = 1;
}

static void harden(void)
{
	struct sigaction terminate = { .sa_handler = on_terminate };

	sigaction(SIGTERM, &terminate, NULL);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		log_warn("prctl: %s", strerror(errno));
}

/* What is there, but not for ever. */
static void read_spans(struct exporter *exporter, int fd, char *batch)
{
	struct span span;

	for (int i = 0; i < MESSAGES_MAX; i++) {
		ssize_t got = recv(fd, batch, SPAN_BATCH_MAX, MSG_DONTWAIT | MSG_TRUNC);
		size_t at = 0;

		if (got <= 0)
			return;
		if (got > SPAN_BATCH_MAX)
			continue;
		while (span_next(batch, (size_t)got, &at, &span))
			exporter_add(exporter, &span);
		if (at != (size_t)got)
			log_warn("refused a message of spans that is none");
	}
}

static int run(const char *endpoint, int fd)
{
	autofree char *batch = mem_alloc(SPAN_BATCH_MAX);
	struct board_traces untold = { 0 };
	struct board *board = NULL;
	struct exporter *exporter;
	struct ten_error err;

	if (fds_find("board") >= 0 && board_open(&board, fds_find("board"), &err) < 0)
		log_warn("what becomes of spans is not counted: %s", err.text);
	exporter = exporter_new(endpoint, board ? &board->traces : &untold, &err);
	if (!exporter) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	while (!ended) {
		exporter_turn(exporter, fd);
		read_spans(exporter, fd, batch);
	}
	exporter_finish(exporter, LAST_SECONDS);
	exporter_free(exporter);
	board_close(board);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "endpoint", required_argument, NULL, 'e' },
		{ 0 },
	};
	const char *endpoint = NULL;
	pid_t parent = getppid();
	int option, fd;

	log_init("tenement-tracer");
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("tenement-tracer %s\n", TEN_VERSION);
		return EXIT_SUCCESS;
	}
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		endpoint = option == 'e' ? optarg : NULL;
	fd = fds_find("spans.in");
	if (!endpoint || optind != argc || fd < 0) {
		log_error("usage: tenement-tracer --endpoint URL (it is started by "
			  "tenement-keeper)");
		return EXIT_USAGE;
	}
	harden();
	if (getppid() != parent)
		return EXIT_SUCCESS; /* the keeper died before it could signal us */
	return run(endpoint, fd);
}
