-- +goose Up
-- What a person has said of a source: whether what comes from it may be used. The log decides; a later turn is newer.
create table store.bar (
    subscriber uuid    not null,
    source     uuid    not null,
    restricted boolean not null,
    turn       integer not null,
    primary key (subscriber, source)
);

-- Sources of which something is in a package; null where that was not noted, and then it may be any.
alter table store.package add column sources uuid[];
create index package_subscriber on store.package (subscriber);

-- +goose Down
alter table store.package drop column sources;
drop table store.bar;
