package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
)

// Denylist is what of a gate's denylist outlives it. AppendDenylist spells it, and ParseDenylist reads that, as lines:
//
//	CHECKSUM {"denylist":1,"last_id":1795290000001,"entries":2}
//	CHECKSUM {"id":"1795290000000","token":"ticket-1","until":"2026-11-22T10:00:00Z"}
//	CHECKSUM {"id":"1795290000001","stream":"live/*","action":"play","until":"2026-11-22T10:00:00Z"}
//
// The checksum is the CRC-32C of the line behind its space, in eight hexadecimal digits: a damaged line would revoke
// something else. Each line stands for itself, so that damage costs no others.
type Denylist struct {
	Entries []Entry // in the order of their IDs
	LastID  uint64  // the highest that was given out
}

// denylistHeader is the first line.
type denylistHeader struct {
	Version int    `json:"denylist"`
	LastID  uint64 `json:"last_id"`
	Entries int    `json:"entries"`
}

const (
	denylistVersion = 1
	// maxDenylistLine bounds a line, in bytes: a token's ID of 128 characters, each of which JSON may spell with six, or
	// a pattern, and 120 bytes of all else.
	maxDenylistLine = 1 << 10
	// MaxDenylistFile bounds what ParseDenylist is to be given, in bytes: a full denylist.
	MaxDenylistFile = (maxEntries + 1) * maxDenylistLine
	// maxEntryID bounds the ID of an entry: what a JSON number holds exactly, and so far from the end of a uint64 that
	// counting on never comes there.
	maxEntryID = 1 << 53

	checksumLength = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendDenylist appends a denylist to a buffer.
func AppendDenylist(b []byte, l Denylist) []byte {
	b = appendDenylistLine(b, denylistHeader{denylistVersion, l.LastID, len(l.Entries)})
	for i := range l.Entries {
		b = appendDenylistLine(b, &l.Entries[i])
	}
	return b
}

func appendDenylistLine(b []byte, v any) []byte {
	text, _ := json.Marshal(v) // of strings, numbers and a time of this millennium
	return fmt.Appendf(b, "%08x %s\n", crc32.Checksum(text, castagnoli), text)
}

// ParseDenylist reads what AppendDenylist has made. The error says what is damaged or missing, and nothing of what was
// read; the list then has all else. Entries that are over are in it.
func ParseDenylist(file []byte) (Denylist, error) {
	var l Denylist
	var header denylistHeader
	first, rest, _ := bytes.Cut(file, []byte{'\n'})
	known := parseDenylistLine(first, &header) && header.Version == denylistVersion && header.LastID <= maxEntryID
	if !known {
		header.LastID, rest = 0, file // it may be an entry
	}
	damaged := 0
	l.LastID = header.LastID
	ids := make(map[uint64]struct{})
	for line := range bytes.Lines(rest) {
		var e Entry
		text, whole := bytes.CutSuffix(line, []byte{'\n'})
		if !whole || !parseDenylistLine(text, &e) || !e.valid() || len(l.Entries) == maxEntries {
			damaged++
			continue
		}
		id, err := strconv.ParseUint(e.ID, 10, 64)
		_, twice := ids[id]
		if err != nil || id == 0 || id > maxEntryID || twice || strconv.FormatUint(id, 10) != e.ID {
			damaged++
			continue
		}
		ids[id] = struct{}{}
		l.Entries, l.LastID = append(l.Entries, e), max(l.LastID, id)
	}
	switch {
	case !known:
		return l, fmt.Errorf("parse denylist: the first line is damaged, or of another version; %d entries were read", len(l.Entries))
	case damaged > 0 || len(l.Entries) != header.Entries:
		return l, fmt.Errorf("parse denylist: %d entries of %d were read, %d lines are damaged", len(l.Entries), header.Entries, damaged)
	}
	return l, nil
}

// parseDenylistLine reads a line without its end, and reports whether it is as it was written.
func parseDenylistLine(line []byte, into any) bool {
	if len(line) > maxDenylistLine || len(line) <= checksumLength || line[checksumLength] != ' ' {
		return false
	}
	sum, err := strconv.ParseUint(string(line[:checksumLength]), 16, 32)
	text := line[checksumLength+1:]
	return err == nil && uint32(sum) == crc32.Checksum(text, castagnoli) && json.Unmarshal(text, into) == nil
}

// SaveDenylist returns the entries in force and the highest ID.
func (g *Gate) SaveDenylist() Denylist { return g.denylist.all() }

// RestoreDenylist puts the entries of an earlier gate that are not over yet in force, under the IDs that they had. It is
// called before anybody comes in. IDs go on behind the highest, and not before the clock, in milliseconds: so an ID that an
// earlier gate gave out means nothing else, even if that was never saved.
func (g *Gate) RestoreDenylist(saved Denylist) {
	l := &g.denylist
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, e := range saved.Entries {
		if now.Before(e.Until) {
			l.putLocked(e)
		}
	}
	l.lastID = max(l.lastID, saved.LastID, uint64(max(0, now.UnixMilli())))
}
