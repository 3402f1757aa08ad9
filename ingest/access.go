package ingest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// Request is a wish to publish or to play.
type Request struct {
	// Stream is what the peer calls it, which may be a secret when publishing.
	Stream remux.StreamName
	// Query is the raw query of the stream's URL. It is secret.
	Query  string
	Remote netip.AddrPort
	// Protocol is "rtmp" or "rtmps".
	Protocol string
}

// Decision is the answer to a Request.
type Decision struct {
	Allowed bool
	// Code is what a refusal is counted as ("not-allowed"), Reason is for the person at the encoder or player.
	Code, Reason string
	// Credential identifies a publisher when it comes back.
	Credential string
	// Stream is the public name, "" if it is the one that was asked for.
	Stream remux.StreamName
	// MaxBitrate is the most a publisher may send, in bits per second; 0 is no limit.
	MaxBitrate int64
	// Enter, if set, lets in who is allowed, until leave is called, once; or refuses. It may call end, at any time
	// and from any goroutine, when the permission ends first.
	Enter func(end func(EndCause)) (leave func(), refusal *Decision)
	// Admission is what Config.GoOn makes the same decision of in another process. It is secret.
	Admission json.RawMessage
}

// EndCause says why a permission ended. It is the cause of the end of an admission's context.
type EndCause string

// The causes.
const (
	EndExpired EndCause = "expired"
	EndRevoked EndCause = "revoked"
	EndTooMuch EndCause = "bitrate"
)

// counted is the reason under which it is counted.
func (c EndCause) counted() string { return "permission-" + string(c) }

// Error implements error.
func (c EndCause) Error() string { return c.text() }

// text is for the person at the encoder or player.
func (c EndCause) text() string {
	switch c {
	case EndExpired:
		return "the permission for this stream has expired: ask for a new one"
	case EndTooMuch:
		return "the bitrate is higher than this stream may have: lower it in the encoder's output settings"
	}
	return "the permission for this stream was taken back by the operator"
}

func (c EndCause) endReason() remux.EndReason {
	switch c {
	case EndExpired:
		return remux.EndExpired
	case EndTooMuch:
		return remux.EndTooMuch
	}
	return remux.EndKicked
}

// admission is somebody who was let in.
type admission struct {
	leave func()
	// permit ends with the permission, revoke ends it.
	permit context.Context
	revoke context.CancelCauseFunc
}

// end ends the permission; only the first cause counts.
func (a *admission) end(cause EndCause) { a.revoke(cause) }

// cause says why the permission has ended.
func (a *admission) cause() EndCause {
	var cause EndCause
	errors.As(context.Cause(a.permit), &cause)
	return cause
}

// enter lets in who is allowed; a refusal is returned as it is to be told.
func (d *Decision) enter() (admission, *Decision) {
	a := admission{leave: func() {}}
	a.permit, a.revoke = context.WithCancelCause(context.Background())
	if !d.Allowed {
		return a, d
	}
	if d.Enter != nil {
		leave, refusal := d.Enter(a.end)
		if refusal != nil {
			return a, refusal
		}
		a.leave = leave
	}
	return a, nil
}

func (d *Decision) code() string {
	if d.Code == "" {
		return "not-allowed"
	}
	return d.Code
}

// What a connection speaks.
const (
	protocolPlain  = "rtmp"
	protocolSecure = "rtmps"
)

func protocolOf(nc net.Conn) string {
	if _, secure := nc.(*tls.Conn); secure {
		return protocolSecure
	}
	return protocolPlain
}

// bitrateSpan is over how long a bitrate is measured against its limit: longer than two GOPs of most encoders, so
// that large keyframes do not count as a high bitrate.
const bitrateSpan = 10 * time.Second

// newBitrateLimit tells when a publisher sends more bits than it may by the second; 0 is no limit.
func newBitrateLimit(perSecond int64) bucket {
	return bucket{rate: float64(perSecond), holds: float64(perSecond) * bitrateSpan.Seconds()}
}
