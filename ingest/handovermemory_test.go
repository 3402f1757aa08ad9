package ingest

import (
	"runtime"
	"testing"
	"weak"
)

func TestAServerForgetsWhatItHasHandedOver(t *testing.T) {
	o, here := counted(t, nil)
	c := o.publish("")
	send(t, c, 0, 100)
	here.await(t, "live/test", 0)
	frozen := o.server.Freeze(0)
	if len(frozen) != 1 {
		t.Fatalf("%d were frozen", len(frozen))
	}
	state := weak.Make(&frozen[0].State[0])
	_ = frozen[0].Conn.Close()
	frozen = nil //nolint:wastedassign,ineffassign // it is not to be what keeps it
	runtime.GC()
	if state.Value() != nil {
		t.Error("the state is kept")
	}
	runtime.KeepAlive(o.server)
}
