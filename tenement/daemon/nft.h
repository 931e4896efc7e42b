/*
 * Our tables of nftables, by libnftables: commands in the language of nft(8), each call one
 * transaction. Two tables at most, of names that no other tenement has.
 */
#ifndef TEN_NFT_H
#define TEN_NFT_H

#include "daemon/daemon.h"

/* Run COMMANDS: all of them or, on -1, none. */
int nft_run(const char *commands, struct ten_error *err);

/* Hear of it when somebody else removes TABLE ("nft flush ruleset" of a firewall that is loaded
 * anew): GONE is called from the loop. TABLE must stay. */
void nft_watch(struct daemon *d, const char *table, void (*gone)(struct daemon *d));
void nft_stop(struct daemon *d);

#endif
