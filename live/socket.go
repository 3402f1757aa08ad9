package live

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/live/websocket"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// maxEarly is how much a client may have sent before the handshake was answered.
const maxEarly = 512

// socketOutput writes binary messages: WebSocket. A goroutine of its own reads what the client
// sends, and answers between two messages.
type socketOutput struct {
	conn   *bytelog.Conn
	reader *websocket.Reader
	viewer *bytelog.Viewer
	read   chan struct{} // closed when reading has ended
	// flooded counts those who were closed for sending too much.
	flooded *atomic.Uint64

	// writing guards conn, and within it mu what is below. Who holds mu never waits.
	writing sync.Mutex
	header  [websocket.MaxHeader]byte

	// said: there is a control frame, or the last one was a close. It spares each message the mutex.
	said atomic.Bool

	mu      sync.Mutex
	control []byte // control frames for between two messages: the newest pong, a close
	closing bool   // a close frame is the last that we send
}

func newSocketOutput(conn *bytelog.Conn, early []byte, flooded *atomic.Uint64) *socketOutput {
	// early is let pass: it is bounded, too.
	return &socketOutput{conn: conn, reader: websocket.NewReader(&listened{in: conn}, early), read: make(chan struct{}), flooded: flooded}
}

func (o *socketOutput) start(v *bytelog.Viewer) {
	o.viewer = v
	go o.listen()
}

// Begin implements bytelog.Output.
func (o *socketOutput) Begin(b []byte, _ bool) {
	o.writing.Lock()
	defer o.writing.Unlock()
	closing := o.putControl()
	if len(b) == 0 || closing {
		return
	}
	o.conn.Put(websocket.AppendHeader(o.header[:0], websocket.Binary, len(b)), b)
}

// Step implements bytelog.Output.
func (o *socketOutput) Step(wait bool) (n int, done bool, err error) {
	o.writing.Lock()
	defer o.writing.Unlock()
	n, done, err = o.conn.Step(wait)
	if done && err == nil {
		o.putControl() // it came meanwhile
		done = o.conn.Idle()
	}
	return n, done, err
}

// Sweepable implements bytelog.Output.
func (o *socketOutput) Sweepable() bool { return o.conn.Sweepable() }

// putControl puts the control frames that wait behind what is being written, which is whole
// messages. It reports whether the last one is a close.
func (o *socketOutput) putControl() (closing bool) {
	if !o.said.Load() {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conn.Put(o.control)
	o.control = nil
	o.said.Store(o.closing)
	return o.closing
}

// say has a control frame sent: at once if nothing is being written, else after that. It waits while others do
// for the peer, a step at a time; whoever does not wait may wait for it, which does not either.
func (o *socketOutput) say(frame []byte, closing bool) {
	o.mu.Lock()
	if !o.closing {
		// Of several pings only the last must be answered (5.5.3).
		o.control, o.closing = frame, closing
		o.said.Store(true)
	}
	o.mu.Unlock()
	o.writing.Lock()
	defer o.writing.Unlock()
	if o.conn.Idle() {
		o.putControl()
		// What does not go now goes before the next message, and an error shows there.
		_, _, _ = o.conn.Step(false)
	}
}

// listen answers what the client sends, until it ends or breaks the protocol.
func (o *socketOutput) listen() {
	defer close(o.read)
	defer o.viewer.Stop()
	for {
		op, payload, code, err := o.reader.Next()
		var breach *websocket.Error
		switch {
		case errors.As(err, &breach):
			if breach.Code == websocket.ClosePolicy {
				o.flooded.Add(1)
			}
			o.say(websocket.AppendClose(nil, breach.Code), true)
			return
		case err != nil:
			return
		case op == websocket.Close:
			o.say(websocket.AppendClose(nil, code), true)
			return
		}
		o.say(websocket.AppendPong(nil, payload), false)
	}
}

// finish says goodbye, waits for the answer, and closes the connection.
func (o *socketOutput) finish(ended bool) {
	limit := closeTime
	if ended {
		limit = lastTime
		o.say(websocket.AppendClose(nil, websocket.CloseNormal), true)
	}
	o.Begin(nil, false)
	o.writing.Lock()
	_ = o.conn.Flush(limit) // the client has gone: nothing is left to do
	o.writing.Unlock()
	if ended {
		o.awaitClose()
	}
	_ = o.conn.Close()
	<-o.read
}

// awaitClose gives the client the time to say goodbye as well.
func (o *socketOutput) awaitClose() {
	select {
	case <-o.read:
	case <-time.After(closeTime):
	}
}
