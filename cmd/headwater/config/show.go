package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"
)

// hidden stands in for a secret that is set.
const hidden = "(hidden)"

// shown is the value of a setting as people may see it.
func (s setting) shown(c *Config) string {
	text := s.bind(c).get()
	if s.secret && text != "" {
		return hidden
	}
	return text
}

// WriteYAML writes the configuration as a file that Load would read, each value with where it came from.
// Secrets are hidden, so that the output can go into a bug report.
func (c Config) WriteYAML(w io.Writer) error {
	var b bytes.Buffer
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	group := ""
	for _, s := range table {
		g, name, _ := strings.Cut(s.key, ".")
		if g != group {
			fmt.Fprintf(tw, "%s:\n", g)
			group = g
		}
		scalar, err := plainOrQuoted(s.shown(&c))
		if err != nil {
			return fmt.Errorf("write %s: %w", s.key, err)
		}
		fmt.Fprintf(tw, "  %s: %s\t# %s\n", name, scalar, c.Origin(s.key))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// plainOrQuoted writes a value as people write it: 6 and true without the quotes that would make them
// strings, since every value is read as text.
func plainOrQuoted(text string) (string, error) {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_./", r)
	}
	if text != "" && text != "null" && !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text, nil
	}
	scalar, err := yaml.Marshal(text)
	return string(bytes.TrimSpace(scalar)), err
}

// Shown is a setting as people may see it: a secret that is set is hidden.
type Shown struct {
	Key, Value, Default, Origin, Help, Changes string
}

// Shown returns all settings, in the order of the table.
func (c Config) Shown() []Shown {
	list := make([]Shown, len(table))
	for i, s := range table {
		list[i] = Shown{Key: s.key, Value: s.shown(&c), Default: s.def, Origin: c.Origin(s.key), Help: s.help, Changes: s.changes.String()}
	}
	return list
}

// WriteTable writes all settings as a Markdown table, for the documentation.
func WriteTable(w io.Writer) error {
	c := Default()
	var b bytes.Buffer
	b.WriteString("| key | default | kind | a reload changes it for | meaning |\n|---|---|---|---|---|\n")
	for _, s := range table {
		def := "`" + s.def + "`"
		if s.def == "" {
			def = "none"
		}
		kind := strings.ReplaceAll(s.bind(&c).kind, "|", `\|`)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.key, def, kind, s.changes, s.help)
	}
	_, err := w.Write(b.Bytes())
	return err
}
