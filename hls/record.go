package hls

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// A journal is a text file of one record per line (docs/journal.md):
//
//	+-----------------+----+-------------------------------------+----+
//	| CRC-32C, 8 hex  | SP | JSON object                         | LF |
//	+-----------------+----+-------------------------------------+----+
//
// The checksum covers the JSON. Exactly one of the fields open, segment and end says
// what the record is. previous is the SHA-256 of the line before, without its LF: so
// the segments make a chain, in which nothing can be changed, left out or put in.
type record struct {
	Previous digest   `json:"previous"`
	Open     *opening `json:"open,omitempty"`
	Segment  *entry   `json:"segment,omitempty"`
	End      *ending  `json:"end,omitempty"`
}

// opening begins each journal. Its previous is what the first segment's must be: a
// journal that was shortened goes on with the chain that it had.
type opening struct {
	Version     int    `json:"version"`
	Stream      string `json:"stream"`
	Incarnation string `json:"incarnation"`
	totals             // of what is no more in the journal
}

// entry is a segment that is about to be listed. Times are in units of 1/90000 s.
type entry struct {
	Sequence uint64 `json:"sequence"`
	URI      string `json:"uri"`
	Start    ticks  `json:"start"` // first DTS on the stream's timeline
	Duration ticks  `json:"duration"`
	// Date is the wall clock at Start, Listed when the segment was listed.
	Date   time.Time `json:"date"`
	Listed time.Time `json:"listed"`

	Discontinuity bool `json:"discontinuity,omitempty"`
	// DiscontinuitySequence is the segment's Discontinuity Sequence Number (RFC
	// 8216, 6.2.1): the discontinuities up to and including its own.
	DiscontinuitySequence uint64 `json:"discontinuity_sequence"`
	Independent           bool   `json:"independent"`
	Target                int    `json:"target"` // target duration in seconds
	// Head is the media sequence number of the playlist that lists the segment.
	Head uint64 `json:"head"`

	Codecs string  `json:"codecs"`
	Width  int     `json:"width,omitempty"`
	Height int     `json:"height,omitempty"`
	Rate   float64 `json:"rate,omitempty"` // frames per second

	Size   int64  `json:"size"` // bytes
	SHA256 digest `json:"sha256"`
	// Missing: the segment could not be stored and was served from memory.
	Missing bool `json:"missing,omitempty"`

	// Totals are of this segment and all before it, so that a journal can be read from its
	// end.
	Totals totals `json:"totals,omitzero"`
}

// totals is what a playlist says of all segments that it ever listed.
type totals struct {
	Dependent bool   `json:"dependent,omitempty"` // one could not begin with an IDR
	Peak      uint64 `json:"peak,omitempty"`      // largest bit rate
	Bits      uint64 `json:"bits,omitempty"`
	Length    ticks  `json:"length,omitempty"`
}

// ending says that the playlist has got its EXT-X-ENDLIST.
type ending struct {
	Date time.Time `json:"date"`
}

const (
	journalName    = "journal"
	journalVersion = 1
	// maxRecord bounds a line: the longest that is written has 900 bytes.
	maxRecord = 8 << 10
	// maxJournal bounds a file that is read. The longest window and maxRetained make 18 MB.
	maxJournal = 32 << 20
	// maxTarget and maxSegment bound what is believed of a segment: no setting leads
	// beyond.
	maxTarget  = 3_600
	maxSegment = 1 << 32
)

// digest is a SHA-256, written in hexadecimal.
type digest [sha256.Size]byte

// MarshalText implements encoding.TextMarshaler.
func (d digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *digest) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("a digest of %d characters", len(text))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const checksumSize = 8 // hexadecimal digits

// appendLine appends the record's line, LF included.
func (r *record) appendLine(dst []byte) []byte {
	body, err := json.Marshal(r)
	if err != nil {
		panic("hls: a journal record that JSON cannot hold: " + err.Error())
	}
	dst = fmt.Appendf(dst, "%08x ", crc32.Checksum(body, castagnoli))
	return append(append(dst, body...), '\n')
}

// parseLine reads a line without its LF.
func parseLine(line []byte) (record, error) {
	var r record
	if len(line) > maxRecord {
		return r, fmt.Errorf("a record of %d bytes", len(line))
	}
	sum, body, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(sum) != checksumSize {
		return r, errors.New("no checksum")
	}
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if err != nil || uint32(want) != crc32.Checksum(body, castagnoli) {
		return r, errors.New("the checksum is wrong")
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("read JSON: %w", err)
	}
	return r, r.check()
}

// errVersion: another version of Headwater wrote the journal.
var errVersion = errors.New("a version of the journal that is not known")

// check refuses what no server wrote.
func (r *record) check() error {
	kinds := 0
	for _, is := range [...]bool{r.Open != nil, r.Segment != nil, r.End != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("not one of open, segment and end")
	case r.Open != nil && r.Open.Version != journalVersion:
		return fmt.Errorf("%w: %d", errVersion, r.Open.Version)
	case r.Segment != nil:
		return r.Segment.check()
	}
	return nil
}

func (e *entry) check() error {
	sequence, ok := sequenceOf(e.URI)
	switch {
	case !ok || sequence != e.Sequence:
		return fmt.Errorf("segment %d has the URI %q", e.Sequence, e.URI)
	case e.Head > e.Sequence:
		return fmt.Errorf("segment %d was listed behind %d", e.Sequence, e.Head)
	case e.Duration <= 0 || e.Duration > maxTarget*perSecond || e.Target <= 0 || e.Target > maxTarget:
		return fmt.Errorf("segment %d lasts %d/90000 s of at most %d s", e.Sequence, e.Duration, e.Target)
	case e.Size <= 0 || e.Size > maxSegment:
		return fmt.Errorf("segment %d has %d bytes", e.Sequence, e.Size)
	case e.Discontinuity && e.DiscontinuitySequence == 0:
		return fmt.Errorf("segment %d begins with discontinuity number 0", e.Sequence)
	}
	return nil
}

// segmentURI returns the URI of a segment, relative to the media playlist. The tag is
// new for each run of the server: so a URI is never used again, even where a run ended
// before it could write down which it had used.
func segmentURI(sequence uint64, tag string) string {
	return strconv.FormatUint(sequence, 10) + "-" + tag + segmentSuffix
}

// sequenceOf returns the sequence number in a segment's URI; false if it is none.
func sequenceOf(uri string) (uint64, bool) {
	base, ok := strings.CutSuffix(uri, segmentSuffix)
	if !ok {
		return 0, false
	}
	number, tag, ok := strings.Cut(base, "-")
	sequence, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || strconv.FormatUint(sequence, 10) != number || !hexadecimal(tag, tagSize) {
		return 0, false
	}
	return sequence, true
}

// tagSize and incarnationSize are numbers of hexadecimal digits.
const (
	tagSize         = 8
	incarnationSize = 16
)

func hexadecimal(s string, size int) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == size
}
