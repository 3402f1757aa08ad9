package rtmp

import "sync/atomic"

// Skip says why something a peer sent was skipped without ending the
// connection.
type Skip int

// What is skipped and counted.
const (
	SkipUnknownType      Skip = iota // a message type nobody knows
	SkipNoPublication                // media without an accepted publication
	SkipMalformedCommand             // a command whose name cannot be read
	SkipMalformedControl             // a control message that is too short
	SkipMalformedData                // script data without a name, or with what cannot be decoded
	SkipAggregate                    // an aggregate, from the first wrong length on
	SkipAborted                      // a partial message that the peer aborted
	SkipInterrupted                  // a partial message given up for a new header
	SkipUnknownCommand               // answered with _error where an answer was asked for
	numSkips
)

var skipNames = [numSkips]string{
	"unknown-type", "no-publication", "malformed-command", "malformed-control", "malformed-data",
	"aggregate", "aborted", "interrupted", "unknown-command",
}

// String returns the stable word for the reason, as used in metrics.
func (s Skip) String() string {
	if s < 0 || s >= numSkips {
		return "unknown"
	}
	return skipNames[s]
}

// Stats are a connection's counters since its start.
type Stats struct {
	BytesIn  uint64
	BytesOut uint64
	Messages uint64          // complete messages read, sub-messages of aggregates included
	Skipped  map[Skip]uint64 // only reasons that occurred
}

type counters struct {
	bytesIn, bytesOut, messages atomic.Uint64
	skipped                     [numSkips]atomic.Uint64
}

func (c *counters) skip(s Skip) { c.skipped[s].Add(1) }

func (c *counters) snapshot() Stats {
	s := Stats{
		BytesIn:  c.bytesIn.Load(),
		BytesOut: c.bytesOut.Load(),
		Messages: c.messages.Load(),
		Skipped:  map[Skip]uint64{},
	}
	for i := range c.skipped {
		if n := c.skipped[i].Load(); n > 0 {
			s.Skipped[Skip(i)] = n
		}
	}
	return s
}

// snapshot returns the counters.
func (t *transport) snapshot() Stats {
	s := t.stats.snapshot()
	s.BytesOut += t.stepped.Load()
	return s
}
