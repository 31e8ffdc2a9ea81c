package archtest

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// headless are RPCs that are no writes and take no cursor, each with why.
var headless = map[protoreflect.FullName]string{
	"obole.offers.v1.OffersService.TryBid":               "the log itself answers",
	"obole.offers.v1.OffersService.WatchBids":            "what the first answer has not seen is told as it is seen",
	"obole.offers.v1.OffersService.ConfirmCohort":        "the log itself answers; it is decided once for a bid, however often it is asked",
	"obole.consent.v1.ConsentService.IsEnrolled":         "the log itself answers",
	"obole.consent.v1.ConsentService.CheckMany":          "the log itself answers",
	"obole.consent.v1.ConsentService.CountLive":          "it waits for the log's end by itself",
	"obole.consent.v1.ConsentService.Release":            "a write, named by its attempt",
	"obole.consent.v1.ConsentService.ReleaseMany":        "writes, named by their attempts",
	"obole.delivery.v1.DeliveryService.Import":           "a write, named by what is in the file",
	"obole.delivery.v1.DeliveryService.GetFacts":         "log and store answer themselves",
	"obole.delivery.v1.DeliveryService.EstimateAudience": "the store answers itself, in bands",
	"obole.delivery.v1.DeliveryService.DescribeProduct":  "the catalogue is configuration",
	"obole.delivery.v1.DeliveryService.ListProducts":     "the catalogue is configuration",
	"obole.delivery.v1.DeliveryService.WatchDeliveries":  "what the first answer has not seen is told as it is seen",
	"obole.delivery.v1.DeliveryService.FetchPackage":     "whoever knows a delivery's id has it of a list, and what the list has seen is seen",
	"obole.delivery.v1.DeliveryService.SignReceipt":      "a write, named by its delivery; the id as above",
	"obole.delivery.v1.DeliveryService.SignReceipts":     "writes, named by their deliveries",
	"obole.offers.v1.OffersService.WatchRecord":          "a token says what was seen, and what comes is told as it is seen",
	"obole.consent.v1.ConsentService.WatchRecord":        "a token says what was seen, and what comes is told as it is seen",
	"obole.delivery.v1.DeliveryService.WatchRecord":      "a token says what was seen, and what comes is told as it is seen",
	"obole.settlement.v1.SettlementService.WatchRecord":  "a token says what was seen, and what comes is told as it is seen",
	"obole.log.v1.LogService.GetStatus":                  "it is of the process that answers, as it stands at the call",
	"obole.log.v1.LogService.ReadLog":                    "the log itself answers, and after is a position of it",
	"obole.log.v1.LogService.ListParked":                 "what is parked is of other services' logs",
	"obole.log.v1.LogService.Redrive":                    "a write, named by the stream that it handles again",
}

// TestEveryReadTakesACursor: an RPC names its write by an idempotency key, or answers what a cursor has seen, or needs neither for a reason.
func TestEveryReadTakesACursor(t *testing.T) {
	t.Parallel()
	used := map[protoreflect.FullName]bool{}
	methods(func(m protoreflect.MethodDescriptor) {
		after := m.Input().Fields().ByName("after")
		if after != nil && after.Message() != nil && after.Message().FullName() == "obole.event.v1.Cursor" || keyed(m.Input()) {
			return
		}
		used[m.FullName()] = true
		if headless[m.FullName()] == "" {
			t.Errorf("%s takes neither an idempotency key nor a cursor", m.FullName())
		}
	})
	for name := range headless {
		if !used[name] {
			t.Errorf("%s takes a key or a cursor, or is gone: it needs no reason", name)
		}
	}
}

// keyed says whether a request, or each of those that it carries, has an idempotency key.
func keyed(m protoreflect.MessageDescriptor) bool {
	if m.Fields().ByName("idempotency_key") != nil {
		return true
	}
	for i := range m.Fields().Len() {
		if f := m.Fields().Get(i); f.IsList() && f.Message() != nil && f.Message().Fields().ByName("idempotency_key") != nil {
			return true
		}
	}
	return false
}
