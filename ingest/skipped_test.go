package ingest

import (
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// TestWhatIsSkippedIsCounted publishes a message of no known type and metadata that break off in a value, and looks at
// the counts while the session lives and when it is over.
func TestWhatIsSkippedIsCounted(t *testing.T) {
	o := start(t, nil)
	p := o.publishRaw()
	metadata := rtmp.AppendAMF0(nil, "@setDataFrame", "onMetaData", rtmp.Object{{Name: "encoder", Value: "test"}})
	metadata = append(metadata[:len(metadata)-3], 0, 1, 'x', 0xee) // a property of no known type in place of the end
	odd := rtmp.AppendMessage(nil, 4, 99, 1, 0, 128, []byte("x"))
	odd = rtmp.AppendMessage(odd, 4, rtmp.TypeData, 1, 0, 128, metadata)
	if _, err := p.nc.Write(odd); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			got := o.server.Skipped()
			if got["unknown-type"] == 1 && got["malformed-data"] == 1 {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s, %v are counted, want one message of each kind", when, got)
			}
		}
	}
	check("while it is published")
	_ = p.nc.Close()
	o.wantEnd(remux.EndDisconnected)
	for end := time.Now().Add(20 * time.Second); o.server.sessionsLeft() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the session does not end")
		}
	}
	check("after it")
}

// sessionsLeft returns how many connections have not ended.
func (s *Server) sessionsLeft() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// TestMetadataAreTakenUpToWhatCannotBeDecoded: the rest of them is good.
func TestMetadataAreTakenUpToWhatCannotBeDecoded(t *testing.T) {
	body := rtmp.AppendAMF0(nil, "onMetaData", rtmp.Object{{Name: "encoder", Value: "test"}})
	body = append(body[:len(body)-3], 0, 1, 'x', 0xee)
	got, err := metadata(body)
	if err == nil || len(got) != 1 || got[0].Name != "encoder" {
		t.Errorf("%v, %v; want the encoder and an error", got, err)
	}
}
