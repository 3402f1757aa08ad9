package hooks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAQueueGoesOnBehindWhatCannotBeReadBack: it neither stands still nor forgets to say how much was lost.
func TestAQueueGoesOnBehindWhatCannotBeReadBack(t *testing.T) {
	long := strings.Repeat("x", 40)
	files := func(q *queue) []string {
		names, _ := filepath.Glob(filepath.Join(q.folder, "*"+fileSuffix))
		return names
	}
	for name, test := range map[string]struct {
		bodies int
		harm   func(q *queue) error
		least  int64 // lost
	}{
		"a damaged file":                     {3, func(q *queue) error { return os.WriteFile(files(q)[0], []byte(strings.Repeat("?", 150)), 0o600) }, 3},
		"the first of many files is damaged": {30, func(q *queue) error { return os.Truncate(files(q)[0], 20) }, 1},
		"the folder is gone":                 {3, func(q *queue) error { return os.RemoveAll(q.folder) }, 3},
		"the folder is gone with many files": {30, func(q *queue) error { return os.RemoveAll(q.folder) }, 30},
	} {
		t.Run(name, func(t *testing.T) {
			q := open(t, filepath.Join(t.TempDir(), "queue"), 4_000)
			for range test.bodies {
				add(t, q, long)
			}
			if several := len(files(q)) > 1; several != (test.bodies == 30) {
				t.Fatalf("%d files", len(files(q)))
			}
			if err := test.harm(q); err != nil {
				t.Fatal(err)
			}
			var lost, taken int64
			drain := func() {
				for n := 0; ; n++ {
					body, err := q.oldest()
					var gone *lostError
					switch {
					case n > 100:
						t.Fatalf("it does not end: %v", err)
					case errors.As(err, &gone):
						lost += gone.bodies
						continue
					case err != nil:
						t.Fatal(err)
					case body == nil:
						return
					}
					if string(body) != long {
						t.Errorf("%q", body)
					}
					taken++
					if err := q.take(); err != nil {
						t.Fatal(err)
					}
				}
			}
			drain()
			if lost < test.least || lost+taken != int64(test.bodies) {
				t.Errorf("%d lost and %d taken of %d", lost, taken, test.bodies)
			}
			add(t, q, long, long)
			if drain(); lost+taken != int64(test.bodies)+2 {
				t.Errorf("%d lost and %d taken of %d and 2 more", lost, taken, test.bodies)
			}
			add(t, q, "kept")
			if got := takeAll(t, open(t, q.folder, 4_000)); !strings.HasSuffix(got, "kept") {
				t.Errorf("the next process finds %q", got)
			}
		})
	}
}

// blocked has a file that cannot be read, though it is there, until the function that it returns is called.
func blocked(t *testing.T, name string) (unblock func()) {
	t.Helper()
	if err := errors.Join(os.Rename(name, name+".away"), os.Mkdir(name, 0o700)); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := errors.Join(os.Remove(name), os.Rename(name+".away", name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatCannotBeReadForAWhileIsKept: a disk that fails now may be well again, as a process without descriptors is.
func TestWhatCannotBeReadForAWhileIsKept(t *testing.T) {
	for name, test := range map[string]struct {
		unreadable int  // its place among the files
		damaged    bool // the first file, besides
		left       int
	}{
		"the first file":                       {0, false, 30},
		"a file behind one that is damaged":    {2, true, 30 - 9},
		"the last file behind one like that":   {3, true, 30 - 9},
		"the second file behind one like that": {1, true, 30 - 9},
	} {
		t.Run(name, func(t *testing.T) {
			q := open(t, filepath.Join(t.TempDir(), "queue"), 4_000)
			for n := range 30 {
				add(t, q, strings.Repeat(string(rune('A'+n)), 48)) // nine to a file
			}
			if len(q.files) != 4 {
				t.Fatalf("%d files", len(q.files))
			}
			if test.damaged {
				if err := os.Truncate(q.name(q.files[0]), 20); err != nil {
					t.Fatal(err)
				}
			}
			unblock := blocked(t, q.name(q.files[test.unreadable]))
			var lost *lostError
			for range 3 {
				if body, err := q.oldest(); body != nil || err == nil || errors.As(err, &lost) {
					t.Fatalf("%q, %v", body, err)
				}
			}
			unblock()
			if test.damaged {
				if _, err := q.oldest(); !errors.As(err, &lost) || lost.bodies != int64(30-test.left) {
					t.Fatal(err)
				}
			}
			if n, bytes := q.waiting(); n != int64(test.left) || bytes != int64(test.left)*56 {
				t.Errorf("%d wait in %d bytes, not %d", n, bytes, test.left)
			}
			if n := len(strings.Fields(takeAll(t, q))); n != test.left {
				t.Errorf("%d were taken of %d", n, test.left)
			}
		})
	}
}

// TestALossIsSaidOnce: not for each file of a folder that is gone, and never of nothing.
func TestALossIsSaidOnce(t *testing.T) {
	for name, harm := range map[string]func(q *queue) error{
		"the folder is gone": func(q *queue) error { return os.RemoveAll(q.folder) },
		"the first is gone":  func(q *queue) error { return os.Remove(q.name(q.files[0])) },
		"two are gone":       func(q *queue) error { return errors.Join(os.Remove(q.name(q.files[0])), os.Remove(q.name(q.files[1]))) },
		"two of them are damaged": func(q *queue) error {
			return errors.Join(os.Truncate(q.name(q.files[0]), 9), os.Truncate(q.name(q.files[1]), 9))
		},
		"all but one file are gone": func(q *queue) error {
			return errors.Join(os.Remove(q.name(q.files[0])), os.Remove(q.name(q.files[1])), os.Remove(q.name(q.files[3])))
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := open(t, filepath.Join(t.TempDir(), "queue"), 4_000)
			for range 30 {
				add(t, q, strings.Repeat("x", 48))
			}
			if err := harm(q); err != nil {
				t.Fatal(err)
			}
			var lost *lostError
			if _, err := q.oldest(); !errors.As(err, &lost) || lost.bodies == 0 {
				t.Fatalf("%v", err)
			}
			taken := int64(len(strings.Fields(takeAll(t, q)))) // it fails at another loss
			if taken+lost.bodies != 30 {
				t.Errorf("%d lost and %d taken of 30", lost.bodies, taken)
			}
			add(t, q, "more")
			if got := takeAll(t, q); got != "more" {
				t.Errorf("then it has %q", got)
			}
		})
	}
}

// TestTheLastDamagedFileIsKeptAside: for whoever wants to see what became of it.
func TestTheLastDamagedFileIsKeptAside(t *testing.T) {
	q := open(t, filepath.Join(t.TempDir(), "queue"), 4_000)
	for _, damage := range []string{"once", "again"} {
		add(t, q, "a body")
		if err := os.WriteFile(q.name(q.files[len(q.files)-1]), []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		var lost *lostError
		if _, err := q.oldest(); !errors.As(err, &lost) || lost.bodies != 1 {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(q.folder, damagedName)); err != nil || string(got) != damage {
			t.Errorf("aside is %q, %v", got, err)
		}
	}
	if entries, err := os.ReadDir(q.folder); err != nil || len(entries) != 3 {
		t.Errorf("the folder has %v, %v: not a queue's file, its cursor, and what was damaged", entries, err)
	}
	if got := takeAll(t, open(t, q.folder, 4_000)); got != "" {
		t.Errorf("the next process finds %q", got)
	}
}
