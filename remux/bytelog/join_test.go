package bytelog

import (
	"bytes"
	"testing"

	"github.com/headwater-live/headwater/remux"
)

// header is plain, but that who joins first is told of the tracks.
type header struct{ plain }

func (header) Join(dst []byte, j Join) []byte {
	if j.First {
		if j.Tracks.Audio {
			dst = append(dst, 'A')
		}
		if j.Tracks.Video {
			dst = append(dst, 'V')
		}
	}
	return plain{}.Join(dst, j)
}

func sound(dts int64) *remux.Packet {
	return &remux.Packet{Kind: remux.AudioFrame, DTS: dts, Payload: []byte{byte(dts)}}
}

func audioConfig(b byte) *remux.Packet {
	return &remux.Packet{Kind: remux.AudioConfig, Payload: []byte{b}}
}

// held is how many bytes of memory a log holds for those who will join.
func (l *Log) held() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := l.joinAt.slab; s != nil; s = s.next.Load() {
		n += len(s.buf)
	}
	return n
}

func TestWhereKeyframesCeaseALogHoldsNoMoreThanAGOP(t *testing.T) {
	for name, size := range map[string]int{"large pictures": 200_000, "many pictures": 100} {
		l := live(Options{})
		l.Write(config(7))
		l.Write(frame(0, true, size))
		written := size
		for dts := int64(1); written < 3*maxJoin && dts < 3*remux.MaxGOPPackets; dts++ {
			l.Write(frame(dts, false, size))
			written += size
			if n := l.held(); n > maxJoin+2*maxSlab {
				t.Fatalf("%s: after picture %d it holds %d bytes", name, dts, n)
			}
		}
		end := l.State().End
		for _, known := range []uint64{0, 1} {
			prologue, at, _ := l.Join(nil, known)
			if at.Offset() != end || !bytes.Equal(prologue, []byte{7}) {
				t.Errorf("%s: who joins begins %d bytes before the end, after % x", name, end-at.Offset(), prologue)
			}
		}
		l.Write(frame(77, true, 5))
		l.Write(frame(78, false, 5))
		if _, at, _ := l.Join(nil, 0); !bytes.Equal(at.Next(), []byte{77, 77, 77, 77, 77, 78, 78, 78, 78, 78}) {
			t.Errorf("%s: after a keyframe who joins begins with % x", name, at.Next())
		}
	}
}

func TestWhereKeyframesCeaseASlowViewerGoesOnAtTheEnd(t *testing.T) {
	l := live(Options{})
	l.Write(frame(0, true, 10))
	c := client{block: make(chan struct{}), entered: make(chan struct{}, 100)}
	v := c.viewer(l, 1000)
	done := make(chan error)
	go func() { done <- v.Run(t.Context()) }()
	<-c.entered
	for dts := range int64(maxJoin/200_000 + 2) {
		l.Write(frame(dts+1, false, 200_000))
	}
	l.Close()
	close(c.block)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if v.Metrics.Jumps.Load() != 1 || len(c.units) != 10 {
		t.Errorf("%d jumps, and it was sent %d bytes", v.Metrics.Jumps.Load(), len(c.units))
	}
}

func TestATrackThatComesLateCountsForWhoJoins(t *testing.T) {
	l := New(header{}, Options{})
	l.Begin(remux.Tracks{Audio: true})
	l.Write(audioConfig('a'))
	l.Write(sound(1))
	l.Write(config('v'))
	l.Write(frame(2_000, true, 1))
	for dts := int64(2_001); dts < 6_000; dts += 500 {
		l.Write(frame(dts, false, 1))
		l.Write(sound(dts))
	}
	prologue, at, _ := l.Join(nil, 0)
	if string(prologue) != "AVva" {
		t.Errorf("who joins is sent %q", prologue)
	}
	if units := at.Next(); len(units) != 17 || units[0] != frame(2_000, true, 1).Payload[0] {
		t.Errorf("who joins begins with % x, not with the keyframe", units)
	}

	l = New(header{}, Options{})
	l.Begin(remux.Tracks{Video: true})
	l.Write(frame(0, true, 1))
	l.Write(audioConfig('a'))
	if prologue, _, _ := l.Join(nil, 0); string(prologue) != "AVa" {
		t.Errorf("after late sound who joins is sent %q", prologue)
	}
}

func TestWhoJoinsIsSentNoConfigurationThatThisPublicationHasNot(t *testing.T) {
	l := New(header{}, Options{})
	l.Begin(remux.Tracks{Video: true, Audio: true})
	l.Write(&remux.Packet{Kind: remux.Metadata, Payload: []byte{'m'}})
	l.Write(config('v'))
	l.Write(audioConfig('a'))
	l.Write(frame(0, true, 1))
	prologue, stays, known := l.Join(nil, 0)
	if string(prologue) != "AVmva" {
		t.Fatalf("who joins is sent %q", prologue)
	}
	l.End()
	l.Begin(remux.Tracks{Video: true})
	l.Write(config('v'))
	l.Write(frame(9, true, 1))
	if units := stays.Next(); !bytes.Equal(units, []byte{0, 9}) {
		t.Errorf("who stayed is sent % x: the unchanged configuration again?", units)
	}
	prologue, at, _ := l.Join(nil, 0)
	if string(prologue) != "Vv" {
		t.Errorf("in the next publication who joins is sent %q", prologue)
	}
	if again, _, _ := l.Join(nil, known); len(again) != 0 {
		t.Errorf("who jumps is sent %q, which it has", again)
	}
	// Who was not sent the first publication's must get it from the log.
	l.Write(audioConfig('a'))
	l.Write(sound(10))
	if units := at.Next(); !bytes.Equal(units, []byte{9, 'a', 10}) {
		t.Errorf("then it is sent % x", units)
	}
	if prologue, _, _ := l.Join(nil, 0); string(prologue) != "AVva" {
		t.Errorf("then who joins is sent %q", prologue)
	}
}

func TestTheFirstViewerOfAGOPThatWasNotKeptBeginsWithSound(t *testing.T) {
	l := New(header{}, Options{})
	l.Begin(remux.Tracks{Video: true, Audio: true})
	_, at, _ := l.Join(nil, 0)
	for dts := int64(1); dts < 10; dts += 2 {
		l.Write(frame(dts, false, 1))
		l.Write(sound(dts + 1))
	}
	if _, join, _ := l.Join(nil, 0); !bytes.Equal(join.Next(), []byte{2, 4, 6, 8, 10}) {
		t.Errorf("who joins then begins with % x", join.Next())
	}
	l.Write(frame(11, true, 1))
	l.Write(frame(13, false, 1))
	if units := at.Next(); !bytes.Equal(units, []byte{2, 4, 6, 8, 10, 11, 13}) {
		t.Errorf("it is sent % x", units)
	}
}
