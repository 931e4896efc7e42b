/*
 * The public header of libtenement: all of lib/ that is of use to another program.
 *
 * lib/ is pure: no loop, no fork, no socket, no clock and no global state. What has an effect is
 * under tenement/.
 */
#ifndef TENEMENT_H
#define TENEMENT_H

#include "board.h"
#include "config_set.h"
#include "error.h"
#include "guard.h"
#include "names.h"
#include "options.h"
#include "plan.h"
#include "route_table.h"
#include "toml.h"

#endif
