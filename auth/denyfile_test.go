package auth

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// denied is a denylist as a gate saves it.
func denied(t testing.TB) Denylist {
	t.Helper()
	now := at(jwtNow)
	g := NewGate(GateConfig{Now: now.now})
	for i, e := range []Entry{
		{Token: "ticket-1"}, {Stream: "live/*", Action: Play}, {Token: `<&">\'`, Action: Publish}, {Stream: "*"},
	} {
		if _, _, err := g.Deny(e, time.Duration(i+1)*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	return g.SaveDenylist()
}

func TestADenylistIsReadAsItWasWritten(t *testing.T) {
	for _, want := range []Denylist{denied(t), {LastID: 17}} {
		got, err := ParseDenylist(AppendDenylist(nil, want))
		if err != nil || got.LastID != want.LastID || len(got.Entries) != len(want.Entries) ||
			len(want.Entries) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v, %v; want %+v", got, err, want)
		}
	}
}

// TestAFullDenylistFitsItsFile: what is written must be read back whole.
func TestAFullDenylistFitsItsFile(t *testing.T) {
	full := Denylist{LastID: maxEntryID}
	for i := range maxEntries {
		full.Entries = append(full.Entries, Entry{
			ID: fmt.Sprint(maxEntryID - i), Token: strings.Repeat("<", maxTokenID), Action: Publish, Until: time.Now().UTC(),
		})
	}
	file := AppendDenylist(nil, full)
	if len(file) > MaxDenylistFile {
		t.Errorf("%d bytes are more than %d", len(file), MaxDenylistFile)
	}
	if got, err := ParseDenylist(file); err != nil || len(got.Entries) != maxEntries {
		t.Errorf("%d entries were read, %v", len(got.Entries), err)
	}
}

func TestWhatIsDamagedOfADenylistIsSaidAndTheRestRead(t *testing.T) {
	until := time.Unix(jwtNow, 0).UTC()
	file := AppendDenylist(nil, denied(t))
	lines := bytes.SplitAfter(file, []byte{'\n'})
	flip := func(line int) []byte {
		damaged := bytes.Clone(bytes.Join(lines[:line], nil))
		damaged = append(damaged, bytes.Replace(lines[line], []byte{':'}, []byte{';'}, 1)...)
		return append(damaged, bytes.Join(lines[line+1:], nil)...)
	}
	other := func(v any) []byte { return appendDenylistLine(bytes.Clone(file), v) }
	for name, test := range map[string]struct {
		file []byte
		want int
	}{
		"empty":              {nil, 0},
		"zeros":              {make([]byte, 4096), 0},
		"no header":          {bytes.Join(lines[1:], nil), 4},
		"header damaged":     {flip(0), 4},
		"entry damaged":      {flip(2), 3},
		"cut in a line":      {file[:len(file)-5], 3},
		"cut before the end": {file[:len(file)-1], 3},
		"cut after a line":   {bytes.Join(lines[:3], nil), 2},
		"a line twice":       {append(bytes.Clone(file), lines[1]...), 4},
		"a line too many":    {other(Entry{ID: "9", Stream: "live/x", Until: until}), 5},
		"no such entry":      {other(Entry{ID: "9", Until: until}), 4},
		"an ID like no ID":   {other(Entry{ID: "+9", Stream: "live/x", Until: until}), 4},
		"an ID beyond all":   {other(Entry{ID: "18446744073709551615", Stream: "live/x", Until: until}), 4},
		"a long line":        {append(bytes.Clone(file), bytes.Repeat([]byte{'x'}, 1<<20)...), 4},
		"another version":    {append(appendDenylistLine(nil, denylistHeader{2, 4, 4}), bytes.Join(lines[1:], nil)...), 4},
		"last ID beyond":     {append(appendDenylistLine(nil, denylistHeader{1, 1 << 60, 4}), bytes.Join(lines[1:], nil)...), 4},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseDenylist(test.file)
			if err == nil || len(got.Entries) != test.want {
				t.Errorf("%d entries were read, %v; want %d and an error", len(got.Entries), err, test.want)
			}
			if got.LastID > maxEntryID {
				t.Errorf("the last ID is %d", got.LastID)
			}
			if err != nil && strings.Contains(err.Error(), "ticket") {
				t.Errorf("the error says what was read: %v", err)
			}
		})
	}
}

func TestARestoredDenylistIsInForceAndItsIDsGoOn(t *testing.T) {
	saved := denied(t)
	now := at(jwtNow + 90*60) // the first entry is over
	g := NewGate(GateConfig{Publish: Open{}, Play: Open{}, Now: now.now})
	g.RestoreDenylist(saved)
	if got := g.Denylist(); !reflect.DeepEqual(got, saved.Entries[1:]) {
		t.Errorf("in force are %+v", got)
	}
	expect(t, g, asking(Play, "live/test", ""), Revoked)
	e, _, err := g.Deny(Entry{Token: "new"}, time.Hour)
	if want := fmt.Sprint(now.t.UnixMilli() + 1); err != nil || e.ID != want {
		t.Errorf("the next ID is %s, %v; want %s", e.ID, err, want)
	}
	if !g.Allow(saved.Entries[3].ID) || g.Allow(saved.Entries[0].ID) {
		t.Error("IDs do not mean what they meant")
	}

	saved.LastID = uint64(now.t.UnixMilli()) + 1_000_000 // the clock was set back
	g = NewGate(GateConfig{Now: now.now})
	g.RestoreDenylist(saved)
	if e, _, err := g.Deny(Entry{Token: "new"}, time.Hour); err != nil || e.ID != fmt.Sprint(saved.LastID+1) {
		t.Errorf("the next ID is %s, %v; want %d", e.ID, err, saved.LastID+1)
	}
}

func FuzzDenylistFile(f *testing.F) {
	file := AppendDenylist(nil, denied(f))
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add(AppendDenylist(nil, Denylist{}))
	f.Add(appendDenylistLine(bytes.Clone(file), Entry{ID: "+9", Stream: "live/x"}))
	f.Add(appendDenylistLine(nil, denylistHeader{denylistVersion, 1 << 60, -1}))
	f.Add([]byte("00000000 {}\n\n00000000 "))
	f.Fuzz(func(t *testing.T, file []byte) {
		l, err := ParseDenylist(file)
		if len(l.Entries) > maxEntries || l.LastID > maxEntryID {
			t.Fatalf("%d entries, last ID %d", len(l.Entries), l.LastID)
		}
		for _, e := range l.Entries {
			if !e.valid() {
				t.Fatalf("%+v", e)
			}
		}
		again, second := ParseDenylist(AppendDenylist(nil, l))
		if second != nil || len(again.Entries) != len(l.Entries) || again.LastID != l.LastID {
			t.Fatalf("%+v, %v, is read again as %+v, %v", l, err, again, second)
		}
	})
}
