package hlscheck

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// spoiled is a way to break one rule.
type spoiled struct {
	rule  string
	name  string // what is done, when the rule has several cases
	also  string // rules that must break with it, separated by spaces
	world func() *world
	spoil func(w *world)
}

func both() *world      { return newWorld(true, true) }
func audioOnly() *world { return newWorld(false, true) }

// runSpoiled checks that each case breaks exactly the rules it names.
func runSpoiled(t *testing.T, cases []spoiled) {
	for _, c := range cases {
		t.Run(strings.TrimSpace(c.rule+" "+c.name), func(t *testing.T) {
			if c.world == nil {
				c.world = both
			}
			w := c.world()
			c.spoil(w)
			report := CheckSegments(w.history(), Options{})
			want := map[string]bool{c.rule: true}
			for _, rule := range strings.Fields(c.also) {
				want[rule] = true
			}
			for _, rule := range report.Rules() {
				if !want[rule] {
					t.Errorf("%s is reported too", rule)
				}
				delete(want, rule)
			}
			for rule := range want {
				t.Errorf("%s is not reported", rule)
			}
			if t.Failed() {
				t.Logf("\n%s", report)
			}
		})
	}
}

// find returns the index of the first PES packet of a PID in a segment.
func (w *world) find(segment int, pid uint16) int {
	for i, p := range w.segments[segment].pes {
		if p.pid == pid {
			return i
		}
	}
	return -1
}

// text replaces in one version of the media playlist, which must hold the text.
func (w *world) edit(version int, old, with string) {
	w.spoil = append(w.spoil, func(h *History) {
		replace(&h.Media[version], old, with)
	})
}

// editAll replaces in every version that holds the text.
func (w *world) editAll(old, with string) {
	w.spoil = append(w.spoil, func(h *History) {
		for i := range h.Media {
			if bytes.Contains(h.Media[i].Body, []byte(old)) {
				replace(&h.Media[i], old, with)
			}
		}
	})
}

func (w *world) editMultivariant(old, with string) {
	w.spoil = append(w.spoil, func(h *History) { replace(&h.Multivariant[0], old, with) })
}

func replace(v *Version, old, with string) {
	if !bytes.Contains(v.Body, []byte(old)) {
		panic("the playlist does not hold " + old + ":\n" + string(v.Body))
	}
	setBody(v, strings.ReplaceAll(string(v.Body), old, with))
}

// packets gives a segment's transport packets to edit.
func (w *world) packets(segment int, edit func(packets [][]byte) [][]byte) {
	w.spoil = append(w.spoil, func(h *History) {
		url := worldSegmentURL(w.entries[segment].uri)
		body := h.Segments[url]
		var packets [][]byte
		for i := 0; i < len(body); i += packetSize {
			packets = append(packets, body[i:i+packetSize])
		}
		h.Segments[url] = bytes.Join(edit(packets), nil)
	})
}

// packet gives the nth packet of a PID to edit.
func (w *world) packet(segment int, pid uint16, n int, edit func(b []byte)) {
	w.packets(segment, func(packets [][]byte) [][]byte {
		for _, b := range packets {
			if binary.BigEndian.Uint16(b[1:])&0x1fff == pid {
				if n--; n < 0 {
					edit(b)
					return packets
				}
			}
		}
		panic("no such packet")
	})
}

// pesHeader gives the PES header in the first packet of a PID to edit.
func (w *world) pesHeader(segment int, pid uint16, edit func(b []byte)) {
	w.packet(segment, pid, 0, func(b []byte) {
		at := 4
		if b[3]&0x20 != 0 {
			at += 1 + int(b[4])
		}
		edit(b[at:])
	})
}
