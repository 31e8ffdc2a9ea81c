-- How far this service has read the topics of others, and what it has set aside.
-- +goose Up
create table consumed (
    reader      text    not null,
    topic       text    not null,
    partition   integer not null,
    incarnation bytea   not null, -- of the newest event read, empty before the first
    position    bigint  not null, -- of the newest event read, 0 before the first
    chain       bytea   not null, -- of the newest event read, empty before the first
    "offset"    bigint  not null, -- where to go on reading: a hint
    primary key (reader, topic, partition)
);

create table parked (
    reader      text        not null,
    topic       text        not null,
    partition   integer     not null,
    root        text        not null, -- of the stream: what is parked together
    stream      text        not null,
    position    bigint      not null,
    incarnation bytea       not null,
    version     bigint      not null,
    command     uuid        not null,
    ordinal     integer     not null,
    type        text        not null,
    data        bytea       not null,
    meta        bytea       not null,
    chain       bytea       not null,
    at          timestamptz not null,
    reason      text        not null, -- empty where the event only waits behind another
    parked_at   timestamptz not null default now(),
    primary key (reader, topic, partition, position)
);
create index parked_root on parked (reader, topic, root, position);

-- +goose Down
drop table parked, consumed;
