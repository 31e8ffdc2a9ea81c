package source

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/third_party/openmhealth"
)

// Conform holds a data point to the published schemas: header and body to IEEE 1752.1's data point, the body to the schema
// that the header names. Its errors name paths of the JSON, never values.
func Conform(b []byte) error {
	schemas, err := published()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return point.Syntax.Says("is no JSON").Of("point")
	}
	if err := conform(schemas.dataPoint, v); err != nil {
		return err
	}
	var j struct {
		Header struct {
			Schema jsonSchema `json:"schema_id"`
		} `json:"header"`
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return point.NotAllowed.Says("is no schema").Of("header.schema_id")
	}
	body, taken := schemas.bodies[point.Schema(j.Header.Schema)]
	if !taken {
		return point.NotAllowed.Says("is none of the schemas taken here").Of("header.schema_id")
	}
	return conform(body, v.(map[string]any)["body"], "body")
}

// conform says where a value goes against a schema.
func conform(s *jsonschema.Schema, v any, at ...string) error {
	err := s.Validate(v)
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err
	}
	for len(wrong.Causes) > 0 { // the innermost cause says most
		wrong = wrong.Causes[0]
	}
	where := strings.Join(append(at, wrong.InstanceLocation...), ".")
	if where == "" {
		where = "point"
	}
	return point.Shape.Says("goes against " + strings.Join(wrong.ErrorKind.KeywordPath(), "/") + " of " + path.Base(wrong.SchemaURL)).Of(where)
}

// own are the schemas of namespace obole.
//
//go:embed schema
var own embed.FS

// compiled are the published schemas.
type compiled struct {
	dataPoint *jsonschema.Schema
	bodies    map[point.Schema]*jsonschema.Schema
}

var published = sync.OnceValues(func() (compiled, error) {
	tree, err := publishedTree()
	if err != nil {
		return compiled{}, err
	}
	c := compiler(tree)
	s := compiled{bodies: map[point.Schema]*jsonschema.Schema{}}
	if s.dataPoint, err = c.Compile(dataPoint); err != nil {
		return s, err
	}
	for _, name := range point.Schemas() {
		if s.bodies[name], err = c.Compile(addressOf(name)); err != nil {
			return s, err
		}
	}
	return s, nil
})

// place is where the schemas' references are resolved: file names within a folder, and IEEE's by their public address.
const (
	place = "https://schemas.invalid/"
	w3id  = "https://w3id.org/ieee/ieee-1752-schema/"
)

// dataPoint is where a whole data point is described.
const dataPoint = place + "ieee/data-point-1.0.json"

// addressOf is where a schema's document is.
func addressOf(s point.Schema) string {
	return fmt.Sprintf("%s%s/%s-%s.json", place, s.Namespace, s.Name, s.Version)
}

func publishedTree() (fs.FS, error) { return fs.Sub(openmhealth.Schemas, "schema") }

// compiler reads schemas from a tree with a folder for each namespace. Their $id is dropped: it is that of another version
// in some files, and what refers to a schema does so by file name.
func compiler(tree fs.FS) *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	// Nothing is read from an address, and real headers name a maker in its place.
	c.RegisterFormat(&jsonschema.Format{Name: "iri", Validate: func(any) error { return nil }})
	c.UseLoader(loader{tree})
	return c
}

type loader struct{ tree fs.FS }

// Load finds a schema's file.
func (l loader) Load(url string) (any, error) {
	name, ok := strings.CutPrefix(url, place)
	if !ok {
		if name, ok = strings.CutPrefix(url, w3id); !ok {
			return nil, fmt.Errorf("source: no schema at %s", url)
		}
		name = "ieee/" + name
	}
	tree := l.tree
	if mine, ok := strings.CutPrefix(name, "obole/"); ok {
		tree, name = own, "schema/"+mine
	}
	b, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if o, ok := v.(map[string]any); ok {
		delete(o, "$id")
	}
	return v, err
}
