package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// warehouse is a delivery service whose network breaks: a fetch gets one piece and is cut off.
type warehouse struct {
	deliveryv1.UnimplementedDeliveryServiceServer

	mu        sync.Mutex
	order     []*deliveryv1.Delivery
	packages  map[string][]byte
	content   []byte // key
	to        struct{ Public, Receipt []byte }
	refuses   string // delivery whose person has withdrawn
	offsets   map[string][]uint64
	receipts  map[string]int
	imported  bytes.Buffer
	header    *deliveryv1.ImportHeader
	wrongFile bool
	late      int // answers of the gate that come too late
}

// keys is what the test reads of a key file.
type keys struct {
	Buyer   string `json:"buyer_id"`
	Key     string `json:"key_id"`
	Public  []byte `json:"public_key"`
	Receipt []byte `json:"receipt_key"`
}

// put prepares a delivery of some rows.
func (w *warehouse) put(t *testing.T, rows string, state deliveryv1.DeliveryState) string {
	t.Helper()
	number := id.Random()
	file, err := parcel.Manifest{Delivery: number.String(), Product: "daily-steps", Rows: strings.Count(rows, "\n"), Slots: []string{"2016-04-12"}}.File([]byte(rows))
	if err != nil {
		t.Fatal(err)
	}
	sealed, digest, err := parcel.Seal(w.content, number, file)
	if err != nil {
		t.Fatal(err)
	}
	w.packages[number.String()] = sealed
	w.order = append(w.order, &deliveryv1.Delivery{
		DeliveryId: number.String(), Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, State: state, Slots: 1, Bytes: uint64(len(sealed)), Digest: digest[:],
	})
	return number.String()
}

func (w *warehouse) ListDeliveries(_ context.Context, r *deliveryv1.ListDeliveriesRequest) (*deliveryv1.ListDeliveriesResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.GetPageToken() == "" {
		return &deliveryv1.ListDeliveriesResponse{Deliveries: w.order[:1], NextPageToken: "rest"}, nil
	}
	return &deliveryv1.ListDeliveriesResponse{Deliveries: w.order[1:]}, nil
}

func (w *warehouse) WatchDeliveries(_ *deliveryv1.WatchDeliveriesRequest, stream grpc.ServerStreamingServer[deliveryv1.WatchDeliveriesResponse]) error {
	for _, d := range w.order {
		if err := stream.Send(&deliveryv1.WatchDeliveriesResponse{Delivery: d}); err != nil {
			return err
		}
	}
	return nil
}

func (w *warehouse) FetchPackage(r *deliveryv1.FetchPackageRequest, stream grpc.ServerStreamingServer[deliveryv1.FetchPackageResponse]) error {
	w.mu.Lock()
	w.offsets[r.GetDeliveryId()] = append(w.offsets[r.GetDeliveryId()], r.GetOffset())
	sealed := w.packages[r.GetDeliveryId()]
	w.mu.Unlock()
	end := min(r.GetOffset()+100_000, uint64(len(sealed)))
	if err := stream.Send(&deliveryv1.FetchPackageResponse{Offset: r.GetOffset(), Chunk: sealed[r.GetOffset():end]}); err != nil {
		return err
	}
	if end < uint64(len(sealed)) {
		return status.Error(codes.Unavailable, "the line is cut")
	}
	return nil
}

func (w *warehouse) SignReceipt(_ context.Context, r *deliveryv1.SignReceiptRequest) (*deliveryv1.SignReceiptResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	number, err := id.Parse(r.GetDeliveryId())
	if err != nil || !parcel.VerifyReceipt(w.to.Receipt, number, [sha256.Size]byte(r.GetDigest()), r.GetSignature()) {
		return nil, status.Error(codes.InvalidArgument, "the receipt does not verify")
	}
	if r.GetDeliveryId() == w.refuses {
		return nil, grpcfault.Status(fault.Refuse("CONSENT_WITHDRAWN", "the person has withdrawn")).Err()
	}
	w.receipts[r.GetDeliveryId()]++
	if w.late > 0 {
		w.late--
		return nil, grpcfault.Status(fault.Unavailable("too late: no key leaves").Named("CONSENT_UNREACHABLE")).Err()
	}
	sealed, err := parcel.SealKey(parcel.X25519, w.to.Public, number, w.content)
	return &deliveryv1.SignReceiptResponse{SealedKey: sealed, KeyId: r.GetKeyId()}, err
}

func (w *warehouse) Import(stream grpc.ClientStreamingServer[deliveryv1.ImportRequest, deliveryv1.ImportResponse]) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if h := m.GetHeader(); h != nil {
			w.header = h
			continue
		}
		if w.wrongFile {
			return grpcfault.Status(fault.Invalid("line 2, TotalSteps", "is no number").Named("ROW_INVALID")).Err()
		}
		w.imported.Write(m.GetChunk())
	}
	return stream.SendAndClose(&deliveryv1.ImportResponse{Arrivals: []*deliveryv1.Arrival{{Schema: "omh:step-count:3.0", Points: 31}}, RepeatedPoints: 2})
}

// open makes a warehouse, a buyer's key and a shell that talks to it.
func open(t *testing.T) (*warehouse, shell, string) {
	t.Helper()
	dir := t.TempDir()
	key, token := filepath.Join(dir, "study.key"), filepath.Join(dir, "token")
	shell{t, nil}.ok("keys", key)
	b, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	var k keys
	if err := json.Unmarshal(b, &k); err != nil || len(k.Receipt) != ed25519.PublicKeySize {
		t.Fatalf("the key file: %v", err)
	}
	if err := os.WriteFile(token, []byte("t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &warehouse{packages: map[string][]byte{}, content: bytes.Repeat([]byte{3}, parcel.KeySize), offsets: map[string][]uint64{}, receipts: map[string]int{}}
	w.to.Public, w.to.Receipt = k.Public, k.Receipt
	addr := deliver(t, "127.0.0.1:0", w)
	return w, shell{t, []string{"--token-file", token, "--addr", "delivery=" + addr}}, key
}

// TestReceive: what is cut off goes on where it stopped, what is refused is said, what is here is not fetched again.
func TestReceive(t *testing.T) {
	t.Parallel()
	w, sh, key := open(t)
	rows := strings.Repeat(`{"steps":8200,"date":"2016-04-12"}`+"\n", 9000)
	large := w.put(t, rows, deliveryv1.DeliveryState_DELIVERY_STATE_PREPARED)
	refused := w.put(t, "{}\n", deliveryv1.DeliveryState_DELIVERY_STATE_PREPARED)
	lost := w.put(t, `{"steps":1}`+"\n", deliveryv1.DeliveryState_DELIVERY_STATE_RELEASED)
	lapsed := w.put(t, "{}\n", deliveryv1.DeliveryState_DELIVERY_STATE_LAPSED)
	w.refuses = refused
	out := filepath.Join(t.TempDir(), "packages")
	receive := []string{"receive", "--buyer", key, "--out", out}
	sh.fails(client.ExitFailed, "1 of 3 deliveries were not received", receive...)
	if got := w.offsets[large]; !slices.Equal(got, []uint64{0, 100_000, 200_000, 300_000}) {
		t.Errorf("fetched from %v", got)
	}
	for delivery, want := range map[string]string{large: rows, lost: `{"steps":1}` + "\n"} {
		if got, err := os.ReadFile(filepath.Join(out, delivery+".ndjson")); err != nil || string(got) != want {
			t.Errorf("the rows of %s: %d bytes, %v", delivery, len(got), err)
		}
		text, err := os.ReadFile(filepath.Join(out, delivery+".manifest.json"))
		var m parcel.Manifest
		if err != nil || json.Unmarshal(text, &m) != nil || m.Delivery != delivery {
			t.Errorf("the manifest of %s: %s, %v", delivery, text, err)
		}
	}
	if fi, err := os.Stat(filepath.Join(out, large+".ndjson")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the rows may be read by others: %v, %v", fi.Mode(), err)
	}
	if len(w.offsets[lapsed]) > 0 {
		t.Error("what has lapsed was fetched")
	}

	// A program that was killed in the middle left a piece; the next goes on from there. What was released is here now.
	w.refuses = ""
	if err := os.Truncate(filepath.Join(out, refused+".package"), 7); err != nil {
		t.Fatal(err)
	}
	w.offsets = map[string][]uint64{}
	w.order[0].State = deliveryv1.DeliveryState_DELIVERY_STATE_RELEASED
	got := sh.line(receive...)
	if got["delivery_id"] != refused || !slices.Equal(w.offsets[refused], []uint64{7}) || len(w.offsets) != 1 {
		t.Errorf("the second time: %v, from %v", got, w.offsets)
	}
	left, err := filepath.Glob(filepath.Join(out, "*.package"))
	if err != nil || len(left) > 0 {
		t.Errorf("ciphertext is left: %v, %v", left, err)
	}

	// Named, it is received again; a package that is not what the digest says is not receipted.
	w.late = 1
	sh.ok(append(receive, large)...)
	if w.receipts[large] != 3 { // the first time, too late, and again
		t.Errorf("%d receipts", w.receipts[large])
	}
	sh.fails(client.ExitUsage, "there is no delivery", append(receive, "nothing")...)
	w.packages[large][200]++
	if _, errs, code := sh.run(append(receive, large)...); code != client.ExitFailed || w.receipts[large] != 3 {
		t.Errorf("an altered package: status %d, %d receipts, %s", code, w.receipts[large], errs)
	}
	if text := sh.ok("receive", "list", "--buyer", key); strings.Count(text, "\n") != 5 || !strings.Contains(text, lapsed+"  lapsed") {
		t.Errorf("the list:\n%s", text)
	}
	if all := sh.lines("receive", "watch", "--buyer", key); len(all) != 4 || all[3]["delivery_id"] != lapsed {
		t.Errorf("the watch: %v", all)
	}
	other := filepath.Join(t.TempDir(), "followed")
	w.packages[large][200]--
	if all := sh.lines("receive", "--follow", "--buyer", key, "--out", other); len(all) != 3 {
		t.Errorf("following, %d came", len(all))
	}
}

// TestImport: a file arrives as it is, and what is wrong with one is said in a line.
func TestImport(t *testing.T) {
	t.Parallel()
	w, sh, _ := open(t)
	file := filepath.Join(t.TempDir(), "steps.csv")
	text := strings.Repeat("1503960366,4/12/2016,13162\n", 10_000)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	person := id.Random().String()
	in := []string{"import", "--subscriber", person, "--importer", "fitabase-csv", "--zone", "Europe/Brussels", "--person", "1503960366", "--days", "2016-04-12..2016-04-20", file}
	if out := sh.ok(in...); out != fmt.Sprintf("%s: 31 new points, 2 known already\n", file) {
		t.Errorf("import: %s", out)
	}
	if w.imported.String() != text {
		t.Errorf("%d bytes arrived of %d", w.imported.Len(), len(text))
	}
	h := w.header
	if h.GetSubscriberId() != person || h.GetFileName() != "steps.csv" || h.GetZone() != "Europe/Brussels" || h.GetPerson() != "1503960366" || h.GetDays().GetLast() != "2016-04-20" ||
		h.GetConnect().GetImporter() != "fitabase-csv" || h.GetConnect().GetRoute() != deliveryv1.Route_ROUTE_GDPR_20 || h.GetSourceId() != "" {
		t.Errorf("the header: %v", h)
	}
	feed := []string{"feed", "--subscriber", person, "--importer", "bandicoot-csv", "--zone", "Europe/Brussels", file}
	if out := sh.ok(feed...); out != fmt.Sprintf("%s: 31 new points, 2 known already\n", file) {
		t.Errorf("feed: %s", out)
	}
	if h, from := w.header, w.header.GetConnect(); h.GetSubscriberId() != person || h.GetFileName() != "steps.csv" || from.GetImporter() != "bandicoot-csv" || from.GetRoute() != deliveryv1.Route_ROUTE_OPERATOR {
		t.Errorf("the feed: %v by %v", h, from)
	}
	sh.fails(client.ExitUsage, "must be one of", "feed", "--subscriber", person, "--importer", "fitabase-csv", "--zone", "Europe/Brussels", file)
	w.wrongFile = true
	sh.fails(client.ExitUsage, "(line 2, TotalSteps: is no number)", in...)
	sh.fails(client.ExitUsage, "--route", append(in, "--route", "pigeon")...)
	sh.fails(client.ExitUsage, "no such file", append(in[:len(in)-1], file+".missing")...)
}
