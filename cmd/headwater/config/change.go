package config

// Moment says for whom a setting changes when the configuration is read again while the server runs.
type Moment int

// The moments. The zero value is the one that promises nothing.
const (
	restart        Moment = iota // nobody: it changes when the server starts the next time
	atOnce                       // everybody, at once
	newConnections               // connections that begin after it
	newStreams                   // streams that begin after it
)

// String says it as the documentation does.
func (m Moment) String() string {
	switch m {
	case atOnce:
		return "all, at once"
	case newConnections:
		return "new connections"
	case newStreams:
		return "new streams"
	}
	return "nobody: at the next start"
}

// Change is a setting that differs between two configurations. Values are as people may see them.
type Change struct {
	Key, From, To string
	// For says whom a reload changes it for.
	For Moment
}

// Pending says that the change waits for the next start.
func (c Change) Pending() bool { return c.For == restart }

// Changes lists the settings that differ, in the order of the table. Two different secrets differ, though
// both are shown as hidden.
func Changes(from, to Config) []Change {
	var changes []Change
	for _, s := range table {
		if s.bind(&from).get() != s.bind(&to).get() {
			changes = append(changes, Change{Key: s.key, From: s.shown(&from), To: s.shown(&to), For: s.changes})
		}
	}
	return changes
}

// Reload returns what is in force once a running server has taken a new configuration over, and what differs
// between the two. Settings that cannot change while it runs, or are fixed, stay as they are; their changes are
// pending. The error is a [Faults]: what stays may not go with what is new.
func Reload(running, next Config, fixed func(key string) bool) (Config, []Change, error) {
	changes := Changes(running, next)
	inForce := next
	inForce.origins = make(map[string]string, len(next.origins))
	for key, origin := range next.origins {
		inForce.origins[key] = origin
	}
	for i := range changes {
		c := &changes[i]
		if fixed != nil && fixed(c.Key) {
			c.For = restart
		}
		if !c.Pending() {
			continue
		}
		s, _ := find(c.Key)
		if err := s.bind(&inForce).set(s.bind(&running).get()); err != nil {
			return Config{}, nil, Faults{{Key: c.Key, Origin: running.Origin(c.Key), Err: err}}
		}
		delete(inForce.origins, c.Key)
		if origin, ok := running.origins[c.Key]; ok {
			inForce.origins[c.Key] = origin
		}
	}
	if err := inForce.check().asError(); err != nil {
		return Config{}, nil, err
	}
	return inForce, changes, nil
}
