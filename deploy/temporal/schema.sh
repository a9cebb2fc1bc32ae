#!/bin/sh
# Makes or updates Temporal's two databases; the connection comes from the SQL_* variables.
set -eu
for name in temporal visibility; do
  database=temporal
  if [ "$name" = visibility ]; then database=temporal_visibility; fi
  temporal-sql-tool --db "$database" create
  # `setup-schema` fails if the schema is there already; `update-schema` then brings it up to date.
  temporal-sql-tool --db "$database" setup-schema -v 0.0 || true
  temporal-sql-tool --db "$database" update-schema -d "/etc/temporal/schema/postgresql/v12/$name/versioned"
done
