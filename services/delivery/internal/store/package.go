package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
)

// PieceSize is how many bytes of a package stand in one row.
const PieceSize = 256 << 10

// ErrGone says that a package, or its content key, was destroyed.
var ErrGone = errors.New("store: the package is gone")

// Package is what is kept of a delivery.
type Package struct {
	Delivery, Agreement id.ID
	Bid, Buyer          id.ID // for whom it is
	Sealed, Key         []byte
	At                  time.Time
	Sources             []id.ID // of which something is in it; nil where that is not known
}

// Keep stores a package and its content key, and whose the bid is by which the tables find the buyer's packages.
func (s Store) Keep(ctx context.Context, ring *vault.Ring, p Package) error {
	box, err := ring.SealBytes(content, aad("key "+p.Delivery.String(), ring), p.Key)
	if err != nil {
		return err
	}
	var numbers []int32
	var pieces [][]byte
	for at := 0; at < len(p.Sealed); at += PieceSize {
		numbers, pieces = append(numbers, int32(len(pieces))), append(pieces, p.Sealed[at:min(len(p.Sealed), at+PieceSize)])
	}
	var sources [][16]byte // null where they are not known
	if p.Sources != nil {
		sources = make([][16]byte, len(p.Sources))
		for i, source := range p.Sources {
			sources[i] = source
		}
	}
	_, err = s.Pool.Exec(ctx, `
		with kept as (insert into store.package (delivery, agreement, subscriber, bytes, key, at, sources) values ($1, $2, $3, $4, $5, $6, $11)),
		known as (insert into store.bid (bid, buyer) values ($7, $8) on conflict do nothing)
		insert into store.chunk (delivery, number, data) select $1, * from unnest($9::integer[], $10::bytea[])`,
		[16]byte(p.Delivery), [16]byte(p.Agreement), [16]byte(ring.Subject()), int64(len(p.Sealed)), box, p.At, [16]byte(p.Bid), [16]byte(p.Buyer), numbers, pieces, sources)
	if err != nil {
		return fmt.Errorf("store: package: %w", err)
	}
	return nil
}

// Open opens a package's content key, as it is stored: ErrGone where it, or the person's key, was destroyed.
func (Store) Open(ring *vault.Ring, delivery id.ID, box []byte) ([]byte, error) {
	if len(box) == 0 {
		return nil, ErrGone
	}
	key, err := ring.OpenBytes(content, aad("key "+delivery.String(), ring), box)
	if errors.Is(err, vault.ErrErased) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("store: key: %w", err)
	}
	return key, nil
}

// Piece reads a package from an offset to the end of the stored piece that holds it; empty at the package's end.
func (s Store) Piece(ctx context.Context, delivery id.ID, offset int64) ([]byte, error) {
	var data []byte
	err := s.Pool.QueryRow(ctx, `select data from store.chunk where delivery = $1 and number = $2`, [16]byte(delivery), offset/PieceSize).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: package: %w", err)
	}
	return data[min(int(offset%PieceSize), len(data)):], nil
}

// Destroy removes packages with their content keys: nobody can open them any more.
func (s Store) Destroy(ctx context.Context, deliveries ...id.ID) error {
	numbers := make([][16]byte, len(deliveries))
	for i, d := range deliveries {
		numbers[i] = d
	}
	if _, err := s.Pool.Exec(ctx, `delete from store.package where delivery = any($1)`, numbers); err != nil {
		return fmt.Errorf("store: package: %w", err)
	}
	return nil
}

// DestroyOf removes all packages of an agreement.
func (s Store) DestroyOf(ctx context.Context, agreement id.ID) error {
	if _, err := s.Pool.Exec(ctx, `delete from store.package where agreement = $1`, [16]byte(agreement)); err != nil {
		return fmt.Errorf("store: package: %w", err)
	}
	return nil
}

// Spend destroys the content keys of an agreement's packages and keeps the packages themselves: their keys have left.
func (s Store) Spend(ctx context.Context, agreement id.ID) error {
	if _, err := s.Pool.Exec(ctx, `update store.package set key = '' where agreement = $1`, [16]byte(agreement)); err != nil {
		return fmt.Errorf("store: package: %w", err)
	}
	return nil
}

// Spent lists packages that were spent, and whose keys left before a time.
func (s Store) Spent(ctx context.Context, before time.Time) ([]id.ID, error) {
	return s.packages(ctx, `
		select p.delivery from store.package p join shelves.delivery d on d.delivery = p.delivery
		where p.key = '' and p.at < $1 and d.released_at < $1 limit 1000`, before)
}

// Old lists packages from before a time, of which the log may know nothing.
func (s Store) Old(ctx context.Context, before time.Time) ([]id.ID, error) {
	return s.packages(ctx, `
		select p.delivery from store.package p where p.at < $1 and not exists (select from shelves.delivery d where d.delivery = p.delivery) limit 1000`, before)
}

func (s Store) packages(ctx context.Context, sql string, before time.Time) ([]id.ID, error) {
	rows, err := s.Pool.Query(ctx, sql, before)
	if err != nil {
		return nil, fmt.Errorf("store: packages: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v id.ID, err error) {
		err = row.Scan((*[16]byte)(&v))
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: packages: %w", err)
	}
	return list, nil
}
