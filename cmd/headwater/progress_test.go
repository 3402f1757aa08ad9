package main

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressIsALineASecond(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		var screen strings.Builder
		p := &progress{w: &screen}
		p.end() // nothing is on the screen yet
		for i := range 31 {
			p.add(3_725_000+int64(i)*100, 12_500)
			time.Sleep(100 * time.Millisecond)
		}
		p.rounds = 1
		p.add(3_729_000, 12_500)
		p.end()
		p.end()
		want := "\r1:02:06    1000 kbit/s\r1:02:07    1000 kbit/s\r1:02:08    1000 kbit/s\n"
		if screen.String() != want {
			t.Errorf("the screen shows %q, want %q", screen.String(), want)
		}
		time.Sleep(time.Second)
		p.add(3_730_000, 12_500)
		if !strings.HasSuffix(screen.String(), "  round 2") {
			t.Errorf("the round is not shown: %q", screen.String())
		}
	})
}

func TestProgressIsSilentWithoutATerminal(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // a test's file
	var screen strings.Builder
	for _, p := range []*progress{newProgress(&screen), newProgress(file), newProgress(nil)} {
		p.add(0, 1)
		p.next = time.Time{}
		p.add(2000, 1)
		p.end()
	}
	if info, err := file.Stat(); err != nil || info.Size() != 0 || screen.Len() != 0 {
		t.Errorf("something was written: %v", err)
	}
}
