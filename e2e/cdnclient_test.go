package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU returns the processor time that a process has used, in user and kernel, to some microseconds: utime and
// stime of /proc count in hundredths of a second.
func processCPU(b *testing.B, pid int) time.Duration {
	b.Helper()
	const scheduled = 2 // CPUCLOCK_SCHED: see clock_getcpuclockid(3)
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		b.Fatalf("processor time of process %d: %v", pid, err)
	}
	return time.Duration(t.Nano())
}

// contender is a server that is measured, in a process of its own.
type contender struct {
	name string
	pid  int
	addr string
	path string

	conns []*benchConn
	// costs has what each round took, in microseconds of its processor for each request; sent how many
	// bytes an answer had.
	costs []float64
	sent  int64
}

// benchConn is a kept connection, and the cheapest client there is: the machine is shared
// with what is measured.
type benchConn struct {
	conn net.Conn
	r    *bufio.Reader
}

// connect opens the connections.
func (c *contender) connect(b *testing.B, n int) {
	b.Helper()
	for range n {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		c.conns = append(c.conns, &benchConn{conn, bufio.NewReaderSize(conn, 256<<10)})
	}
}

// batch sends requests, the same number on each connection, and returns what the server's process took for one of them,
// in microseconds.
func (c *contender) batch(b *testing.B, each int) float64 {
	b.Helper()
	request := []byte("GET " + c.path + " HTTP/1.1\r\nHost: " + c.addr + "\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n")
	before := processCPU(b, c.pid)
	var wg sync.WaitGroup
	sizes := make([]int64, len(c.conns))
	errs := make([]error, len(c.conns))
	for i, conn := range c.conns {
		wg.Go(func() {
			for range each {
				if sizes[i], errs[i] = conn.get(request); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	took := processCPU(b, c.pid) - before
	for i, err := range errs {
		if err != nil {
			b.Fatalf("%s: %v", c.name, err)
		}
		if sizes[i] != sizes[0] {
			b.Fatalf("%s: answers of %d and %d bytes", c.name, sizes[0], sizes[i])
		}
	}
	c.sent = sizes[0]
	return float64(took) / float64(time.Microsecond) / float64(each*len(c.conns))
}

// comparedRounds is how many rounds a comparison has: the median of so many does not mind what else the machine does.
const comparedRounds = 20

// compare has contenders answer the same requests, so many on each connection and round, in an order that is another one
// in each round. It reports the median of what each took, and of how that compares with the nginx of the same round.
func compare(b *testing.B, each int, unit string, all ...*contender) {
	b.Helper()
	for _, c := range all {
		c.connect(b, benchConnections)
		c.batch(b, each) // what is opened, read and grown once
	}
	for b.Loop() {
		for range comparedRounds {
			for _, i := range rand.Perm(len(all)) {
				all[i].costs = append(all[i].costs, all[i].batch(b, each))
			}
		}
	}
	reference := all[slices.IndexFunc(all, func(c *contender) bool { return c.name == "nginx" })]
	for _, c := range all {
		if c.sent != reference.sent {
			b.Errorf("%s answers with %d bytes, nginx with %d", c.name, c.sent, reference.sent)
		}
		b.ReportMetric(median(c.costs), c.name+"-"+unit)
		if c == reference {
			continue
		}
		ratios := make([]float64, len(c.costs))
		for i := range ratios {
			ratios[i] = c.costs[i] / reference.costs[i]
		}
		b.ReportMetric(median(ratios), c.name+"-x-nginx")
	}
	b.ReportMetric(0, "ns/op")
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return (sorted[len(sorted)/2] + sorted[(len(sorted)-1)/2]) / 2
}

// get sends a request and reads the answer, which must be whole and a 200.
func (c *benchConn) get(request []byte) (size int64, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	status, err := c.r.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("status line %q: %w", status, err)
	}
	length := int64(-1)
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(v)), 10, 64); err != nil {
				return 0, err
			}
		}
	}
	if length <= 0 {
		return 0, fmt.Errorf("an answer of %d bytes", length)
	}
	_, err = io.CopyN(io.Discard, c.r, length)
	return length, err
}
