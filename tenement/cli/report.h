/*
 * `ten status`: a short report on the server, or on one tenant.
 */
#ifndef TEN_REPORT_H
#define TEN_REPORT_H

#include <stdbool.h>

#include "cli/answer.h"
#include "cli/cli.h"

void report_server(struct cli *cli, const json_t *status);
bool report_server_is_wrong(const json_t *status);
void report_server_ids(const json_t *status); /* of the tenants that are in trouble */

void report_tenant(struct cli *cli, const json_t *instance);
bool report_tenant_is_wrong(const json_t *instance);
void report_tenant_ids(const json_t *instance);

/* Print "  NAME  TEXT", TEXT made harmless and its further lines set in likewise. */
void report_field(const struct cli *cli, const char *name, const char *text);

#endif
