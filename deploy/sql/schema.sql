-- Inside the service's database, after roles.sql. The application sees the schema; what it may do with each table is
-- granted by the migration that makes the table, and on events that is SELECT and INSERT and nothing else.
--
--   psql -d obole_offers -v app=obole_offers -f schema.sql

revoke all on schema public from public;
grant usage on schema public to :"app";
