package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds the configuration file; a complete one has a few kilobytes, and more is not one.
const maxFileBytes = 1 << 20

// entry is a value of the file and its place there.
type entry struct {
	text   string
	origin string // file:line
}

// fileReader gathers the entries of a YAML file by key, and everything that is wrong with it. It keeps
// scalars as they are written: an address like 10:30 or a country code like no is text here, never a number
// or a boolean by YAML's rules.
type fileReader struct {
	name    string
	entries map[string]entry
	faults  Faults
}

// readFile reads the configuration file. The error is about the file itself; what is wrong inside it is in
// the faults.
func readFile(name string) (map[string]entry, Faults, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, nil, err
	}
	if len(data) > maxFileBytes {
		return nil, nil, fmt.Errorf("%s: more than %d bytes is not a configuration file", name, maxFileBytes)
	}
	r := fileReader{name: name, entries: map[string]entry{}}
	r.read(data)
	return r.entries, r.faults, nil
}

func (r *fileReader) read(data []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) { // which is an empty file, or one of comments only
			r.syntax(err)
		}
		return
	}
	if root := doc.Content[0]; root.Kind == yaml.MappingNode {
		r.mapping(root, "")
	} else if root.Tag != "!!null" {
		r.fault(root, "", "the file is not a list of keys and values")
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == nil:
		r.fault(&second, "", "a second YAML document begins here")
	case !errors.Is(err, io.EOF):
		r.syntax(err)
	}
}

// syntax reports what is not YAML. The parser's text has the line.
func (r *fileReader) syntax(err error) {
	r.faults = append(r.faults, Fault{Origin: r.name, Err: errors.New(strings.TrimPrefix(err.Error(), "yaml: "))})
}

// mapping reads the keys of one level. Both spellings are taken: nested groups, and rtmp.addr in one piece.
func (r *fileReader) mapping(n *yaml.Node, prefix string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		key := prefix + k.Value
		s, known := find(key)
		switch {
		case known:
			r.setting(k, v, s)
		case !isGroup(key):
			r.fault(k, key, "unknown key"+suggest(key, keysLike(key)))
		case v.Kind == yaml.MappingNode:
			r.mapping(v, key+".")
		case v.Tag == "!!null": // a group with all its keys commented out
		default:
			r.fault(v, key, "is a group of settings, not a setting")
		}
	}
}

func (r *fileReader) setting(k, v *yaml.Node, s setting) {
	switch {
	case v.Kind == yaml.AliasNode:
		r.fault(v, s.key, "YAML aliases are not supported")
		return
	case v.Kind != yaml.ScalarNode:
		r.fault(v, s.key, "takes one value, not a list or a group")
		return
	case v.Tag == "!!null":
		r.fault(v, s.key, `has no value (leave the line out for the default, write "" for nothing)`)
		return
	}
	if earlier, twice := r.entries[s.key]; twice {
		r.fault(k, s.key, "is set twice, first in "+earlier.origin)
		return
	}
	r.entries[s.key] = entry{text: v.Value, origin: r.origin(v)}
}

func (r *fileReader) origin(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.name, n.Line) }

func (r *fileReader) fault(n *yaml.Node, key, text string) {
	r.faults = append(r.faults, Fault{Key: key, Origin: r.origin(n), Err: errors.New(text)})
}
