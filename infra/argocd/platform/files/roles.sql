-- The roles of docs/kubernetes.md, made with the login that Linode gives; what is there stays, passwords are set each time.
SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['ias_owner', 'ias_api', 'ias_worker']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
SELECT 'CREATE ROLE ias_app NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ias_app') \gexec
ALTER ROLE ias_owner CREATEROLE PASSWORD :'owner';
ALTER ROLE ias_api PASSWORD :'api';
ALTER ROLE ias_worker PASSWORD :'worker';
GRANT ias_app TO ias_api, ias_worker;
GRANT ias_app TO ias_owner WITH ADMIN OPTION;
-- Whoever gives a database away must be a member of whom it is given to.
GRANT ias_owner TO CURRENT_USER;
SELECT 'CREATE DATABASE ias' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'ias') \gexec
ALTER DATABASE ias OWNER TO ias_owner;
REVOKE CONNECT ON DATABASE ias FROM PUBLIC;
GRANT CONNECT ON DATABASE ias TO ias_api, ias_worker;
