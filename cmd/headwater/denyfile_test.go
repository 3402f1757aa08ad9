package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// denyAnswer is what the API says of the denylist.
type denyAnswer struct {
	Entry    auth.Entry
	Denylist []auth.Entry
	Durable  bool
}

// askDenylist asks the private listener of a server.
func askDenylist(t *testing.T, s *server, method, path, body string, want int) (answer denyAnswer) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.adminURL("/api/v1/denylist"+path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: %d, %v: %s", method, path, resp.StatusCode, err, text)
	}
	if want < 300 && want != http.StatusNoContent {
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	return answer
}

// playlistStatus returns what a player is told that asks for a stream.
func playlistStatus(t *testing.T, s *server, stream string) int {
	t.Helper()
	code, _ := status(t, s.edgeURL("/"+stream+"/index.m3u8"))
	return code
}

func in(folder string) func(*config.Config) {
	return func(c *config.Config) { c.Storage.Dir = folder }
}

func TestWhatWasRevokedStaysSoAfterAKill(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"with HLS": func(*config.Config) {}, "without": func(c *config.Config) { c.HLS.Enabled = false },
	} {
		t.Run(name, func(t *testing.T) {
			first, second := t.TempDir(), t.TempDir()
			killed := runServer(t, func(c *config.Config) { change(c); in(first)(c) })
			gone := askDenylist(t, killed, "POST", "", `{"stream":"live/allowed","ttl":"1h"}`, 201)
			kept := askDenylist(t, killed, "POST", "", `{"stream":"live/denied","action":"play","ttl":"1h"}`, 201)
			askDenylist(t, killed, "DELETE", "/"+gone.Entry.ID, "", 204)
			if !kept.Durable { // another's load may take the disk for longer than an answer waits
				eventually(t, "the denylist is written", killed.denyFile.durable)
			}
			file, err := os.ReadFile(filepath.Join(first, denyName)) // as SIGKILL would leave it now
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(second, denyName), file, 0o600); err != nil {
				t.Fatal(err)
			}
			next := runServer(t, func(c *config.Config) { change(c); in(second)(c) })
			list := askDenylist(t, next, "GET", "", "", 200)
			if len(list.Denylist) != 1 || list.Denylist[0] != kept.Entry || !list.Durable {
				t.Errorf("after a kill the denylist is %+v", list)
			}
			if name == "with HLS" && (playlistStatus(t, next, "live/denied") != 403 || playlistStatus(t, next, "live/allowed") != 404) {
				t.Error("the denylist is not in force")
			}
			if e := askDenylist(t, next, "POST", "", `{"stream":"live/new","ttl":"1h"}`, 201).Entry; number(e.ID) <= number(kept.Entry.ID) {
				t.Errorf("ID %s comes after %s", e.ID, kept.Entry.ID)
			}
		})
	}
}

func TestADamagedDenylistIsSaidAndKept(t *testing.T) {
	folder := t.TempDir()
	gate := auth.NewGate(auth.GateConfig{})
	for _, token := range []string{"ticket-1", "ticket-2"} {
		if _, _, err := gate.Deny(auth.Entry{Token: token}, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	damaged := strings.Replace(string(auth.AppendDenylist(nil, gate.SaveDenylist())), "ticket-1", "ticket-7", 1)
	if err := os.WriteFile(filepath.Join(folder, denyName), []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, said := range []bool{true, false} {
		t.Run(fmt.Sprint("said ", said), func(t *testing.T) {
			s := runServer(t, in(folder))
			if ok, reason := s.ready(); !ok || strings.Contains(reason, "1 entries of 2 were read") != said {
				t.Errorf("ready: %t, %q", ok, reason)
			}
			if list := s.access.Denylist(); len(list) != 1 || list[0].Token != "ticket-2" {
				t.Errorf("in force is %+v", list)
			}
			eventually(t, "what could be read is in the file", s.denyFile.durable)
		})
	}
	if kept, err := os.ReadFile(filepath.Join(folder, denyAside)); err != nil || string(kept) != damaged {
		t.Errorf("kept is %q, %v", kept, err)
	}
}

func TestWithoutAFolderTheAPISaysThatARevocationWillNotLast(t *testing.T) {
	s := runServer(t, func(c *config.Config) { c.Storage.Kind = config.StorageMemory })
	if askDenylist(t, s, "POST", "", `{"token":"t","ttl":"1h"}`, 201).Durable || askDenylist(t, s, "GET", "", "", 200).Durable {
		t.Error("memory is said to last")
	}
	if _, reason := s.ready(); reason != "" {
		t.Errorf("what was asked for is said to be wrong: %s", reason)
	}
}

func TestNobodyRevokesInAProcessThatHasLetGo(t *testing.T) {
	folder := t.TempDir()
	s := runServer(t, in(folder))
	entry := askDenylist(t, s, "POST", "", `{"token":"t","ttl":"1h"}`, 201).Entry
	s.denyFile.close(t.Context())
	before, err := os.ReadFile(filepath.Join(folder, denyName))
	if err != nil {
		t.Fatal(err)
	}
	askDenylist(t, s, "POST", "", `{"token":"u","ttl":"1h"}`, 503)
	askDenylist(t, s, "DELETE", "/"+entry.ID, "", 503)
	if list := s.access.Denylist(); len(list) != 1 {
		t.Errorf("in force is %+v", list)
	}
	if after, err := os.ReadFile(filepath.Join(folder, denyName)); err != nil || string(after) != string(before) {
		t.Errorf("the file is now %q, %v", after, err)
	}
}

// troubledDisk is a denyStore whose disk fills up, or hangs.
type troubledDisk struct {
	mu      sync.Mutex
	full    error
	hangs   chan struct{}
	content []byte
}

func (d *troubledDisk) set(full error, hangs chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.hangs = full, hangs
}

func (d *troubledDisk) PutPrivate(ctx context.Context, _ string, content []byte) error {
	d.mu.Lock()
	full, hangs := d.full, d.hangs
	d.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if full == nil && ctx.Err() == nil {
		d.content = content
	}
	return errors.Join(full, ctx.Err())
}

func (d *troubledDisk) ReadPrivate(string, int64) ([]byte, error) { return nil, fs.ErrNotExist }
func (d *troubledDisk) KeepAside(string, string) error            { return nil }

func (d *troubledDisk) has(t *testing.T, want int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if l, err := auth.ParseDenylist(d.content); err != nil || len(l.Entries) != want {
		t.Errorf("the file has %d entries, %v; want %d", len(l.Entries), err, want)
	}
}

// onTroubledDisk gives a denylist in a disk's file, and how to revoke something, which says whether that lasts.
func onTroubledDisk(t *testing.T, disk *troubledDisk) (*denyFile, func(token string) bool) {
	t.Helper()
	f := openDenyFile(auth.NewGate(auth.GateConfig{}), disk, slog.New(slog.DiscardHandler))
	f.start()
	return f, func(token string) bool {
		durable, err := f.change(func() error {
			_, _, err := f.gate.Deny(auth.Entry{Token: token}, time.Hour)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if durable != f.durable() {
			t.Errorf("durable: %t and %t", durable, f.durable())
		}
		return durable
	}
}

func TestAFullDiskIsSaidAndWrittenWhenThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &troubledDisk{}
		f, deny := onTroubledDisk(t, disk)
		defer f.close(context.Background())
		if !deny("first") || f.reason() != "" {
			t.Errorf("the first is not kept: %s", f.reason())
		}
		disk.set(syscall.ENOSPC, nil)
		if deny("second") || !strings.Contains(f.reason(), "no space left") || len(f.gate.Denylist()) != 2 {
			t.Errorf("a full disk: %q, in force are %+v", f.reason(), f.gate.Denylist())
		}
		disk.has(t, 1)
		time.Sleep(3 * denyRetry)
		synctest.Wait()
		if f.durable() {
			t.Error("it is said to be written")
		}
		disk.set(nil, nil)
		time.Sleep(denyRetry)
		synctest.Wait()
		if !f.durable() || f.reason() != "" {
			t.Errorf("there is room again: %q", f.reason())
		}
		disk.has(t, 2)
	})
}

func TestADiskThatHangsHoldsUpNoRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := make(chan struct{})
		disk := &troubledDisk{hangs: hangs}
		f, deny := onTroubledDisk(t, disk)
		began := time.Now()
		if deny("first") || time.Since(began) != denyPatience || !strings.Contains(f.reason(), "does not answer") {
			t.Errorf("answered after %v: %q", time.Since(began), f.reason())
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		f.close(ctx)
		if ctx.Err() == nil {
			t.Error("it let go of a file that it is writing")
		}
		disk.set(nil, nil)
		close(hangs)
		f.running.Wait()
		if disk.content != nil {
			t.Error("it was written when it may have been another process's file already")
		}
	})
}

func TestADiskThatAnswersLateIsNoFaultAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := make(chan struct{})
		disk := &troubledDisk{hangs: hangs}
		f, deny := onTroubledDisk(t, disk)
		defer f.close(context.Background())
		deny("first")
		close(hangs)
		synctest.Wait()
		disk.has(t, 1)
		if !f.durable() || f.reason() != "" {
			t.Errorf("it is written: %s", f.reason())
		}
	})
}

func TestChangesAreWrittenAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &troubledDisk{full: syscall.ENOSPC}
		f, deny := onTroubledDisk(t, disk)
		deny("first")
		disk.set(nil, nil)
		f.close(context.Background())
		f.close(context.Background())
		disk.has(t, 1)
	})
}
