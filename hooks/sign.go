package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// The headers of a delivery.
const (
	// SignatureHeader is "t=SECONDS,v1=HEX": the time of the attempt, and the HMAC-SHA256 of
	// "SECONDS.BODY" with the endpoint's secret.
	SignatureHeader = "Headwater-Signature"
	// IDHeader is the event's ID. The same event has the same, however often it is delivered.
	IDHeader = "Headwater-Event-Id"
	// TypeHeader is the event's type.
	TypeHeader = "Headwater-Event-Type"
)

// Sign returns the value of SignatureHeader for a body that is sent at a time.
func Sign(secret string, body []byte, at time.Time) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac(secret, seconds, body))
}

func mac(secret, seconds string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(seconds + "."))
	h.Write(body)
	return h.Sum(nil)
}

// ErrSignature reports a delivery that is not from who knows the secret, or too old.
var ErrSignature = errors.New("the signature does not fit")

// Verify checks the value of SignatureHeader for a body that came at a time; tolerance is how far the
// clocks may be apart. The error is ErrSignature.
func Verify(secret, header string, body []byte, at time.Time, tolerance time.Duration) error {
	var seconds, signature string
	for part := range strings.SplitSeq(header, ",") {
		switch key, value, _ := strings.Cut(part, "="); key {
		case "t":
			seconds = value
		case "v1":
			signature = value
		}
	}
	sent, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return ErrSignature
	}
	shown, err := hex.DecodeString(signature)
	if err != nil || !hmac.Equal(shown, mac(secret, seconds, body)) {
		return ErrSignature
	}
	if off := at.Sub(time.Unix(sent, 0)); off > tolerance || off < -tolerance {
		return ErrSignature
	}
	return nil
}
