package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
)

// acceptGUID is what a server proves with that it speaks this protocol (1.3).
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// version is the only one there ever was (4.4).
const version = "13"

var (
	errVersion = errors.New("only version 13 of WebSocket is spoken here")
	errKey     = errors.New("Sec-WebSocket-Key is not 16 bytes in base64")
	errMethod  = errors.New("a WebSocket begins with GET over HTTP/1.1")
)

// Requested reports whether a request asks for a WebSocket.
func Requested(r *http.Request) bool {
	return hasToken(r.Header["Upgrade"], "websocket") && hasToken(r.Header["Connection"], "upgrade")
}

// Accept checks a request that asks for a WebSocket (4.2.1) and sets the headers of the answer
// (4.2.2), which has the returned status: 101, or one that says what is wrong, with the error.
func Accept(h http.Header, r *http.Request) (status int, err error) {
	if r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return http.StatusBadRequest, errMethod
	}
	if r.Header.Get("Sec-WebSocket-Version") != version {
		h.Set("Sec-WebSocket-Version", version)
		return http.StatusUpgradeRequired, errVersion
	}
	key := r.Header.Get("Sec-WebSocket-Key")
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 16 {
		return http.StatusBadRequest, errKey
	}
	sum := sha1.Sum([]byte(key + acceptGUID))
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
	h.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	return http.StatusSwitchingProtocols, nil
}

// hasToken reports whether a header that is a list has a token, in lower case here.
func hasToken(values []string, token string) bool {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}
