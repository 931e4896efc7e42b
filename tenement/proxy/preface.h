/*
 * What comes before the first request where a listener has proxy_protocol: the header that says who
 * the client is. Without one the connection is closed, unanswered.
 */
#ifndef TEN_PROXY_PREFACE_H
#define TEN_PROXY_PREFACE_H

struct exchange;

/* EXCHANGE_PREFACE: the client's socket is readable. */
void preface_read(struct exchange *exchange);

#endif
