package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// problemType begins the type of every problem (RFC 9457, 3.1.1). The rest is stable: clients
// branch on it.
const problemType = "urn:headwater:problem:"

// problemBody is an error body of RFC 9457.
type problemBody struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// problem answers with an error body of RFC 9457. Name is the rest of its type.
func problem(w http.ResponseWriter, status int, name, detail string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	writeBody(w, status, problemBody{problemType + name, http.StatusText(status), status, detail})
}

// respond answers 200 with JSON, or 304 if the client has the very same already.
func respond(w http.ResponseWriter, r *http.Request, body any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // it is not HTML, and says so
	if err := encoder.Encode(body); err != nil {
		problem(w, http.StatusInternalServerError, "internal", "the answer cannot be written as JSON")
		return
	}
	serveBytes(w, r, "application/json", b.Bytes())
}

// serveBytes answers 200 with a body, or 304 if the client has it already (RFC 9110, 13.1.2).
func serveBytes(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	h := w.Header()
	h.Set("Etag", etag)
	h.Set("Cache-Control", "private, no-cache") // kept, but asked about each time
	h.Set("X-Content-Type-Options", "nosniff")
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client has gone: nothing is left to do
	}
}

// matches reports whether a list of entity tags has one of them, by weak comparison.
func matches(values []string, etag string) bool {
	for _, value := range values {
		for tag := range strings.SplitSeq(value, ",") {
			if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
				return true
			}
		}
	}
	return false
}

// writeJSON answers what must not be kept at all.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	writeBody(w, status, body)
}

func writeBody(w http.ResponseWriter, status int, body any) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone: nothing is left to do
}
