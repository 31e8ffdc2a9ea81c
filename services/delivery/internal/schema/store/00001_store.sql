-- +goose Up
create schema store;

-- Measurements of one person, source, schema and day, sealed. Neither schema nor day can be read off the key.
create table store.page (
    subscriber uuid  not null,
    source     uuid  not null,
    bucket     bytea not null, -- HMAC of schema and day under a key of the person
    box        bytea not null,
    primary key (subscriber, source, bucket)
);

-- What there is of a person, sealed: which pages, and which slots of which product count.
create table store.person (
    subscriber uuid  primary key,
    box        bytea not null
);

-- Imports, each with what it came to, sealed, until its event is in the log.
create table store.import (
    import     uuid        primary key,
    subscriber uuid        not null,
    box        bytea       not null,
    at         timestamptz not null,
    recorded   boolean     not null
);
create index import_open on store.import (at) where not recorded;

-- How many people might be reached, by product and by fact: tokens of which nobody can tell whose they are.
create table store.reach (
    label text  not null,
    token bytea not null, -- HMAC under a key of the person
    primary key (label, token)
);

-- Packages with their content keys, sealed. They are gone when the package may never be opened.
create table store.package (
    delivery   uuid        primary key,
    agreement  uuid        not null,
    subscriber uuid        not null,
    bytes      bigint      not null,
    key        bytea       not null,
    at         timestamptz not null
);
create index package_agreement on store.package (agreement);
create table store.chunk (
    delivery uuid    not null references store.package on delete cascade,
    number   integer not null,
    data     bytea   not null,
    primary key (delivery, number)
);

-- Who placed which bid, as offers says.
create table store.bid (
    bid   uuid primary key,
    buyer uuid not null
);
create index bid_buyer on store.bid (buyer);

-- +goose Down
drop schema store cascade;
