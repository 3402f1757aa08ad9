package bytelog

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// timed is a format of which nothing is left but the times, except of metadata: eight bytes for each packet.
type timed struct{}

func (timed) Size(pkt *remux.Packet) int {
	if pkt.Kind == remux.Metadata {
		return 0
	}
	return 8
}
func (timed) Append(dst []byte, pkt *remux.Packet, _ bool) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(pkt.DTS))
}
func (timed) Join(dst []byte, j Join) []byte {
	for range j.Configs {
		dst = binary.BigEndian.AppendUint64(dst, uint64(j.DTS))
	}
	return dst
}

// times reads a log's times from a position to its end.
func times(at Position) (all []int64) {
	for units := at.Next(); units != nil; units = at.Next() {
		at.Skip(len(units))
		for ; len(units) > 0; units = units[8:] {
			all = append(all, int64(binary.BigEndian.Uint64(units)))
		}
	}
	return all
}

// day is one in milliseconds, and signed how far a number of 32 bits with a sign goes.
const (
	day    = 24 * 60 * 60 * 1_000
	signed = 1<<31 - 1
)

func TestALogThatBeginsLateHasATimeOfItsOwn(t *testing.T) {
	for _, c := range []struct {
		name        string
		max, begins int64
		first       int64 // as viewers see it
	}{
		{"early", signed, 5 * day, 5 * day},
		{"late", signed, 20 * day, lead},
		{"past what can be said", signed, 30 * day, lead},
		{"past 32 bits", signed, 60 * day, lead},
		{"without a bound", 0, 60 * day, 60 * day},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := New(timed{}, Options{MaxTime: c.max})
			defer l.Close()
			l.Begin(remux.Tracks{Video: true, Audio: true})
			// As the log is shown what was there before it: a configuration may be old.
			old := config(1)
			l.Write(old)
			begin := Position{slab: l.tail}
			l.Write(frame(c.begins, true, 1))
			l.Write(&remux.Packet{Kind: remux.AudioFrame, DTS: c.begins - 9_000, Payload: []byte{1}})
			l.Write(frame(c.begins+40, false, 1))
			got := times(begin)
			want := []int64{0, c.first, c.first - 9_000, c.first + 40}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("the times are %d, want %d", got, want)
					break
				}
			}
			prologue, _, _ := l.Join(nil, 0)
			if at := int64(binary.BigEndian.Uint64(prologue)); at != c.first {
				t.Errorf("who joins is sent the configuration at %d, want %d", at, c.first)
			}
		})
	}
}

// Before the first frame a log is shown configurations of any age, and who joins asks for the time.
func TestTheTimeOfALateLogDoesNotGoBackAtItsFirstFrame(t *testing.T) {
	for _, configured := range []int64{0, lead, 6 * day, 12 * day, 15 * day} {
		for _, begins := range []int64{13 * day, 20 * day, 60 * day} {
			l := New(timed{}, Options{MaxTime: signed})
			l.Begin(remux.Tracks{Video: true, Audio: true})
			begin := Position{slab: l.tail}
			old, next := config(1), audioConfig(2)
			old.DTS, next.DTS = min(configured, begins), begins
			l.Write(old)
			l.Write(next)
			prologue, _, _ := l.Join(nil, 0)
			l.Write(frame(begins, true, 1))
			l.Write(&remux.Packet{Kind: remux.AudioFrame, DTS: begins - lead, Payload: []byte{1}})
			got := times(begin)
			latest := max(got[0], int64(binary.BigEndian.Uint64(prologue)))
			if got[1] < got[0] || got[2] < got[1] || got[2] < latest || got[3] < latest-lead {
				t.Errorf("configured at %d, begun at %d, the times are %d", configured, begins, got)
			}
			if got[2] > signed-maxComposition-lastDay {
				t.Errorf("configured at %d, begun at %d, it begins at its clock's end, %d", configured, begins, got[2])
			}
			l.Close()
		}
	}
}

// A log ends before its clock does, at a place where viewers may begin as long as there is one.
func TestALogEndsBeforeItsClock(t *testing.T) {
	for _, c := range []struct {
		name      string
		keyframes bool // there are any after the first
		ends      int64
	}{
		{"at a keyframe", true, signed - maxComposition - lastDay},
		{"anywhere", false, signed - maxComposition},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := New(timed{}, Options{MaxTime: signed})
			l.Begin(remux.Tracks{Video: true})
			begin := Position{slab: l.tail}
			const step = 10_000
			at := int64(0)
			for ; !l.State().Closed && at < 40*day; at += step {
				l.Write(frame(at, at == 0 || c.keyframes && at%(6*step) == 0, 1))
			}
			last := at - 2*step // the one that came to the end is not in the log
			if !l.isRetired() || last < c.ends-6*step || last > c.ends+6*step {
				t.Fatalf("retired: %t, the last frame is at %d, want about %d", l.isRetired(), last, c.ends)
			}
			if c.keyframes && (last+step)%(6*step) != 0 {
				t.Errorf("it ended before a frame at %d, which is no keyframe", last+step)
			}
			got := times(begin)
			if n := int64(len(got)); n != last/step+1 || got[n-1] != last {
				t.Errorf("%d frames until %d, want %d until %d", n, got[n-1], last/step+1, last)
			}
			// The stream goes on, and does not know.
			l.Write(frame(at, true, 1))
			l.End()
			l.Begin(remux.Tracks{Video: true})
			if again := times(begin); len(again) != len(got) {
				t.Errorf("%d frames were added to a log that had ended", len(again)-len(got))
			}
		})
	}
}

// Who watches a log to the end of its clock, and asks again, misses nothing and gets nothing twice.
func TestAStreamGoesOnInAnotherLog(t *testing.T) {
	hub := remux.NewHub(remux.Config{Grace: time.Minute})
	defer hub.Close()
	pub, err := hub.Publish("live/test", remux.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	logs := Logs[int]{Make: func(int) *Log {
		made++
		return New(timed{}, Options{MaxTime: signed})
	}}
	stream := hub.Stream("live/test")
	first, leaveFirst := logs.Watch(stream, 0)
	const step = 10_000
	sent := uint32(0)
	write := func() {
		if err := pub.Write(remux.Message{Type: 8, Timestamp: sent * step, Payload: []byte{0x2f, 1, 2}}); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	seen := 0
	at := Position{slab: first.tail}
	for !first.State().Closed {
		write()
	}
	seen += len(times(at))
	second, leave := logs.Watch(stream, 0)
	if second == first || made != 2 {
		t.Fatalf("%d logs, the same one: %t", made, second == first)
	}
	leaveFirst()
	if same, leaveSame := logs.Watch(stream, 0); same != second {
		t.Error("the last viewer of the log that ended took the other one along")
	} else {
		leaveSame()
	}
	_, at, _ = second.Join(nil, 0)
	for range 1_000 {
		write()
	}
	got := times(at)
	if seen += len(got); seen != int(sent) {
		t.Errorf("%d frames of %d were seen", seen, sent)
	}
	if got[0] != lead || got[len(got)-1] != lead+1_000*step {
		t.Errorf("the times go from %d to %d", got[0], got[len(got)-1])
	}
	leave()
}
