// Package moneypb is the edge between package money and the contract's obole.money.v1.
package moneypb

import (
	"errors"

	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/money"
)

// Money is an amount for the wire.
func Money(a money.Amount) *moneyv1.Money {
	return &moneyv1.Money{Minor: a.Minor(), Currency: a.Currency().Code()}
}

// UnitPrice is a price for the wire.
func UnitPrice(p money.Price) *moneyv1.UnitPrice {
	return &moneyv1.UnitPrice{Micros: p.Micros(), Currency: p.Currency().Code()}
}

// Amount reads what came in a field; what is wrong with it is a fault that names the field.
func Amount(field string, m *moneyv1.Money) (money.Amount, error) {
	if m == nil {
		return money.Amount{}, fault.Invalid(field, "is missing")
	}
	c, err := money.ParseCurrency(m.GetCurrency())
	if err != nil {
		return money.Amount{}, unknown(field)
	}
	return money.New(m.GetMinor(), c), nil
}

// Price reads what came in a field; what is wrong with it is a fault that names the field.
func Price(field string, p *moneyv1.UnitPrice) (money.Price, error) {
	if p == nil {
		return money.Price{}, fault.Invalid(field, "is missing")
	}
	c, err := money.ParseCurrency(p.GetCurrency())
	if err != nil {
		return money.Price{}, unknown(field)
	}
	price, err := money.NewPrice(p.GetMicros(), c)
	if errors.Is(err, money.ErrRange) {
		return money.Price{}, fault.Invalid(field+".micros", "must be 0 to 10^15")
	}
	return price, err
}

func unknown(field string) error {
	return fault.Invalid(field+".currency", "is not a currency code of ISO 4217")
}
