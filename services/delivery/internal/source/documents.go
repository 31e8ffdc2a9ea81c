package source

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Document is a JSON Schema.
type Document struct {
	// URI under which other documents refer to it. Nothing answers there: whoever validates has the documents.
	URI string
	// Schema whose bodies it describes, "point" for the one of a whole data point; empty where only others refer to it.
	Schema string
	// JSON is the document as published, without the $id of some that names another version.
	JSON []byte
}

// Documents are the schemas by which points of some schemas are held, with the one of a data point, and all that they refer to, by their
// URIs. Without a schema there is none.
func Documents(schemas []point.Schema) ([]Document, error) {
	if len(schemas) == 0 {
		return nil, nil
	}
	tree, err := publishedTree()
	if err != nil {
		return nil, err
	}
	named := map[string]string{dataPoint: "point"}
	for _, s := range schemas {
		named[addressOf(s)] = s.String()
	}
	var out []Document
	load, seen := loader{tree}, map[string]bool{}
	open := []string{}
	for uri := range named {
		open = append(open, uri)
	}
	for len(open) > 0 {
		uri := open[0]
		if open = open[1:]; seen[uri] {
			continue
		}
		seen[uri] = true
		v, err := load.Load(uri)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out = append(out, Document{URI: uri, Schema: named[uri], JSON: text})
		base, err := url.Parse(uri)
		if err != nil {
			return nil, err
		}
		err = references(v, func(ref string) error {
			to, err := base.Parse(ref)
			if err != nil {
				return fmt.Errorf("source: %s refers to %q: %w", uri, ref, err)
			}
			to.Fragment = ""
			open = append(open, to.String())
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b Document) int { return cmp.Compare(a.URI, b.URI) })
	return out, nil
}

// references finds what a schema refers to outside of itself.
func references(v any, found func(string) error) error {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && !strings.HasPrefix(ref, "#") {
			if err := found(ref); err != nil {
				return err
			}
		}
		for _, inner := range v {
			if err := references(inner, found); err != nil {
				return err
			}
		}
	case []any:
		for _, inner := range v {
			if err := references(inner, found); err != nil {
				return err
			}
		}
	}
	return nil
}
