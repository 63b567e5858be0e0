#!/bin/sh
# Run once, on an empty data folder: who owns the schemas (`ias migrate up`), and who the processes log in as. They act
# as the role ias_app, which no row-level security lets pass.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --set=database="$POSTGRES_DB" --set=owner="$OWNER_PASSWORD" --set=process="$PROCESS_PASSWORD" <<'SQL'
CREATE ROLE ias_app NOLOGIN;
CREATE ROLE ias_owner LOGIN CREATEROLE PASSWORD :'owner';
CREATE ROLE ias_process LOGIN NOCREATEROLE PASSWORD :'process';
GRANT ias_app TO ias_process;
GRANT ias_app TO ias_owner WITH ADMIN OPTION;
REVOKE CONNECT ON DATABASE :"database" FROM PUBLIC;
ALTER DATABASE :"database" OWNER TO ias_owner;
GRANT CONNECT ON DATABASE :"database" TO ias_process;
SQL
