package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/app"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/testdata/fitabase"
)

// imported is the answer to a file.
type imported struct {
	ImportID       string
	Arrivals       []struct{ Points int }
	RepeatedPoints int
	Code, Message  string
	Details        []struct {
		Type  string
		Debug struct {
			Reason          string
			FieldViolations []struct{ Field, Description string }
		}
	}
}

// TestFilesDroppedOnThePage: a good one brings points once; a bad row is named by file, line and field, and nothing of its file is kept; nor is
// anything of one that breaks off, is too large, or comes from somebody else.
func TestFilesDroppedOnThePage(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	_, r := up(t, dir)
	e := front(t, dir, r, func(c *app.Config) { c.Import.Bytes = 1 << 20 })
	b, me := someone(t, e.url, "Somebody new")
	c := calls(b, "")
	call := func(method string, req, res any) {
		t.Helper()
		if err := c.CallUnary(t.Context(), connect.Spec{Procedure: method}, req, res); err != nil {
			t.Fatal(err)
		}
	}
	call(consentv1.ConsentService_Enrol_FullMethodName, &consentv1.EnrolRequest{
		SubscriberId: me, Country: "BE", Language: "en", BirthDate: "1990-02-03", IdempotencyKey: "e",
	}, new(consentv1.EnrolResponse))
	good, err := fitabase.Files.ReadFile("dailyActivity_merged.csv")
	if err != nil {
		t.Fatal(err)
	}
	query := func(more ...string) string {
		q := url.Values{"importer": {"fitabase-csv"}, "name": {"dailyActivity_merged.csv"}, "zone": {"America/New_York"}, "person": {"1503960366"}}
		for i := 0; i < len(more); i += 2 {
			q.Set(more[i], more[i+1])
		}
		return "/import?" + q.Encode()
	}
	read := func(a worldtest.Answer) (got imported) {
		t.Helper()
		if err := json.Unmarshal([]byte(a.Body), &got); err != nil || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return got
	}
	// kept lists the sources; no file of this test has more than one.
	kept := func() []*deliveryv1.Source {
		t.Helper()
		list := new(deliveryv1.ListSourcesResponse)
		call(deliveryv1.DeliveryService_ListSources_FullMethodName, &deliveryv1.ListSourcesRequest{SubscriberId: me}, list)
		return list.GetSources()
	}

	// A bad row, far enough down that much has gone up before.
	rows := bytes.SplitAfter(good, []byte("\n"))
	rows[6] = bytes.Replace(rows[6], []byte(","), []byte(",13/45/2016,"), 1)
	a := b.Post(query(), "text/csv", bytes.Join(rows, nil))
	got := read(a)
	named := map[string]string{}
	reason := ""
	for _, d := range got.Details {
		for _, v := range d.Debug.FieldViolations {
			named[v.Field] = v.Description
		}
		reason += d.Debug.Reason
	}
	if a.Status != http.StatusBadRequest || reason != "ROW_INVALID" || named["file"] != "dailyActivity_merged.csv" || named["line"] != "7" || named["field"] == "" ||
		named["flaw"] != "CELLS row" {
		t.Errorf("a bad row: %d %s", a.Status, a.Body)
	}
	if list := kept(); len(list) != 0 {
		t.Errorf("of the bad file %v is kept", list)
	}

	// One that breaks off, at the end of a row, so that what has come would be a file.
	broken(t, b, query(), bytes.Join(rows[:4], nil), len(good))
	// One that is too large, whether it says so or not.
	large := append(bytes.Clone(good), bytes.Repeat([]byte("\n"), 1<<20)...)
	for _, body := range []io.Reader{bytes.NewReader(large), io.MultiReader(bytes.NewReader(large))} {
		a := b.Do(b.Request(http.MethodPost, query(), body))
		if a.Status != http.StatusTooManyRequests || !strings.Contains(a.Body, "MESSAGE_TOO_LARGE") {
			t.Errorf("too large: %d %s", a.Status, a.Body)
		}
	}
	for what, c := range map[string]struct {
		to, says string
		status   int
	}{
		"a misspelt parameter": {query("zoen", "UTC"), "zoen", http.StatusBadRequest},
		"no source":            {"/import", "source_id", http.StatusBadRequest},
		"another's source":     {query("importer", "", "source", me), "SOURCE_UNKNOWN", http.StatusNotFound},
		"two sources":          {query("source", me), "connect", http.StatusBadRequest},
		"no importer":          {query("importer", "tea-leaves"), "importer", http.StatusBadRequest},
		"a zone that is none":  {query("zone", "Mars/Olympus"), "zone", http.StatusBadRequest},
		"days that are none":   {query("first", "yesterday"), "days", http.StatusBadRequest},
	} {
		if a := b.Post(c.to, "", good); a.Status != c.status || !strings.Contains(a.Body, c.says) {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
	staff, _ := someone(t, e.url, "Finance")
	if a := staff.Post(query(), "", good); a.Status != http.StatusForbidden || !strings.Contains(a.Body, "ROLE_DENIED") {
		t.Errorf("finance: %d %s", a.Status, a.Body)
	}
	other, _ := someone(t, e.url, "Somebody new")
	if a := other.Post(query(), "", good); a.Status == http.StatusOK {
		t.Errorf("into somebody else's source: %d %s", a.Status, a.Body)
	}
	nobody := worldtest.NewBrowser(t, e.url, nil)
	if a := nobody.Post(query(), "", good); a.Status != http.StatusUnauthorized || !strings.Contains(a.Body, "TOKEN_MISSING") {
		t.Errorf("nobody: %d %s", a.Status, a.Body)
	}
	if list := kept(); len(list) != 0 {
		t.Errorf("after all that %v is kept", list)
	}

	// And the good one: all its points are new.
	a = b.Post(query(), "text/csv", good)
	if got := read(a); a.Status != http.StatusOK || len(got.Arrivals) == 0 || got.RepeatedPoints != 0 {
		t.Errorf("a good file: %d %s", a.Status, a.Body)
	}
	again := b.Post(query(), "text/csv", good)
	if got, first := read(again), read(a); again.Status != http.StatusOK || got.ImportID == "" || got.ImportID != first.ImportID {
		t.Errorf("the same again, which is the same import: %d %s", again.Status, again.Body)
	}
	list := kept()
	if len(list) != 1 || len(list[0].GetArrivals()) == 0 {
		t.Fatalf("of the good file %v is kept", list)
	}
	// It is there now, and files come from it by its name as well.
	if a := b.Post(query("importer", "", "source", list[0].GetSourceId()), "text/csv", good); read(a).ImportID != read(again).ImportID {
		t.Errorf("the same file from the source that is there: %d %s", a.Status, a.Body)
	}
}

// broken sends less than it has promised, and goes away.
func broken(t *testing.T, b *worldtest.Browser, to string, body []byte, promised int) {
	t.Helper()
	r := b.Request(http.MethodPost, to, nil)
	for _, c := range b.Cookies(r.URL) {
		r.AddCookie(c)
	}
	var head bytes.Buffer
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.URL.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head.WriteString("POST " + r.URL.RequestURI() + " HTTP/1.1\r\nHost: " + r.URL.Host + "\r\n")
	if err := r.Header.Write(&head); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&head, "Content-Length: %d\r\n\r\n", promised)
	head.Write(body)
	if _, err := conn.Write(head.Bytes()); err != nil {
		t.Fatal(err)
	}
	// Half of the connection is closed: that the edge has seen it, its answer tells.
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || bytes.Contains(answer, []byte("200 OK")) || bytes.Contains(answer, []byte("arrivals")) {
		t.Errorf("a file that broke off: %s, %v", answer, err)
	}
}
