-- What an account comes to. The statement that writes here refuses deltas that do not sum to zero.
create table account (
    kind     smallint not null,
    owner    uuid     not null, -- all zeros for the operator's own
    balance  bigint   not null, -- minor units, credit positive
    residual bigint   not null, -- micros below a minor unit
    told     bigint   not null, -- position that told it
    primary key (kind, owner)
);

-- One posting of one event, with the account's balance after it.
create table line (
    partition integer     not null,
    position  bigint      not null,
    ordinal   smallint    not null, -- among the postings of the event
    kind      smallint    not null,
    owner     uuid        not null,
    minor     bigint      not null,
    balance   bigint      not null,
    type      text        not null,
    bid       uuid,
    delivery  uuid,
    payout    uuid,
    at        timestamptz not null,
    primary key (partition, position, ordinal)
);
create index line_account on line (kind, owner, partition, position, ordinal);

create table hold (
    bid      uuid   primary key,
    buyer    uuid   not null,
    initial  bigint not null,
    held     bigint not null,
    captured bigint not null
);
create index hold_buyer on hold (buyer, bid) where held > 0;

-- One settlement as its person sees it.
create table earning (
    subscriber   uuid        not null,
    partition    integer     not null,
    position     bigint      not null,
    delivery     uuid        not null,
    agreement    uuid        not null,
    buyer        uuid        not null,
    product      text        not null,
    slots        integer     not null,
    price        bigint      not null, -- micros of a slot, before VAT
    net          bigint      not null,
    commission   bigint      not null,
    withheld     bigint      not null,
    settled_at   timestamptz not null,
    available_at timestamptz not null,
    primary key (subscriber, partition, position)
);

create index earning_product on earning (product, settled_at);

-- Earnings that mature.
create table deadline (
    stream text        not null,
    kind   text        not null,
    due    timestamptz not null,
    primary key (stream, kind, due)
);
create index deadline_due on deadline (due);

-- Money that a person asked for, and what became of it.
create table payout (
    payout        uuid        primary key,
    subscriber    uuid        not null,
    partition     integer     not null,
    position      bigint      not null, -- of the request
    amount        bigint      not null,
    method        smallint    not null,
    state         smallint    not null,
    requested_at  timestamptz not null,
    instructed_at timestamptz,
    ended_at      timestamptz,
    end_to_end    text        not null default '',
    value_date    text        not null default '',
    reference     text        not null default '',
    reason        text        not null default ''
);
create index payout_subscriber on payout (subscriber, partition, position);
create index payout_place on payout (partition, position);
