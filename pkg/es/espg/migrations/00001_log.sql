-- The log of one service: its partitions, its events, and states that need not be folded again.
-- +goose Up

-- One row for each life of a partition; the newest is the present one. Nothing but birth and reconciliation writes here.
create table partition (
    partition         integer     not null,
    life              integer     not null,             -- from 1
    incarnation       uuid        not null,             -- random
    after             bigint      not null,             -- newest position of the life before, 0 for the first
    before            bytea       not null,             -- chain of the event at that position, empty for the first
    partitions        integer     not null,             -- how many the log has
    hash_version      integer     not null,             -- how a root is placed
    system_identifier bigint      not null,             -- of the server on which this life is lived
    timeline          integer     not null,             -- of that server
    begun             timestamptz not null default now(),
    primary key (partition, life)
);

create table event (
    partition integer          not null,
    position  bigint           not null check (position > 0),   -- dense
    stream    text collate "C" not null check (stream <> ''),   -- "<root>" or "<root>/<child>"
    version   bigint           not null check (version > 0),    -- dense in the stream
    command   uuid             not null,
    ordinal   integer          not null check (ordinal >= 0),   -- among the command's events
    type      text collate "C" not null check (type <> ''),
    data      bytea            not null,
    meta      bytea            not null,                        -- es.Meta
    at        timestamptz      not null,                        -- never before the partition's event before
    chain     bytea            not null check (octet_length(chain) = 32),
    primary key (partition, position),
    unique (stream, version),
    unique (partition, command, ordinal)
);
-- Most data is ciphertext or small: compressing it again costs time and saves nothing.
alter table event alter column data set storage external;

create table state (
    partition integer          not null,
    stream    text collate "C" not null,
    version   bigint           not null,   -- of the stream, that the state includes
    position  bigint           not null,   -- of the partition, up to which it does
    fold      bigint           not null,   -- version of the rules that folded it
    data      bytea            not null,
    primary key (partition, stream)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Events that a reconciliation set aside: stored after a restore had lost a tail, in places that the topic knows to be
-- taken by others.
create table set_aside (
    aside     timestamptz      not null default now(),
    partition integer          not null,
    position  bigint           not null,
    stream    text collate "C" not null,
    version   bigint           not null,
    command   uuid             not null,
    ordinal   integer          not null,
    type      text collate "C" not null,
    data      bytea            not null,
    meta      bytea            not null,
    at        timestamptz      not null,
    chain     bytea            not null
);

-- +goose Down
drop table set_aside;
drop table state;
drop table event;
drop table partition;
