package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// attack is what hostile connections send, all at once.
type attack struct {
	name  string
	conns int
	sends []byte
	// reason is what every connection is to be counted as in the API; "" for any.
	reason string
	// authorised: they publish before they attack, so they may hold more.
	authorised bool
}

// hostileMemory is how much a connection may cost before it is authorised.
const hostileMemory = 1 << 20

// TestHostileConnectionsHarmNobody has strangers attack the RTMP port while a stream is live.
func TestHostileConnectionsHarmNobody(t *testing.T) {
	s := startServer(t, "--stream.grace", "1s", "--rtmp.request_timeout", "2s", "--rtmp.max_connections_per_ip", "5000")
	live := startLive(t, s, "beside")
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			before := s.refusals(t)
			rounds := live.undisturbed(t, func() { a.run(t, s) })
			s.alive(t)
			after := s.refusals(t)
			if n := after[a.reason] - before[a.reason]; n != a.conns*rounds {
				t.Errorf("%d connections counted as %q, %d were made; all: %v", n, a.reason, a.conns*rounds, after)
			}
		})
	}
	t.Run("2,000 connects and closes", func(t *testing.T) {
		before := s.descriptors(t)
		live.undisturbed(t, func() { connectAndClose(t, s, 2000) })
		s.alive(t)
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if n := s.descriptors(t); n <= before+5 {
				break
			} else if time.Now().After(end) {
				t.Fatalf("%d descriptors are open, %d were before", n, before)
			}
		}
	})
	live.finish(t)
}

// maxAdded is how much later frames may arrive because of an attack.
const maxAdded = 100 * time.Millisecond

// undisturbed runs an attack and fails the test if the live stream comes later than just
// before. Something else on this machine may be the cause: then it looks again. It returns how
// often the attack has run.
func (l *liveStream) undisturbed(t *testing.T, run func()) int {
	t.Helper()
	const rounds, window = 3, time.Second
	for round := 1; ; round++ {
		time.Sleep(window) // what is measured is how late frames are without an attack
		began := time.Now()
		run()
		time.Sleep(time.Until(began.Add(window)))
		calm, err := l.delaysBetween(began.Add(-window), began)
		if err != nil {
			t.Fatalf("before the attack: %v", err)
		}
		hit, err := l.delaysBetween(began, time.Now())
		if err != nil {
			t.Fatalf("during the attack: %v", err)
		}
		t.Logf("delay before: %v; during: %v", calm, hit)
		if t.Failed() || hit.median-calm.median < maxAdded && hit.p95-calm.p95 < maxAdded {
			return round
		}
		if round == rounds {
			t.Errorf("frames are late during the attack: %v; before: %v", hit, calm)
			return round
		}
	}
}

// run runs the attack, which the server must end, at a bounded price.
func (a attack) run(t *testing.T, s *server) {
	const within = 10 * time.Second // of the handshake, which takes no time
	before := s.memory(t, "VmRSS")
	s.forgetPeak(t)
	var all sync.WaitGroup
	for range a.conns {
		all.Go(func() {
			deadline := time.Now().Add(within)
			c, err := s.dialRTMP(t.Context())
			if err != nil {
				t.Errorf("dial: %v", err)
				return
			}
			defer func() { _ = c.Close() }()
			var writing sync.WaitGroup
			writing.Go(func() { _, _ = c.Write(a.sends) }) // the server need not take all
			if err := closedBy(c, deadline); err != nil {
				t.Errorf("%v after it began, the connection is %v", within, err)
			}
			_ = c.Close()
			writing.Wait()
		})
	}
	all.Wait()
	cost := (s.memory(t, "VmHWM") - before) / a.conns
	t.Logf("%d KiB for each of %d connections", cost>>10, a.conns)
	if cost > hostileMemory && !a.authorised {
		t.Errorf("a connection that nobody knows costs %d KiB", cost>>10)
	}
}

// connectAndClose comes and goes, in each of the ways in which a peer can.
func connectAndClose(t *testing.T, s *server, times int) {
	t.Helper()
	var some sync.WaitGroup
	next := make(chan int)
	for range 20 {
		some.Go(func() {
			for i := range next {
				c, err := s.dialRTMP(t.Context())
				if err != nil {
					t.Errorf("dial: %v", err)
					continue
				}
				switch i % 4 {
				case 1:
					_, _ = c.Write(hello[:1])
				case 2:
					_, _ = c.Write(connected())
				case 3:
					_ = c.SetLinger(0) // close with a reset
				}
				_ = c.Close()
			}
		})
	}
	for i := range times {
		next <- i
	}
	close(next)
	some.Wait()
}

// attacks returns what is tried.
func attacks() []attack {
	noise := rand.NewChaCha8([32]byte{'n'})
	garbage := make([]byte, 256<<10)
	_, _ = noise.Read(garbage)
	all := []attack{
		{name: "garbage", conns: 100, sends: append([]byte{0xff}, garbage...), reason: "not-rtmp"},
		{name: "garbage after a handshake", conns: 100, sends: append(bytes.Clone(hello), garbage...)},
		{name: "TLS on the RTMP port", conns: 100, sends: clientHello(), reason: "tls-on-rtmp-port"},
		{name: "HTTP on the RTMP port", conns: 100, sends: []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), reason: "http-on-rtmp-port"},
	}
	for _, size := range []uint32{0, 0x80000000, 0xffffffff} {
		all = append(all, attack{
			name: fmt.Sprintf("chunk size %#x", size), conns: 100, reason: "chunk-size",
			sends: append(bytes.Clone(hello), 2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, byte(size>>24), byte(size>>16), byte(size>>8), byte(size)),
		})
	}
	return append(append(all, amfAttacks()...), chunkAttacks()...)
}

// clientHello is what crypto/tls says first.
func clientHello() []byte {
	client, server := net.Pipe()
	go func() { _ = tls.Client(client, &tls.Config{ServerName: "localhost"}).Handshake() }()
	b := make([]byte, 4096)
	n, _ := server.Read(b)
	_ = client.Close() // so that the handshake fails
	return b[:n]
}

// amfAttacks are commands that lie. The connection may go on after them, to no avail: no
// request comes.
func amfAttacks() []attack {
	const repeats = 5
	strict := func(count uint32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{10}, count), rest...)
	}
	lies := func(name string, conns int, values ...[]byte) attack {
		sends := bytes.Clone(hello)
		for range repeats {
			for _, v := range values {
				sends = append(sends, rawCommand("connect", v)...)
			}
		}
		return attack{name: name, conns: conns, sends: sends, reason: "command-timeout"}
	}
	// | object | empty name | object | empty name | ...
	const objectLevel = "\x03\x00\x00"
	deep := bytes.Repeat([]byte(objectLevel), 5_000_000)
	tooLong := append(bytes.Clone(hello), chunkHeader(400, 20, len(deep))...)
	tooLong = append(tooLong, deep...)
	return []attack{
		lies("strict arrays of 2^31 elements", 100, strict(1<<31), strict(1<<31, 5, 5, 5), strict(0xffffffff, 10, 0x80, 0, 0, 0)),
		lies("strict arrays of 60,000 elements", 20, strict(60_000, bytes.Repeat([]byte{5}, 60_000)...)),
		lies("arrays of arrays of arrays", 50, bytes.Repeat(strict(1<<31), 12_000)),
		{name: "nesting of 5 million levels", conns: 20, sends: tooLong, reason: "message-too-large"},
		lies("nesting of 20,000 levels", 50, []byte(deep[:60_000])),
		lies("strings longer than their message", 100,
			[]byte{2, 0xff, 0xff, 'a'}, []byte{12, 0xff, 0xff, 0xff, 0xff, 'a'}, []byte{15, 0x7f, 0xff, 0xff, 0xff},
			[]byte{3, 0xff, 0xff, 'a'}, []byte{8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []byte{16, 0xff, 0xff}),
	}
}

// chunkAttacks open many messages.
func chunkAttacks() []attack {
	const declared = 16<<20 - 1
	open := func(head []byte, csids int, kind byte, length int, body string) []byte {
		b := bytes.Clone(head)
		for i := range csids {
			b = append(append(b, chunkHeader(uint32(400+i), kind, length)...), body...)
		}
		return b
	}
	part := string(bytes.Repeat([]byte{7}, 128))
	return []attack{
		{name: "10,000 chunk streams that declare 16 MB", conns: 50, sends: open(hello, 10_000, 9, declared, part), reason: "message-too-large"},
		{name: "10,000 chunk streams that declare 16 MB of what is not known", conns: 50,
			sends: open(hello, 10_000, 99, declared, part), reason: "too-many-partials"},
		{name: "10,000 chunk streams of a publisher that declare 8 MB", conns: 1, authorised: true,
			sends: open(publishing("hostile"), 10_000, 9, 8<<20, part), reason: "too-many-partials"},
		{name: "60,000 chunk streams", conns: 2, sends: open(hello, 60_000, 9, 1, "x"), reason: "command-timeout"},
		{name: "60,000 unfinished messages", conns: 50, sends: open(hello, 60_000, 9, 1000, part), reason: "too-many-partials"},
		{name: "as much as a connection may hold", conns: 200, sends: open(hello, 30, 9, 64<<10, part), reason: "command-timeout"},
	}
}

// TestHostilePeersAreNotWaitedForLong has peers that do next to nothing, with the times that a
// server without any configuration has.
func TestHostilePeersAreNotWaitedForLong(t *testing.T) {
	s := startServer(t, "--stream.grace", "1s")
	live := startLive(t, s, "beside")
	idlers := []idler{
		{name: "handshakes of a byte a second", conns: 200, sends: hello[:1], drips: true, within: 10 * time.Second, reason: "handshake-timeout"},
		{name: "connections that say nothing", conns: 50, within: 10 * time.Second, reason: "handshake-timeout"},
		{name: "connections that want nothing", conns: 50, sends: connected(), within: 10*time.Second + machineSlack, reason: "command-timeout"},
		{name: "half-open publishers", conns: 5, sends: publishing("half-open-%d"), within: 15*time.Second + machineSlack, reason: "peer-gone"},
		{name: "half-open players", conns: 20, sends: playing("beside"), within: 15*time.Second + machineSlack, reason: "peer-gone"},
		{name: "stalled players", conns: 50, sends: playing("beside"), within: 20 * time.Second, stalls: true},
	}
	run := func(t *testing.T) {
		var all sync.WaitGroup
		for _, i := range idlers {
			all.Go(func() { i.run(t, s) })
		}
		all.Wait()
	}
	before := s.refusals(t)
	rounds := live.undisturbed(t, func() { t.Run("all at once", run) })
	s.alive(t)
	after := s.refusals(t)
	want := map[string]int{}
	for _, i := range idlers {
		want[i.reason] += i.conns * rounds
	}
	delete(want, "")
	for reason, conns := range want {
		if n := after[reason] - before[reason]; n < conns {
			t.Errorf("%d connections counted as %q, %d were made; all: %v", n, reason, conns, after)
		}
	}
	live.finish(t)
}

// machineSlack is what a busy machine may add to the times that the server keeps.
const machineSlack = 2500 * time.Millisecond

// idler is a kind of connection that does next to nothing.
type idler struct {
	name   string
	conns  int
	sends  []byte
	drips  bool // sends another byte each second
	stalls bool // never reads
	within time.Duration
	reason string
}

func (i idler) run(t *testing.T, s *server) {
	if i.stalls {
		if err := i.stall(t.Context(), s); err != nil {
			t.Errorf("%s: %v", i.name, err)
		}
		return
	}
	var all sync.WaitGroup
	for n := range i.conns {
		all.Go(func() {
			if err := i.idle(t.Context(), s, n); err != nil {
				t.Errorf("%s: %v", i.name, err)
			}
		})
	}
	all.Wait()
}

// stall connects, asks, and never reads the answers.
func (i idler) stall(ctx context.Context, s *server) error {
	deadline := time.Now().Add(i.within)
	var conns []*net.TCPConn
	for range i.conns {
		c, err := s.dialRTMP(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Write(i.sends); err != nil {
			return err
		}
		conns = append(conns, c)
	}
	return unread(ctx, conns, deadline)
}

// idle returns an error if the connection lives too long.
func (i idler) idle(ctx context.Context, s *server, n int) error {
	deadline := time.Now().Add(i.within)
	c, err := s.dialRTMP(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	sends := bytes.ReplaceAll(i.sends, []byte("%d"), fmt.Appendf(nil, "%02d", n))
	if _, err := c.Write(sends); err != nil {
		return err
	}
	if i.drips {
		return drip(c, deadline)
	}
	return closedBy(c, deadline)
}

// drip sends a byte a second until the server closes.
func drip(c net.Conn, deadline time.Time) error {
	closed := make(chan error, 1)
	go func() { closed <- closedBy(c, deadline) }()
	for {
		select {
		case err := <-closed:
			return err
		case <-time.After(time.Second):
			_, _ = c.Write([]byte{0})
		}
	}
}
