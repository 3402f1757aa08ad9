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
