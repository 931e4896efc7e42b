/*
 * How a tenant's processes are told to end: its process group, by its stop_signal, and by SIGKILL
 * when that was not enough. Whoever has that pid by now is left alone.
 */
#ifndef TEN_STOP_SIGNAL_H
#define TEN_STOP_SIGNAL_H

#include "daemon/instance.h"

/* Ask RUN to end; by what INSTANCE says, which may be NULL or not declared any more. */
void stop_signal_send(const struct instance *instance, const struct run *run);
/* Of that signal. */
const char *stop_signal_name(const struct instance *instance, const struct run *run);

void stop_signal_kill(const struct run *run);

#endif
