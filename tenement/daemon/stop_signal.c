#include "daemon/stop_signal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "common/init_signal.h"
#include "common/process.h"

static const struct {
	int number;
	const char *name;
} stop_signals[STOP_SIGNALS] = {
	[STOP_SIGTERM] = { SIGTERM, "SIGTERM" },
	[STOP_SIGINT] = { SIGINT, "SIGINT" },
	[STOP_SIGQUIT] = { SIGQUIT, "SIGQUIT" },
	[STOP_SIGHUP] = { SIGHUP, "SIGHUP" },
	[STOP_SIGUSR1] = { SIGUSR1, "SIGUSR1" },
	[STOP_SIGUSR2] = { SIGUSR2, "SIGUSR2" },
	[STOP_SIGWINCH] = { SIGWINCH, "SIGWINCH" },
};

static enum spec_stop_signal choice(const struct instance *instance, const struct run *run)
{
	const struct ten_spec *spec = instance && instance->spec ? instance->spec : run->spec;

	return spec ? (enum spec_stop_signal)spec->values.stop_signal : STOP_SIGTERM;
}

const char *stop_signal_name(const struct instance *instance, const struct run *run)
{
	return stop_signals[choice(instance, run)].name;
}

static void tell(const struct run *run, int signal)
{
	if (!process_is(run->pid, run->start_time))
		return;
	/* It is in the group as well, and passes on what it alone gets. */
	if (run->init && signal != SIGKILL)
		sigqueue(run->pid, INIT_SIGNAL_TO_GROUP, (union sigval){ .sival_int = signal });
	if (kill(-run->pid, signal) < 0 && errno == ESRCH)
		kill(run->pid, signal);
}

void stop_signal_send(const struct instance *instance, const struct run *run)
{
	tell(run, stop_signals[choice(instance, run)].number);
}

void stop_signal_kill(const struct run *run)
{
	tell(run, SIGKILL);
}
