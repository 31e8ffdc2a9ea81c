create table buyer (
    buyer         uuid        primary key,
    legal_entity  text        not null, -- LEI or VAT number, as it is compared
    state         text        not null, -- registered, vetted, suspended
    vetted        boolean     not null,
    vetted_group  text        not null, -- the group that counts, empty until it is vetted
    registered    bytea       not null, -- the event's message, with keys in the order in which they came, each behind what ended with it
    registered_at timestamptz not null,
    position      bigint      not null,
    partition     integer     not null
);
create index buyer_entity on buyer (legal_entity);
create index buyer_order on buyer (registered_at, buyer);

create table bid (
    bid       uuid        primary key,
    buyer     uuid        not null,
    product   text        not null,
    state     text        not null, -- placed, open, rejected, closed, drained
    placed    bytea       not null, -- the event's message
    rejected  text        not null,
    closed    integer     not null, -- CloseReason, 0 while it is not
    cleared   boolean     not null,
    consented bigint      not null, -- slots
    quantity  bigint      not null,
    held      bigint      not null, -- minor
    opens_at  timestamptz not null,
    closes_at timestamptz not null,
    placed_at timestamptz not null
);
create index bid_buyer on bid (buyer, placed_at, bid);
create index bid_open on bid (product, closes_at) where state = 'open';

create table offer (
    offer      uuid    primary key,
    bid        uuid    not null,
    subscriber uuid    not null,
    state      text    not null, -- presented, accepted, declined, voided, agreed, finished
    card       bytea   not null, -- hash of the card shown last
    agreement  uuid,
    slots      bigint  not null,
    voided     text    not null
);
create index offer_person on offer (subscriber, bid);
create index offer_running on offer (bid) where state in ('accepted', 'agreed');

-- What must be decided when its time has come: windows, holds, answers.
create table deadline (
    stream text        not null,
    kind   text        not null,
    due    timestamptz not null,
    primary key (stream, kind, due)
);
create index deadline_due on deadline (due);
