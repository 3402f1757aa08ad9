package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// DefaultFile is read from the working directory when no other file is named and it exists.
const DefaultFile = "headwater.yaml"

// FileVariable names the configuration file in the environment, as --config does on the command line.
const FileVariable = envPrefix + "CONFIG"

// Sources says where Load reads from, besides the environment.
type Sources struct {
	File  string         // "" is the file that FileVariable names, else DefaultFile if there is one
	Flags *pflag.FlagSet // parsed, with the flags of AddFlags; nil is none
}

// Load reads file, environment and flags and returns the configuration they make. If anything is wrong, the
// error is a [Faults] that names all of it.
func Load(src Sources) (Config, error) {
	c := Default()
	c.origins = map[string]string{}

	file, explicit := src.file()
	entries, faults, err := readFile(file)
	if err != nil && (explicit || !errors.Is(err, fs.ErrNotExist)) {
		faults = append(faults, Fault{Origin: file, Err: err})
	}
	faults = append(faults, unknownVariables(os.Environ())...)

	v, err := merge(entries, src.Flags)
	if err != nil {
		return Config{}, err
	}
	for _, s := range table {
		origin := originOf(s, entries, src.Flags)
		if origin == "" {
			continue
		}
		c.origins[s.key] = origin
		if err := s.bind(&c).set(v.GetString(s.key)); err != nil {
			faults = append(faults, Fault{Key: s.key, Origin: origin, Err: err})
		}
	}
	read := faults
	for _, f := range c.check() {
		if !read.follows(f) {
			faults = append(faults, f)
		}
	}
	if err := faults.asError(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// file returns the name of the configuration file and whether somebody named it.
func (src Sources) file() (name string, explicit bool) {
	if src.File != "" {
		return src.File, true
	}
	if name := os.Getenv(FileVariable); name != "" {
		return name, true
	}
	return DefaultFile, false
}

// Path returns the name of the configuration file, which need not exist unless somebody has named it.
func (src Sources) Path() string {
	name, _ := src.file()
	return name
}

// UsedFile returns the file that Load reads, or "" when there is none.
func (src Sources) UsedFile() string {
	name, explicit := src.file()
	if _, err := os.Stat(name); err != nil && !explicit {
		return ""
	}
	return name
}

// merge lays flags over environment over file over defaults.
func merge(entries map[string]entry, flags *pflag.FlagSet) (*viper.Viper, error) {
	v := viper.New()
	v.AllowEmptyEnv(true) // HEADWATER_HTTP_ADDR= turns the listener off, as http.addr: "" does
	file := map[string]any{}
	for key, e := range entries {
		file[key] = e.text
	}
	if err := v.MergeConfigMap(file); err != nil {
		return nil, fmt.Errorf("merge configuration file: %w", err)
	}
	for _, s := range table {
		v.SetDefault(s.key, s.def)
		if err := v.BindEnv(s.key, s.env()); err != nil {
			return nil, fmt.Errorf("bind %s: %w", s.env(), err)
		}
		if f := lookup(flags, s.key); f != nil {
			if err := v.BindPFlag(s.key, f); err != nil {
				return nil, fmt.Errorf("bind --%s: %w", s.key, err)
			}
		}
	}
	return v, nil
}

func lookup(flags *pflag.FlagSet, key string) *pflag.Flag {
	if flags == nil {
		return nil
	}
	return flags.Lookup(key)
}

// originOf names the source that wins for a setting, or "" for its default. It follows the order of merge.
func originOf(s setting, entries map[string]entry, flags *pflag.FlagSet) string {
	if f := lookup(flags, s.key); f != nil && f.Changed {
		return "--" + s.key
	}
	if _, ok := os.LookupEnv(s.env()); ok {
		return s.env()
	}
	return entries[s.key].origin
}

// clusterVariable matches what Kubernetes and Docker put into the environment of every container for a
// service that is called headwater, or headwater-something. Nobody meant them as settings. A variable that
// ends in _PORT is one of them only if it has a URL, for a person would write a number.
var clusterVariable = regexp.MustCompile(
	`^HEADWATER(_[A-Z0-9_]+)?_(SERVICE_HOST=|SERVICE_PORT(_[A-Z0-9_]+)?=|PORT=(tcp|udp|sctp)://|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=)`)

// unknownVariables finds variables that look like settings and are none. Their values are not shown: a
// misspelt secret is a secret.
func unknownVariables(environ []string) Faults {
	known := []string{FileVariable}
	for _, s := range table {
		known = append(known, s.env())
	}
	var faults Faults
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || clusterVariable.MatchString(pair) {
			continue
		}
		faults = append(faults, Fault{Key: name, Origin: "environment", Err: errors.New("unknown variable" + suggest(name, known))})
	}
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.Key, b.Key) })
	return faults
}

// AddFlags adds a flag for every setting.
func AddFlags(flags *pflag.FlagSet) {
	c := Default()
	for _, s := range table {
		flags.Var(&rawFlag{text: s.def, kind: s.bind(&c).kind}, s.key, s.help)
	}
}

// rawFlag keeps what was typed. It is judged by Load, together with everything else.
type rawFlag struct{ text, kind string }

func (f *rawFlag) String() string     { return f.text }
func (f *rawFlag) Set(s string) error { f.text = s; return nil }
func (f *rawFlag) Type() string       { return f.kind }
