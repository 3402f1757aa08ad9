package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// processCPU returns the processor time that a process has used, in user and kernel.
func processCPU(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	// The name, in parentheses, may have spaces. utime and stime are 14th and 15th.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100 on every Linux
}

// contender is a server that is measured, in a process of its own.
type contender struct {
	name string
	pid  int
	addr string
	path string

	cpu      time.Duration
	requests int64
	bytes    int64
	conns    []*benchConn
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

// batch sends requests, the same number on each connection, and counts what the server's
// process took for them.
func (c *contender) batch(b *testing.B, each int) {
	b.Helper()
	request := []byte("GET " + c.path + " HTTP/1.1\r\nHost: " + c.addr + "\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n")
	before := processCPU(b, c.pid)
	var wg sync.WaitGroup
	sizes := make([]int64, len(c.conns))
	errs := make([]error, len(c.conns))
	for i, conn := range c.conns {
		wg.Go(func() {
			for range each {
				n, err := conn.get(request)
				if err != nil {
					errs[i] = err
					return
				}
				sizes[i] += n
			}
		})
	}
	wg.Wait()
	c.cpu += processCPU(b, c.pid) - before
	c.requests += int64(each * len(c.conns))
	for i := range c.conns {
		if errs[i] != nil {
			b.Fatalf("%s: %v", c.name, errs[i])
		}
		c.bytes += sizes[i]
	}
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

func (c *contender) perRequest() float64 {
	return float64(c.cpu) / float64(time.Microsecond) / float64(c.requests)
}

func (c *contender) perGB() float64 { return c.cpu.Seconds() / (float64(c.bytes) / 1e9) }
