-- A person's sources.
create table source (
    source       uuid        primary key,
    subscriber   uuid        not null,
    connected_at timestamptz not null,
    imported_at  timestamptz,          -- last
    restricted_at   timestamptz,       -- since when; null: it is not
    disconnected_at timestamptz,       -- since when; null: it is not
    stream       text        not null, -- with the next three, what the event's boxes are bound to
    version      bigint      not null,
    event        uuid        not null,
    data         bytea       not null
);
create index source_subscriber on source (subscriber, connected_at, source);

-- Agreements. What was agreed is only in the event, sealed.
create table agreement (
    agreement  uuid   primary key,
    shelf      uuid   not null,
    subscriber uuid   not null,
    bid        uuid   not null,
    cleared    boolean not null,
    ended      boolean not null,
    stream     text   not null,
    version    bigint not null,
    event      uuid   not null,
    data       bytea  not null
);
create index agreement_bid on agreement (bid);
create index agreement_shelf on agreement (shelf);

-- Deliveries as they stand.
create table delivery (
    delivery    uuid        primary key,
    shelf       uuid        not null,
    subscriber  uuid        not null,
    agreement   uuid        not null,
    bid         uuid        not null,
    sequence    integer     not null,
    state       text        not null, -- prepared, receipted, released, blocked, lapsed
    blocked     text        not null,
    slots       integer     not null,
    bytes       bigint      not null,
    digest      bytea       not null,
    partition   integer     not null, -- of all its events
    position    bigint      not null, -- of the event that prepared it
    changed     bigint      not null, -- position of the event that changed it last; an order to delete changes several at once
    prepared_at timestamptz not null,
    lapses_at   timestamptz not null,
    released_at timestamptz,
    ordered     smallint,             -- why the buyer must delete it (EndReason); null: it need not
    delete_due  timestamptz,          -- until when
    stream      text        not null,
    version     bigint      not null,
    event       uuid        not null,
    data        bytea       not null,
    resealed_version bigint,          -- of the event that changed the buyer's key, if any
    resealed_event   uuid,
    resealed_data    bytea
);
create index delivery_subscriber on delivery (subscriber, position);
create index delivery_bid on delivery (bid, prepared_at, delivery);
create index delivery_changed on delivery (partition, changed, delivery);
create index delivery_watched on delivery (bid, partition, changed, delivery);
create index delivery_unreleased on delivery (bid, delivery) where state in ('prepared', 'receipted');

-- What falls due by itself.
create table deadline (
    stream text        not null,
    kind   text        not null, -- due: the days of an agreement are over; await: so are slots of which something is there; finish: nothing is left to deliver; lapse
    due    timestamptz not null,
    primary key (stream, kind, due)
);
create index deadline_due on deadline (due);
