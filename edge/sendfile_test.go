package edge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwater-live/headwater/crowd"
	"github.com/headwater-live/headwater/remux"
)

// fileHLS answers every request for a file with one that others read at the same time.
type fileHLS struct {
	HLS
	file *os.File
	note atomic.Int32
	said atomic.Int64 // the size, 0 for the true one
	read atomic.Int64
}

func (h *fileHLS) ServeFile(w http.ResponseWriter, r *http.Request, _ remux.StreamName, _, _ string) {
	http.ServeContent(w, r, "a.ts", time.Time{}, &fileReader{hls: h})
}

type fileReader struct {
	hls *fileHLS
	at  int64
}

func (r *fileReader) InFile() (*os.File, int64, *atomic.Int32) { return r.hls.file, r.at, &r.hls.note }

func (r *fileReader) Read(b []byte) (int, error) {
	n, err := r.hls.file.ReadAt(b, r.at)
	r.at += int64(n)
	r.hls.read.Add(int64(n))
	return n, err
}

func (r *fileReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		info, err := r.hls.file.Stat()
		if err != nil {
			return 0, err
		}
		offset += max(info.Size(), r.hls.said.Load())
	}
	r.at = offset
	return offset, nil
}

// startFile serves a file of random bytes and returns where, and the bytes.
func startFile(t *testing.T, size int, flags int) (h *fileHLS, addr string, content []byte) {
	t.Helper()
	content = make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(content) // never fails
	name := filepath.Join(t.TempDir(), "a.ts")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDONLY|flags, 0)
	if err != nil {
		t.Fatal(err)
	}
	h = &fileHLS{file: f}
	_, addr = startLimited(t, crowd.Limits{}, (&Handler{HLS: h}).ServeHTTP)
	t.Cleanup(func() { _ = f.Close() })
	return h, addr, content
}

const filePath = "/live/a/0123456789abcdef/1-01234567.ts"

// askFile sends a request on a connection and reads the answer.
func askFile(t *testing.T, c net.Conn, r *bufio.Reader, method, header string) (*http.Response, []byte) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, filePath, header); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func TestTheKernelSendsFilesWholeAndInPart(t *testing.T) {
	for name, flags := range map[string]int{"in memory": noATime, "perhaps on the disk": 0} {
		t.Run(name, func(t *testing.T) {
			h, addr, content := startFile(t, 3<<20+17, flags)
			c := dial(t, addr)
			r := bufio.NewReader(c)
			for range 2 {
				if resp, body := askFile(t, c, r, "GET", ""); resp.StatusCode != 200 || !bytes.Equal(body, content) {
					t.Errorf("%d, %d bytes of %d", resp.StatusCode, len(body), len(content))
				}
				if resp, body := askFile(t, c, r, "HEAD", ""); resp.ContentLength != int64(len(content)) || len(body) != 0 {
					t.Errorf("HEAD: %d, %d bytes", resp.ContentLength, len(body))
				}
				for _, part := range [][2]int{{0, 0}, {1, 4095}, {4096, 2 << 20}, {len(content) - 1, len(content) - 1}} {
					resp, body := askFile(t, c, r, "GET", fmt.Sprintf("Range: bytes=%d-%d\r\n", part[0], part[1]))
					if resp.StatusCode != 206 || !bytes.Equal(body, content[part[0]:part[1]+1]) {
						t.Errorf("bytes %v: %d, %d bytes", part, resp.StatusCode, len(body))
					}
				}
			}
			if n := h.read.Load(); n != 0 && canSendFiles {
				t.Errorf("the server has read %d bytes itself", n)
			}
			// Two ranges are one body that stands in no file.
			if resp, body := askFile(t, c, r, "GET", "Range: bytes=0-99,200-299\r\n"); resp.StatusCode != 206 || !bytes.Contains(body, content[200:300]) {
				t.Errorf("two ranges: %d, %d bytes", resp.StatusCode, len(body))
			}
		})
	}
}

func TestASlowClientGetsTheWholeFile(t *testing.T) {
	_, addr, content := startFile(t, 12<<20, noATime)
	c := dial(t, addr)
	if err := c.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReaderSize(c, 64<<10)
	if _, body := askFile(t, c, r, "GET", ""); !bytes.Equal(body, content) {
		t.Errorf("%d bytes of %d", len(body), len(content))
	}
}

func TestAFileThatIsCutMeanwhileEndsTheConnection(t *testing.T) {
	h, addr, content := startFile(t, 1<<20, noATime)
	h.said.Store(int64(len(content)) + 1000)
	c := dial(t, addr)
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", filePath); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.ContentLength != h.said.Load() {
		t.Fatalf("%v, %v", resp, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != io.ErrUnexpectedEOF || !bytes.Equal(body, content) {
		t.Errorf("%d bytes and %v, want %d and the end of the connection", len(body), err, len(content))
	}
}

func TestAClientThatTakesNothingIsGivenUp(t *testing.T) {
	h, _, _ := startFile(t, 32<<20, noATime)
	l := NewLimiter("http", crowd.Limits{})
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = newFileWriter(w, r)
		w.Header().Set("Content-Length", fmt.Sprint(32<<20))
		_, err := io.CopyN(w, &fileReader{hls: h}, 32<<20)
		done <- err
	})
	srv := NewServer(handler, ServerConfig{HeaderTimeout: time.Minute, MaxHeader: 16 << 10, Limiter: l, Logger: slog.New(slog.DiscardHandler)})
	srv.WriteTimeout = 300 * time.Millisecond
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l.Listener(inner)) // until it is closed
	}()
	t.Cleanup(func() { _ = srv.Close(); <-served })
	c := dial(t, inner.Addr().String())
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if nerr, ok := err.(interface{ Timeout() bool }); err == nil || ok && !nerr.Timeout() {
			t.Errorf("the answer ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the server waits for a client that takes nothing")
	}
}

func TestFilesGoOutOverTLSAsTheyAre(t *testing.T) {
	h, _, content := startFile(t, 1<<20+5, noATime)
	for _, http2 := range []bool{false, true} {
		l := NewLimiter("http", crowd.Limits{})
		srv := httptest.NewUnstartedServer(nil)
		srv.Config = NewServer(&Handler{HLS: h}, ServerConfig{
			HeaderTimeout: time.Minute, MaxHeader: 16 << 10, Limiter: l, Logger: slog.New(slog.DiscardHandler),
		})
		srv.Listener, srv.EnableHTTP2 = l.Listener(srv.Listener), http2
		srv.StartTLS()
		for header, want := range map[string][]byte{"": content, "bytes=1000-": content[1000:]} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+filePath, nil)
			if err != nil {
				t.Fatal(err)
			}
			if header != "" {
				req.Header.Set("Range", header)
			}
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || (resp.ProtoMajor == 2) != http2 || !bytes.Equal(body, want) {
				t.Errorf("%s, %q: %d, %d bytes of %d, %v", resp.Proto, header, resp.StatusCode, len(body), len(want), err)
			}
		}
		srv.Close()
	}
}
