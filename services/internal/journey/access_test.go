package journey

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// roles are all that a token may carry.
var roles = []eventv1.Role{
	eventv1.Role_ROLE_SUBSCRIBER, eventv1.Role_ROLE_BUYER, eventv1.Role_ROLE_SOURCE, eventv1.Role_ROLE_FINANCE, eventv1.Role_ROLE_OPERATOR,
	eventv1.Role_ROLE_AUDITOR, eventv1.Role_ROLE_SERVICE,
}

// update writes the tables that a person has reviewed.
var update = flag.Bool("update", false, "write testdata/access.txt from the contract")

// TestAccessIsAsReviewed: who may call what, for whom and how much is what somebody has read and agreed to. An RPC that is new or changed
// needs its line in testdata/access.txt changed too.
func TestAccessIsAsReviewed(t *testing.T) {
	t.Parallel()
	const file = "testdata/access.txt"
	methods, err := boot.Methods(protoregistry.GlobalFiles, "obole.")
	if err != nil {
		t.Fatal(err)
	}
	table := "# RPC | roles | owner: who a subscriber or buyer must be | deadline, of a stream its idle time | bytes a request | calls a second and caller\n"
	for _, m := range methods {
		may := make([]string, 0, len(roles))
		for _, r := range m.Access.GetRoles() {
			may = append(may, strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_")))
		}
		slices.Sort(may)
		rate := "default"
		if n := m.Access.GetRate(); n > 0 {
			rate = fmt.Sprint(n)
		}
		table += fmt.Sprintf("%s | %s | %s | %s | %d | %s\n", strings.TrimPrefix(m.Name, "/obole."), cmp.Or(strings.Join(may, " "), "nobody"),
			cmp.Or(m.Access.GetOwner(), "-"), m.Deadline, m.Bytes, rate)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	reviewed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(string(reviewed), "\n"), strings.Split(table, "\n")); diff != "" {
		t.Errorf("the contract is not as it was reviewed; see that it is meant, then write the table with go test ./services/internal/journey -run Reviewed -update:\n%s", diff)
	}
}

// TestEveryCallByEveryRoleForEveryOwner walks the whole matrix over running servers: a role that the contract does not list is
// denied, and a person or buyer reaches what is theirs and nothing else, whatever else is wrong with the request.
func TestEveryCallByEveryRoleForEveryOwner(t *testing.T) {
	t.Parallel()
	m := openFull(t)
	methods, err := boot.Methods(protoregistry.GlobalFiles, "obole.")
	if err != nil {
		t.Fatal(err)
	}
	own, other := id.Random().String(), id.Random().String()
	conns := map[string]map[eventv1.Role]*grpc.ClientConn{}
	for _, service := range worldtest.Services {
		conns[service] = map[eventv1.Role]*grpc.ClientConn{}
		for _, role := range roles {
			conns[service][role] = m.Dial(service, own, role)
		}
	}
	walked, denied := 0, 0
	for _, method := range methods {
		if method.Access == nil {
			t.Errorf("%s: the contract does not say who may call it", method.Name)
			continue
		}
		of := []string{strings.Split(strings.TrimPrefix(method.Name, "/obole."), ".")[0]}
		if of[0] == "log" {
			of = worldtest.Services // every service serves it
		}
		for _, service := range of {
			byRole, running := conns[service]
			if !running {
				t.Errorf("%s: no server was asked", method.Name)
				continue
			}
			for _, role := range roles {
				for _, owner := range []string{own, other} {
					listed := slices.Contains(method.Access.GetRoles(), role)
					self := role == eventv1.Role_ROLE_SUBSCRIBER || role == eventv1.Role_ROLE_BUYER
					want := listed && (owner == own || !self || method.Access.GetOwner() == "")
					got := call(t, byRole[role], method, owner)
					if allowed := got != codes.PermissionDenied && got != codes.Unauthenticated; allowed != want {
						t.Errorf("%s at %s by %v for %s: %v, want allowed %v", method.Name, service, role, map[string]string{own: "itself", other: "another"}[owner], got, want)
					}
					walked++
					if !want {
						denied++
					}
				}
			}
		}
	}
	// The roles are those of the contract, and each line of the reviewed table was walked.
	if len(roles) != len(eventv1.Role_name)-1 {
		t.Errorf("%d roles of %d were tried", len(roles), len(eventv1.Role_name)-1)
	}
	if walked < 2*len(roles)*len(methods) || denied < 600 {
		t.Errorf("only %d cells of %d RPCs were walked, %d of them denials", walked, len(methods), denied)
	}
}

// call makes a call whose request names an owner and is empty otherwise, and gives its code; a stream's is that of its first answer.
func call(t *testing.T, conn *grpc.ClientConn, method *boot.Method, owner string) codes.Code {
	t.Helper()
	req := dynamicpb.NewMessage(method.Desc.Input())
	set(req, method.Access.GetOwner(), owner)
	res := dynamicpb.NewMessage(method.Desc.Output())
	ctx := t.Context()
	if !method.Desc.IsStreamingClient() && !method.Desc.IsStreamingServer() {
		return status.Code(conn.Invoke(ctx, method.Name, req, res))
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // a stream that is allowed may have nothing to say
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method.Name)
	if err != nil {
		return status.Code(err)
	}
	_ = stream.SendMsg(req) // the answer tells
	_ = stream.CloseSend()
	return status.Code(stream.RecvMsg(res))
}

// set sets the field at a path of dots.
func set(m protoreflect.Message, path, value string) {
	if path == "" {
		return
	}
	head, rest, nested := strings.Cut(path, ".")
	f := m.Descriptor().Fields().ByName(protoreflect.Name(head))
	if nested {
		set(m.Mutable(f).Message(), rest, value)
		return
	}
	m.Set(f, protoreflect.ValueOfString(value))
}
