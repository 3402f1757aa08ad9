package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, folder string, limit int64) *queue {
	t.Helper()
	q, err := openQueue(folder, limit)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func add(t *testing.T, q *queue, bodies ...string) {
	t.Helper()
	for _, b := range bodies {
		if err := q.add([]byte(b)); err != nil {
			t.Fatal(err)
		}
	}
}

// takeAll empties a queue.
func takeAll(t *testing.T, q *queue) string {
	t.Helper()
	var all []string
	for {
		b, err := q.oldest()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return strings.Join(all, " ")
		}
		all = append(all, string(b))
		if err := q.take(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAQueueGivesBackWhatItWasGivenInOrder(t *testing.T) {
	q := open(t, t.TempDir(), 1<<20)
	add(t, q, "a", "b")
	if got := takeAll(t, q); got != "a b" {
		t.Errorf("got %q", got)
	}
	add(t, q, "c")
	if got := takeAll(t, q); got != "c" {
		t.Errorf("got %q", got)
	}
}

func TestAQueueSurvivesItsProcess(t *testing.T) {
	folder := t.TempDir()
	q := open(t, folder, 1<<20)
	add(t, q, "a", "b", "c")
	if err := q.take(); err == nil {
		t.Error("took what was not looked at")
	}
	if _, err := q.oldest(); err != nil {
		t.Fatal(err)
	}
	if err := q.take(); err != nil {
		t.Fatal(err)
	}
	// Nothing is closed: the process was killed.
	q = open(t, folder, 1<<20)
	if n, _ := q.waiting(); n != 2 {
		t.Errorf("%d wait", n)
	}
	add(t, q, "d")
	if got := takeAll(t, q); got != "b c d" {
		t.Errorf("got %q", got)
	}
	q = open(t, folder, 1<<20)
	if got := takeAll(t, q); got != "" {
		t.Errorf("got %q again", got)
	}
}

func TestATornEndIsCutOff(t *testing.T) {
	whole := appendRecord(appendRecord(nil, []byte("first")), []byte("second"))
	for n := len(whole) - 1; n > len(appendRecord(nil, []byte("first"))); n-- {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "0000000000000001.events"), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		q := open(t, folder, 1<<20)
		add(t, q, "third")
		if got := takeAll(t, q); got != "first third" {
			t.Errorf("cut at %d: %q", n, got)
		}
	}
}

func TestALostOrWrongCursorRepeatsRatherThanLoses(t *testing.T) {
	for _, cursor := range []string{"", "x", "7 0\n", "1 3\n", "1 -5\n", "1 99999999\n", "1\n", "1 2 3\n"} {
		folder := t.TempDir()
		q := open(t, folder, 1<<20)
		add(t, q, "a", "b")
		if err := os.WriteFile(filepath.Join(folder, cursorName), []byte(cursor), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := takeAll(t, open(t, folder, 1<<20)); got != "a b" {
			t.Errorf("cursor %q: %q", cursor, got)
		}
	}
}

func TestAQueueIsBoundedAndFreesItsDisk(t *testing.T) {
	folder := t.TempDir()
	const limit = 4 << 20
	q := open(t, folder, limit)
	body := bytes.Repeat([]byte("x"), 1000)
	n := 0
	for ; ; n++ {
		if err := q.add(body); err != nil {
			if !errors.Is(err, errFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if got := disk(t, folder); got > limit+1000 || n < 4000 {
		t.Errorf("%d bodies take %d bytes", n, got)
	}
	for i := range n {
		if b, err := q.oldest(); err != nil || !bytes.Equal(b, body) {
			t.Fatalf("body %d: %d bytes, %v", i, len(b), err)
		}
		if err := q.take(); err != nil {
			t.Fatal(err)
		}
	}
	if got := disk(t, folder); got > idleFile {
		t.Errorf("an empty queue takes %d bytes", got)
	}
	if _, b := q.waiting(); b != 0 {
		t.Errorf("an empty queue counts %d bytes", b)
	}
	add(t, q, "again")
	if got := takeAll(t, open(t, folder, limit)); got != "again" {
		t.Errorf("got %q", got)
	}
}

func disk(t *testing.T, folder string) (bytes int64) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	return bytes
}

func FuzzQueueFile(f *testing.F) {
	f.Add(appendRecord(appendRecord(nil, []byte(`{"id":"a-1"}`)), []byte("second")), []byte("1 0\n"))
	f.Add(appendRecord(nil, []byte("x"))[:5], []byte("1 20                   \n"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1}, []byte(""))
	f.Fuzz(func(t *testing.T, file, cursor []byte) {
		folder := t.TempDir()
		for name, content := range map[string][]byte{"0000000000000001.events": file, cursorName: cursor} {
			if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		q := open(t, folder, 1<<20)
		before, _ := q.waiting()
		add(t, q, "last")
		for i := int64(0); ; i++ {
			b, err := q.oldest()
			if err != nil || b == nil {
				t.Fatalf("ended behind %d of %d: %v", i, before, err)
			}
			if err := q.take(); err != nil {
				t.Fatal(err)
			}
			if i == before {
				if string(b) != "last" {
					t.Errorf("the last is %q", b)
				}
				break
			}
		}
		_ = q.close()
	})
}

func BenchmarkQueue(b *testing.B) {
	q, err := openQueue(b.TempDir(), 1<<30)
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(fmt.Sprintf(`{"id":"19ab-1","data":"%0200d"}`, 1))
	for b.Loop() {
		if err := q.add(body); err != nil {
			b.Fatal(err)
		}
		if _, err := q.oldest(); err != nil {
			b.Fatal(err)
		}
		if err := q.take(); err != nil {
			b.Fatal(err)
		}
	}
}
