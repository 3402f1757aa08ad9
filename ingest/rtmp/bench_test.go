package rtmp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/rawmessage"
	"github.com/yutopp/go-rtmp"
	gomessage "github.com/yutopp/go-rtmp/message"
)

const (
	benchMessage  = 20_000
	benchMessages = 25 // 500 kB: in the cache, as the buffer of a socket is
	benchRounds   = 60
)

// benchChunks returns a publication's chunks: alternating video and audio
// messages of 20 kB on two chunk streams.
func benchChunks(chunkSize int) []byte {
	payload := make([]byte, benchMessage)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(payload)
	payload[0] = 0x17
	var b []byte
	for i := range benchMessages {
		kind := uint8(TypeVideo)
		if i%2 == 1 {
			kind = TypeAudio
		}
		b = AppendMessage(b, chunkStreamFor(kind), kind, 1, uint32(i*20), chunkSize, payload)
	}
	return b
}

// looped repeats the same bytes for ever.
type looped struct {
	b  []byte
	at int
}

func (l *looped) Read(p []byte) (int, error) {
	if l.at == len(l.b) {
		l.at = 0
	}
	n := copy(p, l.b[l.at:])
	l.at += n
	return n, nil
}

// chunkReaders are the readers that are compared: each reads benchMessages from
// an endless source with every call.
var chunkReaders = []struct {
	name string
	make func(src io.Reader, chunkSize int) func() error
}{
	{"headwater", func(src io.Reader, chunkSize int) func() error {
		c := newChunkReader(src, new(counters))
		c.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
		c.chunkSize = chunkSize
		return func() error {
			for range benchRounds * benchMessages {
				if m, err := c.next(); err != nil || len(m.payload) != benchMessage {
					return errors.Join(err, errors.New("wrong message"))
				}
			}
			return nil
		}
	}},
	{"gortmplib", func(src io.Reader, chunkSize int) func() error {
		counter := bytecounter.NewReader(src)
		r := rawmessage.NewReader(counter, counter, func(uint32) error { return nil })
		err := r.SetChunkSize(uint32(chunkSize))
		return func() error {
			for range benchRounds * benchMessages {
				if m, err := r.Read(); err != nil || len(m.Body) != benchMessage {
					return errors.Join(err, errors.New("wrong message"))
				}
			}
			return err
		}
	}},
	{"go-rtmp", func(src io.Reader, chunkSize int) func() error {
		buffered := bufio.NewReaderSize(src, 4<<10) // as its connections have it
		return func() error {
			c := rtmp.NewChunkStreamer(buffered, io.Discard, nil) // a fresh one: it cannot send acknowledgements
			defer shut(c)
			if err := c.PeerState().SetChunkSize(uint32(chunkSize)); err != nil {
				return err
			}
			var m rtmp.ChunkMessage
			for range benchRounds * benchMessages {
				if _, _, err := c.Read(&m); err != nil {
					return err
				}
				// It hands out a view of a buffer that it uses again; what
				// outlives the next read must be copied.
				if err := keepMedia(m.Message); err != nil {
					return err
				}
			}
			return nil
		}
	}},
	{"bare-copy", bareCopy(minSlab, fresh(minSlab))},
	{"message-copy", bareCopy(benchMessage, fresh(benchMessage))},
	{"recycled-copy", bareCopy(minSlab, recycled())},
}

// The floors: the same bytes copied, and not looked at. bare-copy is into slabs,
// message-copy into an array for each message, both left to the collector, and
// recycled-copy into memory that is neither zeroed nor collected but is as cold
// as what was read some seconds ago.
const firstFloor = 3

// bareCopy reads as many bytes as the readers, in pieces of a size.
func bareCopy(size int, buffer func() []byte) func(io.Reader, int) func() error {
	return func(src io.Reader, _ int) func() error {
		return func() error {
			for left := benchRounds * benchMessages * benchMessage; left > 0; left -= size {
				if _, err := io.ReadFull(src, buffer()); err != nil {
					return err
				}
			}
			return nil
		}
	}
}

// fresh returns new memory; its sink keeps the compiler from putting it on the stack.
func fresh(size int) func() []byte {
	return func() []byte {
		floorSink = make([]byte, size)
		return floorSink
	}
}

var floorSink []byte

// recycled returns slabs in turn, of 64 MB: more than caches hold, as what waits
// for viewers is.
func recycled() func() []byte {
	var slabs [512][]byte
	turn := 0
	return func() []byte {
		turn = (turn + 1) % len(slabs)
		if slabs[turn] == nil {
			slabs[turn] = make([]byte, minSlab)
		}
		return slabs[turn]
	}
}

func keepMedia(m gomessage.Message) error {
	var r io.Reader
	switch m := m.(type) {
	case *gomessage.AudioMessage:
		r = m.Payload
	case *gomessage.VideoMessage:
		r = m.Payload
	}
	payload := make([]byte, benchMessage)
	_, err := io.ReadFull(r, payload)
	return err
}

// cpuTime returns the CPU time that the process has used, collection of garbage
// included.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkChunkReader compares the readers on the same bytes in the same run.
// An operation is 1500 messages of 20 kB with each reader in turn; the ratios
// are of CPU time, so a reader that makes the collector work pays for that too.
// No reader that leaves payloads to the collector can be faster than the bare
// copy: what it costs is nearly all for memory that is fresh. Before each turn as
// much memory as it takes is touched and collected: what the runtime has given
// back to the system costs page faults, and those hit the same readers each time,
// the ones that follow a reader that takes no memory.
//
// It runs beside 64 MB of live heap, as a server with some streams has: with the
// few MB of an empty process the collector would run all the time.
func BenchmarkChunkReader(b *testing.B) {
	heap := make([]byte, 64<<20)
	defer runtime.KeepAlive(heap)
	for _, chunkSize := range []int{128, 4096, 60000} {
		b.Run(fmt.Sprint(chunkSize), func(b *testing.B) {
			chunks := benchChunks(chunkSize)
			reads := make([]func() error, len(chunkReaders))
			for i, r := range chunkReaders {
				reads[i] = r.make(&looped{b: chunks}, chunkSize)
				if err := reads[i](); err != nil {
					b.Fatal(r.name, err)
				}
			}
			spent := make([]time.Duration, len(chunkReaders))
			allocs := make([]uint64, len(chunkReaders))
			order := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				for _, i := range order.Perm(len(reads)) {
					read := reads[i]
					touchMemory()
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					start := cpuTime()
					if err := read(); err != nil {
						b.Fatal(err)
					}
					spent[i] += cpuTime() - start
					runtime.ReadMemStats(&after)
					allocs[i] += after.Mallocs - before.Mallocs
				}
			}
			best := min(spent[1], spent[2])
			for i, r := range chunkReaders {
				b.ReportMetric(float64(len(chunks)*benchRounds*b.N)/1e6/spent[i].Seconds(), r.name+"-MB/cpu-s")
				b.ReportMetric(float64(allocs[i])/float64(b.N*benchRounds*benchMessages), r.name+"-allocs/msg")
			}
			b.ReportMetric(best.Seconds()/spent[0].Seconds(), "x-the-better")
			b.ReportMetric(spent[firstFloor].Seconds()/spent[0].Seconds(), "x-bare-copy")
			b.ReportMetric(best.Seconds()/spent[firstFloor].Seconds(), "bare-copy-x-the-better")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// touchMemory leaves the runtime more free memory than a reader takes for an
// operation, as warm or cold for each of them.
func touchMemory() {
	for range 2 * benchRounds * benchMessages * benchMessage / maxSlab {
		floorSink = make([]byte, maxSlab)
	}
	floorSink = nil
	runtime.GC()
}

// BenchmarkChunkReaderSocket compares the readers on TCP connections, where the
// number of reads counts too. The CPU time is that of the reading thread alone,
// system calls included, without the writer and the collector.
func BenchmarkChunkReaderSocket(b *testing.B) {
	for _, chunkSize := range []int{128, 4096, 60000} {
		b.Run(fmt.Sprint(chunkSize), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			chunks := benchChunks(chunkSize)
			reads := make([]func() error, len(chunkReaders))
			for i, r := range chunkReaders {
				client, server := tcpPair(b)
				var writer sync.WaitGroup
				writer.Go(func() {
					_, _ = io.Copy(client, onlyReader{&looped{b: chunks}}) // until the server's end is closed
				})
				defer func() { _ = server.Close(); writer.Wait() }()
				reads[i] = r.make(server, chunkSize)
			}
			spent := make([]time.Duration, len(chunkReaders))
			order := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				for _, i := range order.Perm(len(reads)) {
					read := reads[i]
					start := threadTime()
					if err := read(); err != nil {
						b.Fatal(chunkReaders[i].name, err)
					}
					spent[i] += threadTime() - start
				}
			}
			for i, r := range chunkReaders {
				b.ReportMetric(float64(len(chunks)*benchRounds*b.N)/1e6/spent[i].Seconds(), r.name+"-MB/cpu-s")
			}
			best := min(spent[1], spent[2])
			b.ReportMetric(best.Seconds()/spent[0].Seconds(), "x-the-better")
			b.ReportMetric(spent[firstFloor].Seconds()/spent[0].Seconds(), "x-bare-copy")
			b.ReportMetric(best.Seconds()/spent[firstFloor].Seconds(), "bare-copy-x-the-better")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// threadTime returns the CPU time that the calling thread has used.
func threadTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestReadingMediaAllocatesOnlySlabs(t *testing.T) {
	for _, chunkSize := range []int{128, 4096, 60000} {
		chunks := benchChunks(chunkSize)
		c := newChunkReader(bytes.NewReader(chunks), new(counters))
		c.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
		c.chunkSize = chunkSize
		const batch = benchMessages / 2
		perMessage := testing.AllocsPerRun(1, func() {
			for range batch {
				if _, err := c.next(); err != nil {
					t.Fatal(err)
				}
			}
		}) / batch
		if limit := 1.1 * benchMessage / (minSlab - minSlab/slabShare); perMessage > limit {
			t.Errorf("chunks of %d: %.3f allocations per message, want at most %.3f", chunkSize, perMessage, limit)
		}
	}
}
