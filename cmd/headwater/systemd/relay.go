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
//	1   ──────▶        before it is prepared: it answers
//	    ◀────── s, h   a connection (SCM_RIGHTS); those of kind s before the first e are announced
//	    ◀────── e      they were all that were to be there when everybody is served
//	r   ──────▶        it has handed over itself, or one that came after it has
//
// A process that does not know of this says nothing, and is sent nothing.
const relayVariable = "LISTEN_RELAY"

// What the next process says.
const (
	relayOffer   = '1' // changed when another version could not make sense of what is asked
	relayRetired = 'r'
)

// Kinds of connections.
const (
	RelayAnnounced = 's'
	RelayOther     = 'h'
	relayEnd       = 'e'
)

// relayTime is how long sending a connection may take: the other process may be busy with reading journals. Where that
// was too short once, nothing more is sent.
const relayTime = 30 * time.Second

// retiredTime is how long it may take to say that this process has handed over: a byte, for a buffer that is empty.
const retiredTime = time.Second

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

// offerRelay says that this process answers.
func (b *Before) offerRelay() error {
	if b.relay == nil {
		return nil
	}
	_, err := b.relay.Write([]byte{relayOffer})
	return err
}

// heardRelayOffer notes whether the next process, which is prepared, answers.
func (n *Next) heardRelayOffer() {
	if n.relay == nil || n.relay.SetReadDeadline(time.Now().Add(greetingTime)) != nil {
		return
	}
	var b [1]byte
	got, _ := n.relay.Read(b[:]) // an end of it is an answer, too
	n.offered = got == 1 && b[0] == relayOffer && n.relay.SetReadDeadline(time.Time{}) == nil
	n.answers.Store(n.offered)
}

// errNoAnswer is why one cannot connect to a process that does not know how, or has not taken earlier connections.
var errNoAnswer = errors.New("the next process does not answer for viewers")

// Dial connects to the next process, by a connection of that kind. Once it has failed, it always does.
func (n *Next) Dial(kind byte) (net.Conn, error) {
	if !n.answers.Load() {
		return nil, errNoAnswer
	}
	conn, theirs, err := Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close() //nolint:errcheck // the next process has a duplicate
	err = n.relay.SetWriteDeadline(time.Now().Add(n.relayTime))
	if err == nil && !n.answers.Load() { // Silence did not see this deadline
		err = errNoAnswer
	}
	if err == nil {
		err = sendDescriptor(n.relay, []byte{kind}, theirs)
	}
	if err != nil {
		n.answers.Store(false)
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Silence has Dial fail from now on, also where it waits.
func (n *Next) Silence() {
	n.answers.Store(false)
	_ = n.relay.SetWriteDeadline(time.Now()) // it fails if there is nothing to wait for any more
}

// Announced says that all connections that are announced have been made.
func (n *Next) Announced() error {
	if !n.answers.Load() {
		return errNoAnswer
	}
	err := n.relay.SetWriteDeadline(time.Now().Add(n.relayTime))
	if err == nil {
		_, err = n.relay.Write([]byte{relayEnd})
	}
	if err != nil {
		n.answers.Store(false)
	}
	return err
}

// AwaitRetired waits until the next process, or one after it, has handed over once more. The error is io.EOF when the next
// process has gone, and others after Leave, or if that process does not say such things.
func (n *Next) AwaitRetired() error {
	if !n.offered {
		return errNoAnswer
	}
	var b [1]byte
	if _, err := n.relay.Read(b[:]); err != nil {
		return err
	}
	if b[0] != relayRetired {
		return errors.New("the next process says what is not known")
	}
	return nil
}

// Retired says that this process, or one after it, has handed over, if the one before is still there.
func (b *Before) Retired() {
	if b == nil || b.relay == nil || b.relay.SetWriteDeadline(time.Now().Add(retiredTime)) != nil {
		return
	}
	_, _ = b.relay.Write([]byte{relayRetired}) // otherwise it has gone
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
