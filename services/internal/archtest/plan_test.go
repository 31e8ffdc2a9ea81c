package archtest

// module is ours; the contract is a module of its own below it.
const module = "github.com/obole-market/obole"

// services have identical rooms.
var services = []string{"offers", "consent", "delivery", "settlement"}

// others are below services, with rooms of their own.
var others = []string{"app", "obole", "internal"}

// rooms of every service that are no domain.
var rooms = []string{"wire", "rpc", "react", "view", "schema"}

// domainFiles make a root; each service has at least one that is whole. A root of a few lines may be one file.
var domainFiles = []string{"doc.go", "command.go", "event.go", "state.go", "decide.go", "evolve.go", "decide_test.go"}

// extras are rooms that only one service needs, with what they are for.
var extras = map[string]map[string]string{
	"delivery": {
		"point":    "one measurement, in canonical units",
		"source":   "one importer of a foreign export format per file: bytes to data points",
		"minimise": "data points to what a licence grants of them",
		"store":    "measurements and packages, sealed, beside the log",
		"packing":  "what is due under an agreement, made a package",
	},
}

// room says what the production code of a room may import. Test files may import more, but no other service's code.
type room struct {
	std   []string // of the standard library; nil means all of it
	own   []string // rooms of the same service, "domain" and "extra" for those kinds
	pkg   []string // below pkg, with what is below them; "*" for all
	gen   bool     // generated code of the contract
	third []string // modules of others, by prefix; nil means none
	never []string // even where third allows it
}

var (
	grpc     = "google.golang.org/grpc"
	protobuf = "google.golang.org/protobuf"
	pgx      = "github.com/jackc/pgx"
	kafka    = "github.com/segmentio/kafka-go"
	any3     = []string{""}
)

// pure is the standard library without clocks, randomness, files, network, logs and goroutines. time stands for its
// types: impure calls of it are looked for by name.
var pure = []string{
	"bytes", "cmp", "crypto/sha256", "encoding/binary", "encoding/hex", "errors", "fmt", "hash", "iter", "maps", "math",
	"math/big", "math/bits", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
}

// impureCalls of the package time have no place in a domain: time is the log's.
var impureCalls = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

var plan = map[string]room{
	"domain": {std: pure, pkg: []string{"money", "id", "fault"}},
	"extra":  {own: []string{"domain", "extra"}, pkg: []string{"*"}, gen: true, third: any3, never: []string{grpc, pgx, kafka}},
	"store": {
		own: []string{"extra"}, pkg: []string{"id", "fault", "vault", "catalog"}, gen: true, third: []string{pgx},
	},
	"packing": {
		own: []string{"domain", "extra", "wire", "store"}, pkg: []string{"*"}, gen: true, third: any3, never: []string{grpc, pgx, kafka},
	},
	"wire": {
		own: []string{"domain"}, pkg: []string{"money", "id", "fault", "es", "vault", "policy"}, gen: true, third: []string{protobuf},
	},
	"view": {
		own: []string{"domain", "wire"}, pkg: []string{"projection", "money", "id", "fault", "es", "vault"}, gen: true,
		third: []string{pgx, protobuf},
	},
	"rpc": {
		own: []string{"domain", "extra", "wire", "view", "store", "packing"}, pkg: []string{"*"}, gen: true, third: any3,
		never: []string{pgx, kafka},
	},
	"react": {
		own: []string{"domain", "extra", "wire", "store", "packing"}, pkg: []string{"es", "bus", "projection", "fault", "id", "lru", "money", "vault", "policy"}, gen: true,
		third: any3, never: []string{grpc, pgx, kafka},
	},
	"schema": {own: nil, pkg: []string{"*"}},
	"face": {
		own: []string{"domain", "extra", "wire", "view", "rpc", "react", "schema", "store", "packing"}, pkg: []string{"*"}, gen: true,
		third: any3, never: []string{kafka},
	},
	"cmd": {own: []string{"face"}, pkg: []string{"boot"}, third: []string{"github.com/alecthomas/kong"}},
}

const (
	maxFile = 600 // lines of a Go file: split by verb
	maxMain = 150 // lines of a service's main
)

// drawers are names that say nothing of what is inside.
var drawers = []string{"util", "utils", "common", "helper", "helpers", "types", "models", "misc", "shared", "base"}
