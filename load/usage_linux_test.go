package load

import (
	"os"
	"testing"
	"time"
)

func TestProcStatIsReadWhateverTheCommandIsCalled(t *testing.T) {
	line := "42 (a ) b(c)) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 5 0 12345 1000000 30 18446744073709551615 1 1\n"
	got, err := parseStat([]byte(line))
	if want := (procStat{parent: 7, cpu: 2 * time.Second, rss: 30 * int64(os.Getpagesize())}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "42 (x) S 7", line[:60]} {
		if s, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, s)
		}
	}
	if got := pssOf([]byte("header\nRss:   9 kB\nPss:                 123 kB\nPss_Dirty: 5 kB\n")); got != 123<<10 {
		t.Errorf("PSS %d", got)
	}
}
