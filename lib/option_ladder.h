/*
 * Reading a sleep ladder: [{ after = 60, to = "frozen" }, { after = 900, to = "stopped" }].
 */
#ifndef TEN_OPTION_LADDER_H
#define TEN_OPTION_LADDER_H

#include "error.h"
#include "options.h"
#include "toml.h"

int option_ladder_read(const struct option *option, const struct toml_node *node,
	struct option_ladder *ladder, struct ten_error *err);

#endif
