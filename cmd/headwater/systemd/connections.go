package systemd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Connections that are in use go from a process to the next one over a socket of their own:
//
//	LISTEN_CONNECTIONS=6:1    its descriptor, and the format of what goes over it
//
//	next     before
//	format ──────▶            one byte, before it is prepared; nothing if it does not know the format
//	       ◀────── records    after go: | length of the state:32 | and a descriptor (SCM_RIGHTS), then the state
//	       ◀────── end        a length of 0, without a descriptor
//
// Where either of them does not know the other's format, connections end with their process.
const connectionsVariable = "LISTEN_CONNECTIONS"

// connectionsFormat is changed when another version could not make sense of the states.
const connectionsFormat = 1

const (
	// maxState bounds the state of a connection, in bytes. What makes states has a bound of its own, which is no higher.
	maxState = 64 << 20
	// maxConnections bounds how many come: more than a process may have open, usually.
	maxConnections = 1 << 20
	// recordHeader is how many bytes a record has before its state.
	recordHeader = 4
)

// Connection is an open connection, and what the next process has to know of it.
type Connection struct {
	net.Conn
	State []byte
}

// connectionsSocket reads the variable: it returns a descriptor, 0 where there is none of this format.
func connectionsSocket(value string) int {
	number, format, _ := strings.Cut(value, ":")
	fd, err := strconv.Atoi(number)
	if err != nil || format != strconv.Itoa(connectionsFormat) || fd < firstSocket || fd > firstSocket+maxSockets+1 {
		return 0
	}
	return fd
}

// offerConnections says that this process takes connections.
func (b *Before) offerConnections() error {
	if b.conns == nil {
		return nil
	}
	_, err := b.conns.Write([]byte{connectionsFormat})
	return err
}

// greetingTime is how long it may take until what was sent before another word is there.
const greetingTime = time.Second

// heardOffer notes whether the next process, which is prepared, takes connections.
func (n *Next) heardOffer() {
	if n.conns == nil || n.conns.SetReadDeadline(time.Now().Add(greetingTime)) != nil {
		return
	}
	var b [1]byte
	got, _ := n.conns.Read(b[:]) // an end of it is an answer, too
	n.takes = got == 1 && b[0] == connectionsFormat
}

// TakesConnections reports whether the next process, once it is prepared, can be sent connections.
func (n *Next) TakesConnections() bool { return n.takes }

// SendConnections sends connections, after Go. They stay open in this process. What one of them has that cannot be sent
// holds up no other: left says why some were left out.
func (n *Next) SendConnections(all []Connection, within time.Duration) (left []error, err error) {
	if err := n.conns.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return nil, fmt.Errorf("hand connections over: %w", err)
	}
	for _, c := range all {
		if err := n.sendConnection(c); errors.Is(err, errUnfit) {
			left = append(left, err)
		} else if err != nil {
			return left, fmt.Errorf("hand a connection over: %w", err)
		}
	}
	if _, err := n.conns.Write(make([]byte, recordHeader)); err != nil {
		return left, fmt.Errorf("hand connections over: %w", err)
	}
	return left, nil
}

// errUnfit is about one connection, and no other.
var errUnfit = errors.New("it cannot be handed over")

func (n *Next) sendConnection(c Connection) error {
	if len(c.State) == 0 || len(c.State) > maxState {
		return fmt.Errorf("%w: its state is too large, or empty", errUnfit)
	}
	header := binary.BigEndian.AppendUint32(nil, uint32(len(c.State)))
	if err := sendDescriptor(n.conns, header, c.Conn); err != nil {
		return err
	}
	_, err := n.conns.Write(c.State)
	return err
}

// Connections returns those that the process before hands over; it sends them once it has let go. With an error come
// those that can be used: all but those that it names, and but those behind what is no record.
func (b *Before) Connections(within time.Duration) ([]Connection, error) {
	if b == nil || b.conns == nil {
		return nil, nil
	}
	defer b.conns.Close() //nolint:errcheck // nothing more is written to it
	if err := b.conns.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, fmt.Errorf("take connections over: %w", err)
	}
	var all []Connection
	var unfit []error
	for {
		c, err := receiveConnection(b.conns)
		switch {
		case errors.Is(err, errUnfit) && len(unfit) < maxConnections:
			unfit = append(unfit, fmt.Errorf("take a connection over: %w", err))
			continue
		case err != nil:
			return all, errors.Join(append(unfit, fmt.Errorf("take connections over: %w", err))...)
		case c.Conn == nil:
			return all, errors.Join(unfit...)
		case len(all) >= maxConnections:
			return all, errors.Join(errors.New("take connections over: there are too many"), c.Close())
		}
		all = append(all, c)
	}
}
