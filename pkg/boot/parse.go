package boot

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// Parse fills cli from arguments, environment and file. cli points to a struct with kong's tags that embeds Config or
// a service's own; about is the first line of its help. Run the chosen command with the context's Run.
func Parse(cli any, name, about string, args []string, opts ...kong.Option) (*kong.Context, error) {
	parser, err := kong.New(cli, append([]kong.Option{
		kong.Name(name), kong.Description(about), kong.UsageOnError(),
		kong.DefaultEnvars("OBOLE"), kong.Configuration(file),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("boot: flags of %s: %w", name, err)
	}
	return parser.Parse(args)
}

// values is a JSON file; keys are the names of flags, dots nest, dashes are underscores.
type values map[string]any

func file(r io.Reader) (kong.Resolver, error) {
	v := values{}
	if err := json.NewDecoder(r).Decode(&v); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	return v, nil
}

// Resolve finds the value of a flag that the environment does not set.
func (v values) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, ok := os.LookupEnv(env); ok {
			return nil, nil
		}
	}
	var at any = map[string]any(v)
	for part := range strings.SplitSeq(key(flag.Name), ".") {
		inner, ok := at.(map[string]any)
		if !ok {
			return nil, nil
		}
		if at, ok = inner[part]; !ok {
			return nil, nil
		}
	}
	return at, nil
}

// Validate refuses keys that are no flags: a misspelt limit must not go unnoticed.
func (v values) Validate(app *kong.Application) error {
	known := map[string]bool{}
	var collect func(n *kong.Node)
	collect = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[key(f.Name)] = true
		}
		for _, child := range n.Children {
			collect(child)
		}
	}
	collect(app.Node)
	return check(known, "", v)
}

func check(known map[string]bool, prefix string, v map[string]any) error {
	for name, value := range v {
		if known[prefix+name] {
			continue
		}
		inner, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("configuration file: unknown key %q", prefix+name)
		}
		if err := check(known, prefix+name+".", inner); err != nil {
			return err
		}
	}
	return nil
}

func key(flag string) string { return strings.ReplaceAll(flag, "-", "_") }
