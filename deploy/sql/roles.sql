-- The database of one service and its two roles: the owner migrates, the application only works. Run it once as a
-- superuser; what stands already is reported and left alone.
--
--   psql -v database=obole_offers -v owner=obole_offers_owner -v app=obole_offers -f roles.sql
--
-- Neither role has a password yet: give them one, or a certificate, as your pg_hba.conf asks.

create role :"owner" login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
create role :"app" login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
create database :"database" owner :"owner" encoding 'UTF8' template template0;
revoke all on database :"database" from public;
-- The application owns the schemas of its projections, which it rebuilds by itself; the owner makes the first and hands them over.
grant connect, create on database :"database" to :"app";
grant :"app" to :"owner";
