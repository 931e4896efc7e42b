/*
 * The judgement: which of the texts that wait can be in force together with the others.
 */
#ifndef TEN_CONFIG_JUDGE_H
#define TEN_CONFIG_JUDGE_H

#include "config_state.h"

/* Put all that waits in play, and put back what does not fit until the rest does. Afterwards the
 * index, the claims and every touched instance's .wanted are as they would be in force; commit or
 * roll back (config_commit.h) comes next. */
void config_judge(struct config_set *set);

#endif
