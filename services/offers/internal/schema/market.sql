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
    placed_at timestamptz not null,
    hold_due  timestamptz not null  -- the last moment for the money
);
create index bid_buyer on bid (buyer, placed_at, bid);
create index bid_open on bid (product, closes_at) where state = 'open';
create index bid_hold on bid (hold_due) where state = 'placed';
create index bid_window on bid (closes_at) where state in ('placed', 'open');

create table offer (
    offer      uuid        primary key,
    bid        uuid        not null,
    subscriber uuid        not null,
    state      text        not null, -- presented, accepted, declined, voided, agreed, finished
    card       bytea       not null, -- hash of the card shown last
    agreement  uuid,
    slots      bigint      not null,
    voided     text        not null,
    answer_due timestamptz,          -- the last moment for consent's answer to an acceptance
    declined_at timestamptz          -- when the person said no
);
-- Acceptances, each the event as it is stored: what is personal in it is sealed.
create table acceptance (
    agreement uuid   primary key,
    stream    text   not null, -- with the next three, what the event's boxes are bound to
    version   bigint not null,
    type      text   not null,
    event     uuid   not null,
    data      bytea  not null
);

create index offer_person on offer (subscriber, bid);
create index offer_running on offer (bid) where state in ('accepted', 'agreed');
create index offer_declined on offer (subscriber, declined_at) where declined_at is not null;
create index offer_answer on offer (answer_due) where state = 'accepted';

-- What must be decided when its time has come follows from the rows: a placed bid waits for its money, one that was not closed for its last
-- moment, an acceptance for consent. Rows of their own would be three to write for each bid.
create view deadline (stream, kind, due) as
    select bid::text, 'hold', hold_due from bid where state = 'placed'
    union all
    select bid::text, 'window', closes_at from bid where state in ('placed', 'open')
    union all
    select bid::text || '/' || offer::text, 'answer', answer_due from offer where state = 'accepted';
