-- One consent as it stands. What is personal is only in the event, sealed.
create table consent (
    agreement  uuid        primary key,
    subscriber uuid        not null,
    offer      uuid        not null,
    bid        uuid        not null,
    state      text        not null, -- given, paused, withdrawn, expired, refused
    partition  integer     not null, -- of the event that gave or refused it
    position   bigint      not null,
    given_at   timestamptz not null,
    expires_at timestamptz,          -- when it ends by itself; null where it was refused
    paused_at  timestamptz,          -- while it is paused by itself
    ended_at   timestamptz,
    ended      bigint,               -- position of the event that ended it; all are of one partition
    refused    text        not null,
    releases   integer     not null,
    stream     text        not null, -- with the next three, what the event's boxes are bound to
    version    bigint      not null,
    type       text        not null,
    event      uuid        not null,
    data       bytea       not null
);
create index consent_subscriber on consent (subscriber, partition, position);
create index consent_bid on consent (bid) where state in ('given', 'paused');

-- People who have paused everything.
create table paused (
    subscriber uuid primary key
);

-- When consents end by themselves.
create table deadline (
    stream text        not null,
    kind   text        not null,
    due    timestamptz not null,
    primary key (stream, kind, due)
);
create index deadline_due on deadline (due);
