package storage_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/headwater-live/headwater/storage"
)

func TestPutWritesPartsOfAnyNumberAndSize(t *testing.T) {
	d := openDir(t, t.TempDir(), storage.Options{})
	rng := rand.New(rand.NewPCG(1, 2))
	for name, sizes := range map[string][]int{
		"nothing":        nil,
		"empty":          {0, 0},
		"slabs":          {131036, 131036, 131036, 131036, 125856},
		"large":          {1, 3<<20 + 1, 0, 1 << 20, 5},
		"many":           make([]int, 1000),
		"many and large": make([]int, 70),
	} {
		var parts [][]byte
		var want []byte
		for _, size := range sizes {
			switch name {
			case "many":
				size = rng.IntN(3)
			case "many and large":
				size = rng.IntN(100_000)
			}
			part := make([]byte, size)
			for i := range part {
				part[i] = byte(rng.Uint32())
			}
			parts, want = append(parts, part), append(want, part...)
		}
		if err := d.Put(t.Context(), name, parts); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f, err := d.Open(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(f)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
