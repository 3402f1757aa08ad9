package systemd

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// A process that has handed over may have connections left, for which it asks the next one. Over one more socket, which
// nobody else can have, it sends that the ends of new connections:
//
//	LISTEN_RELAY=6     its descriptor
//
//	next       before
//	    ◀────── s, h   a connection (SCM_RIGHTS); those of kind s before the first e are announced
//	    ◀────── e      they were all that were to be there when everybody is served
//
// A process that does not know of this leaves them unanswered.
const relayVariable = "LISTEN_RELAY"

// Kinds of connections.
const (
	RelayAnnounced = 's'
	RelayOther     = 'h'
	relayEnd       = 'e'
)

// relayTime is how long sending a connection may take: the other process may be busy with reading journals.
const relayTime = 30 * time.Second

// relaySocket takes the variable: it returns nil where there is none.
func relaySocket() (*net.UnixConn, error) {
	number := os.Getenv(relayVariable)
	_ = os.Unsetenv(relayVariable) // fails for impossible names only
	if number == "" {
		return nil, nil
	}
	fd, err := strconv.Atoi(number)
	if err != nil || fd < firstSocket || fd > firstSocket+maxSockets+2 {
		return nil, errors.New(relayVariable + " is not a descriptor")
	}
	return unixConn(fd)
}

// Dial connects to the next process, by a connection of that kind.
func (n *Next) Dial(kind byte) (net.Conn, error) {
	conn, theirs, err := Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close() //nolint:errcheck // the next process has a duplicate
	if err := n.relay.SetWriteDeadline(time.Now().Add(relayTime)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := sendDescriptor(n.relay, []byte{kind}, theirs); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Announced says that all connections that are announced have been made.
func (n *Next) Announced() error {
	_, err := n.relay.Write([]byte{relayEnd})
	return err
}

// Leave ends what there is between the processes: no connection is made any more.
func (n *Next) Leave() { _, _ = n.conn.Close(), n.relay.Close() }

// Relays accepts the connections of the process before. It is a net.Listener.
type Relays struct {
	conn      *net.UnixConn
	announced chan int
	count     int // of those announced; -1 when that is over
	closing   sync.Once
}

// Relays returns the connections that the process before makes; nil if it makes none.
func (b *Before) Relays() *Relays {
	if b == nil || b.relay == nil {
		return nil
	}
	return &Relays{conn: b.relay, announced: make(chan int, 1)}
}

// Announced gives, once, how many connections were announced. Somebody has to Accept.
func (r *Relays) Announced() <-chan int { return r.announced }

// Accept implements net.Listener. It fails with net.ErrClosed when the other process has gone.
func (r *Relays) Accept() (net.Conn, error) {
	for {
		kind, conn, err := receiveFile(r.conn)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = net.ErrClosed
			}
			return nil, err
		}
		switch {
		case kind == relayEnd && r.count >= 0:
			r.announced <- r.count
			r.count = -1
		case kind == RelayAnnounced && r.count >= 0:
			r.count++
		}
		if conn != nil {
			return conn, nil
		}
	}
}

// Close implements net.Listener.
func (r *Relays) Close() error {
	var err error
	r.closing.Do(func() { err = r.conn.Close() })
	return err
}

// Addr implements net.Listener.
func (r *Relays) Addr() net.Addr { return r.conn.LocalAddr() }
