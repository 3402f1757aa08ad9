package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// origin knows the addresses of a live origin: Headwater, or a stand-in that
// the harness is proved against.
type origin struct {
	rtmp string // rtmp://HOST:PORT
	http string // http://HOST:PORT
	// admin is http://HOST:PORT of the admin server, "" for a stand-in.
	admin string
}

// The app that all tests publish under.
const app = "live"

func (o origin) publishURL(name string) string { return o.rtmp + "/" + app + "/" + name }
func (o origin) hlsURL(name string) string     { return o.http + "/" + app + "/" + name + "/index.m3u8" }
func (o origin) flvURL(name string) string     { return o.http + "/" + app + "/" + name + ".flv" }

func (o origin) tsURL(name string) string { return o.http + "/" + app + "/" + name + ".ts" }
func (o origin) wsURL(name string) string {
	return "ws" + strings.TrimPrefix(o.flvURL(name), "http")
}

// awaited returns when a viewer waits for the stream by the admin API: a request that has been
// sent need not have been read.
func (o origin) awaited(ctx context.Context, name string) error { return o.awaitedBy(ctx, name, 1) }

// awaitedBy returns when so many viewers wait.
func (o origin) awaitedBy(ctx context.Context, name string, viewers int) error {
	for o.admin != "" {
		f, err := fetch(ctx, o.admin+"/api/v1/streams")
		if err != nil {
			return err
		}
		var list struct{ Waiting map[string]int }
		if err := json.Unmarshal(f.body, &list); err != nil {
			return err
		}
		if list.Waiting[remux.StreamName(app+"/"+name).Redacted()] >= viewers {
			return nil
		}
	}
	return nil
}

// viewerClient has no cookie jar, follows no redirect and asks for no
// compression, as a CDN's fetcher would.
var viewerClient = &http.Client{
	Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	},
}

// fetched is one answered request.
type fetched struct {
	status int
	header http.Header
	length int64 // Content-Length, -1 if not declared
	body   []byte
}

// fetch gets a finite resource.
func fetch(ctx context.Context, url string) (fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fetched{}, err
	}
	req.Header.Set("Origin", "http://player.example")
	res, err := viewerClient.Do(req)
	if err != nil {
		return fetched{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fetched{}, fmt.Errorf("read %s: %w", url, err)
	}
	return fetched{status: res.StatusCode, header: res.Header, length: res.ContentLength, body: body}, nil
}

// faults lists what a CDN or a browser would hold against the answer.
func (f fetched) faults(contentType string) []string {
	var faults []string
	if f.header.Get("Access-Control-Allow-Origin") == "" {
		faults = append(faults, fmt.Sprintf("status %d without Access-Control-Allow-Origin", f.status))
	}
	if f.length < 0 {
		faults = append(faults, fmt.Sprintf("status %d without Content-Length", f.status))
	}
	if f.header.Get("Set-Cookie") != "" {
		faults = append(faults, "a cookie was set")
	}
	if f.status == http.StatusOK {
		if len(f.body) == 0 {
			faults = append(faults, "status 200 with an empty body")
		}
		if got := f.header.Get("Content-Type"); got != contentType {
			faults = append(faults, fmt.Sprintf("Content-Type is %q, not %q", got, contentType))
		}
	}
	return faults
}
