package bytelog

import (
	"testing"

	"github.com/headwater-live/headwater/remux"
)

// recovery is a frame with a recovery point.
func recovery(dts int64, size int) *remux.Packet {
	pkt := frame(dts, false, size)
	pkt.Recovery = true
	return pkt
}

// firstByte is that of the units from where somebody joins or continues, which is a frame's time.
func (l *Log) firstByte(t *testing.T, known uint64) byte {
	t.Helper()
	_, at, _ := l.Join(nil, known)
	units := at.Next()
	if units == nil {
		t.Fatal("there is nothing where one joins")
	}
	return units[0]
}

func TestARecoveryPointServesWhereTheKeyframeIsTooFarBack(t *testing.T) {
	l := live(Options{})
	l.Write(config(7))
	l.Write(frame(1, true, 10))
	l.Write(recovery(2, 10))
	l.Write(frame(3, false, 10))
	if got := l.firstByte(t, 0); got != 1 {
		t.Errorf("while the keyframe is near who joins begins with frame %d", got)
	}
	for range maxJoin/200_000 + 2 {
		l.Write(frame(4, false, 200_000))
	}
	for n := byte(5); n < 200; n += 3 {
		l.Write(recovery(int64(n), 10))
		l.Write(frame(int64(n+1), false, 10))
		for _, known := range []uint64{0, 1} {
			if got := l.firstByte(t, known); got != n {
				t.Fatalf("who joins begins with frame %d, not at the recovery point, %d", got, n)
			}
		}
		l.Write(frame(int64(n+2), false, 100_000))
	}
	l.Write(frame(201, true, 10))
	l.Write(recovery(202, 10))
	if got := l.firstByte(t, 0); got != 201 {
		t.Errorf("after a keyframe who joins begins with frame %d", got)
	}
	for range remux.MaxGOPPackets {
		l.Write(frame(203, false, 1))
	}
	l.End()
	l.Begin(remux.Tracks{Video: true})
	l.Write(frame(204, true, 10))
	l.Write(recovery(205, 10))
	if got := l.firstByte(t, 0); got != 204 {
		t.Errorf("in the next publication who joins begins with frame %d", got)
	}
}

func TestTheFirstViewerOfAGOPThatWasNotKeptBeginsAtARecoveryPoint(t *testing.T) {
	l := live(Options{})
	l.Write(frame(1, false, 10))
	if _, at, _ := l.Join(nil, 0); at.Next() != nil {
		t.Error("it is sent what nobody can begin with")
	}
	l.Write(recovery(2, 10))
	l.Write(frame(3, false, 10))
	if got := l.firstByte(t, 0); got != 2 {
		t.Errorf("it begins with frame %d", got)
	}
	l.Write(recovery(4, 10))
	if got := l.firstByte(t, 0); got != 4 {
		t.Errorf("then who joins begins with frame %d", got)
	}
}
