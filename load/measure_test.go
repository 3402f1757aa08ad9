package load

import (
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"
)

func TestHistogramQuantilesAreCloseAndNeverTooLow(t *testing.T) {
	for _, unit := range []time.Duration{time.Microsecond, 37 * time.Microsecond, time.Millisecond, time.Second} {
		h := &histogram{}
		for i := range 1000 {
			h.add(time.Duration(i+1) * unit)
		}
		d := h.delays()
		for _, q := range []struct{ got, want float64 }{
			{d.P50, milliseconds(501 * unit)}, {d.P90, milliseconds(901 * unit)}, {d.P99, milliseconds(991 * unit)}, {d.Max, milliseconds(1000 * unit)},
		} {
			if q.got < q.want || q.got > q.want*(1+1.0/31) {
				t.Errorf("in units of %v: %g ms, want %g", unit, q.got, q.want)
			}
		}
	}
	h := &histogram{}
	h.add(-time.Second)
	h.add(1 << 62)
	if d := h.delays(); d.Count != 2 || d.P50 <= 0 || d.Max != milliseconds(1<<62) {
		t.Errorf("%+v", d)
	}
	if d := (&histogram{}).delays(); d != (Delays{}) {
		t.Errorf("nothing is %+v", d)
	}
}

func TestLoopbackHasManySourceAddresses(t *testing.T) {
	for _, test := range []struct {
		host string
		n    int
		want string
	}{
		{"127.0.0.1", 0, ""}, {"127.0.0.1", 1, "127.0.1.1"}, {"127.0.0.1", 250, "127.0.1.250"}, {"127.0.0.1", 251, ""},
		{"192.0.2.1", 1, ""}, {"::1", 1, ""},
	} {
		got, ok := sourceFor(netip.MustParseAddr(test.host), test.n)
		if ok != (test.want != "") || ok && got.String() != test.want {
			t.Errorf("%s, %d: %v %v", test.host, test.n, got, ok)
		}
	}
	if runtime.GOOS != "linux" {
		return // only there is the whole of 127/8 this machine
	}
	o := (&origin{}).start(t)
	n := &network{perAddress: 1}
	conn, err := n.dial(t.Context(), o.rtmp[len("rtmp://"):], 7)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	if got := netip.MustParseAddrPort(conn.LocalAddr().String()).Addr().String(); got != "127.0.1.7" {
		t.Errorf("connected from %s", got)
	}
}

func TestUsageIsThatOfTheProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		if _, err := UsageOf(os.Getpid()); err == nil {
			t.Error("an error was expected")
		}
		return
	}
	before, err := UsageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	held := make([]byte, 64<<20)
	for i := range held {
		held[i] = byte(i)
	}
	// Work until the kernel has noticed.
	for deadline := time.Now().Add(time.Minute); ; {
		after, err := UsageOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after.CPU >= before.CPU+50*time.Millisecond && after.RSS > before.RSS+32<<20 && after.PSS > 32<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v, and before %+v", after, before)
		}
	}
	runtime.KeepAlive(held)
	if _, err := UsageOf(1 << 30); err == nil {
		t.Error("a process that does not exist uses something")
	}
}
