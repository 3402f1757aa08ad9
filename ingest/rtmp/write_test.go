package rtmp

import (
	"io"
	"net"
	"testing"
	"time"
)

// waiter is a connection that notes when the reader of it waits for a writer.
type waiter struct {
	net.Conn
	waits chan struct{}
}

func (w waiter) Waits() { w.waits <- struct{}{} }

func TestTheConnectionIsToldWhenItsReaderWaitsForAWriter(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close() //nolint:errcheck // of a test
	nc := waiter{here, make(chan struct{})}
	var tr transport
	tr.init(nc, time.Minute)
	written := make(chan error)
	go func() { written <- tr.writeChunks([]byte("xyz")) }()
	if _, err := there.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() { tr.send([]byte("answer")); close(sent) }() // the peer has not taken all
	<-nc.waits
	if _, err := io.ReadFull(there, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	<-sent
	go func() { tr.send(nil); written <- tr.flush() }() // nobody writes: these do not wait
	if _, err := io.ReadFull(there, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}
