package edge

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/crowd"
)

func TestWhatTheHTTPServerRefusesItselfCanBeReadByPagesOfOtherSites(t *testing.T) {
	const request = "GET /live/test/index.m3u8 HTTP/1.1\r\nHost: x\r\n"
	l, addr := startLimited(t, crowd.Limits{}, ok)
	secureAddr := startLimitedTLS(t, l, time.Minute, ok)
	for _, test := range []struct {
		sent   string
		status int
		addr   string
	}{
		{"GET /live/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, addr},
		{request + "no field\r\n\r\n", 400, addr},
		{"GET / HTTP/1.1\r\n\r\n", 400, addr},
		{request + "Expect: a miracle\r\n\r\n", 417, addr},
		{request + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431, addr},
		{request + "Transfer-Encoding: gzip\r\n\r\n", 501, addr},
		{"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505, addr},
		{request + "\r\n", 400, secureAddr}, // plain HTTP where TLS is spoken
	} {
		for _, before := range []int{0, 2} { // requests on the same connection
			if test.addr == secureAddr && before > 0 {
				continue
			}
			t.Run(fmt.Sprintf("%d for %.20q after %d", test.status, test.sent[strings.Index(test.sent, "\n")+1:], before), func(t *testing.T) {
				c := dial(t, test.addr)
				for range before {
					if get(t, c) != 204 {
						t.Fatal("a request is not answered")
					}
				}
				_, _ = io.WriteString(c, test.sent) // the server may have closed it already
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if resp.StatusCode != test.status || err != nil || test.status != 417 && len(body) == 0 {
					t.Errorf("%s with %q, %v", resp.Status, body, err)
				}
				for name, want := range map[string]string{
					"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": exposeHeaders[0],
					"Timing-Allow-Origin": "*", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
				} {
					if got := resp.Header[name]; len(got) != 1 || got[0] != want {
						t.Errorf("%s: %q, want %q once", name, got, want)
					}
				}
			})
		}
	}
}

// TestWhatAPrivateListenerRefusesIsReadByNoPage sends what net/http answers by itself.
func TestWhatAPrivateListenerRefusesIsReadByNoPage(t *testing.T) {
	addr := serveLimited(t, NewPrivateLimiter("admin", crowd.Limits{}), time.Minute, ok)
	for status, sent := range map[int]string{
		400: "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		431: "GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c := dial(t, addr)
		_, _ = io.WriteString(c, sent) // the server may have closed it already
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); resp.StatusCode != status || err != nil {
			t.Errorf("%s, %v, want %d", resp.Status, err, status)
		}
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": "", "Access-Control-Expose-Headers": "", "Timing-Allow-Origin": "",
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%d: %s: %q, want %q", status, name, got, want)
			}
		}
	}
}
