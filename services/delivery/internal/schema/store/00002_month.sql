-- +goose Up
-- What there is of a person in one calendar month, sealed: which pages, and which slots of which product count. The month cannot be
-- read off the key.
create table store.month (
    subscriber uuid  not null,
    month      bytea not null, -- HMAC of the month under a key of the person
    box        bytea not null,
    primary key (subscriber, month)
);

-- What came from a source in all, sealed.
create table store.source (
    subscriber uuid  not null,
    source     uuid  not null,
    box        bytea not null,
    primary key (subscriber, source)
);

-- +goose Down
drop table store.month, store.source;
