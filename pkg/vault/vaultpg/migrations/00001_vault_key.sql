-- One key per person and retention class, wrapped by a key-encryption key that is not in this database. state: 1 live, 2 erased.
-- An erased row has no key and stays, so that none is minted again.

-- +goose Up
CREATE TABLE vault_key (
    subject    uuid        NOT NULL,
    retention  smallint    NOT NULL,
    key_id     bytea       NOT NULL UNIQUE CHECK (octet_length(key_id) = 16),
    wrapped    bytea,
    kek_id     text,
    state      smallint    NOT NULL CHECK (state IN (1, 2)),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, retention),
    CHECK ((state = 1) = (wrapped IS NOT NULL) AND (state = 1) = (kek_id IS NOT NULL))
);
CREATE INDEX vault_key_kek ON vault_key (kek_id) WHERE state = 1;

-- +goose Down
DROP TABLE vault_key;
