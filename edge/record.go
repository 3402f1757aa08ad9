package edge

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/headwater-live/headwater/edge/accesslog"
	"github.com/headwater-live/headwater/requestid"
)

// record is the http.ResponseWriter of a request that goes into the access log. It keeps the ways open that lead to
// sendfile, to flushing and to the connection.
//
// It belongs to the goroutine of the request, until that has returned or the connection was taken over; then to whoever
// calls the function that leaving returned.
type record struct {
	http.ResponseWriter
	handler *Handler
	entry   accesslog.Entry
	existed bool // the stream, when it was asked for
	taken   bool // the connection was taken over: the entry is complete when its viewer has gone
}

// record begins to remember a request, and names it.
func (e *Handler) record(w http.ResponseWriter, r *http.Request) *record {
	rec := &record{ResponseWriter: w, handler: e, entry: accesslog.Entry{
		Time: time.Now(), Method: r.Method, Path: r.URL.Path, RawQuery: r.URL.RawQuery, Proto: r.Proto,
		Forwarded: strings.Join(r.Header["X-Forwarded-For"], ", "),
		Referer:   r.Referer(), UserAgent: r.UserAgent(), RequestID: requestid.Of(r),
	}}
	rec.entry.Client, _ = netip.ParseAddrPort(r.RemoteAddr)
	w.Header()[requestid.Header] = []string{rec.entry.RequestID}
	return rec
}

// headed notes the header of the answer.
func (rec *record) headed(status int) {
	if rec.entry.Status == 0 {
		rec.entry.Status, rec.entry.FirstByte = status, time.Since(rec.entry.Time)
	}
}

// WriteHeader implements http.ResponseWriter.
func (rec *record) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		rec.headed(status)
	}
	rec.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (rec *record) Write(b []byte) (int, error) {
	rec.headed(http.StatusOK)
	n, err := rec.ResponseWriter.Write(b)
	rec.entry.Bytes += uint64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom: io.Copy finds the connection's, which is sendfile.
func (rec *record) ReadFrom(r io.Reader) (int64, error) {
	rec.headed(http.StatusOK)
	n, err := io.Copy(rec.ResponseWriter, r)
	rec.entry.Bytes += uint64(n)
	return n, err
}

// Hijack implements http.Hijacker, for viewers whose connection is taken over.
func (rec *record) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(rec.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	status := http.StatusOK
	if rec.Header().Get("Sec-Websocket-Accept") != "" {
		status = http.StatusSwitchingProtocols
	}
	rec.headed(status)
	rec.taken = true
	return conn, buffered, nil
}

// Unwrap lets http.ResponseController find the connection.
func (rec *record) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// leaving returns what is to be called when a viewer has gone. It may be called without a record.
func (rec *record) leaving(leave func()) func(sent uint64) {
	if rec == nil {
		return func(uint64) { leave() }
	}
	return func(sent uint64) {
		leave()
		if rec.taken {
			rec.entry.Bytes = sent
			rec.done()
		}
	}
}

// answered is called when the handler has returned.
func (rec *record) answered() {
	if !rec.taken {
		rec.headed(http.StatusOK) // what net/http answers for a handler that said nothing
		rec.done()
	}
}

func (rec *record) done() {
	rec.entry.Duration = time.Since(rec.entry.Time)
	rec.redact()
	rec.handler.Log.Add(&rec.entry)
}
