package e2e

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// cpuWaits notes how long a process's threads have waited for a CPU, by what the kernel says.
type cpuWaits struct {
	mu   sync.Mutex
	at   []time.Time
	wait []time.Duration // of all threads since the beginning, at that time
}

// cpuSampling is how often it looks.
const cpuSampling = 50 * time.Millisecond

// watchCPU watches a process until the test ends.
func watchCPU(t *testing.T, pid int) *cpuWaits {
	t.Helper()
	w := &cpuWaits{}
	threads := map[string]time.Duration{}
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(cpuSampling)
		defer ticker.Stop()
		for {
			w.note(time.Now(), waited(pid, threads))
			select {
			case <-over:
				return
			case <-ticker.C:
			}
		}
	})
	t.Cleanup(func() { close(over); watching.Wait() })
	return w
}

// waited adds up what the kernel says of each thread in schedstat: how long it ran, how long it
// was ready to run and waited, both in nanoseconds, and how many turns it had. A thread that has
// ended stays in the sum.
func waited(pid int, threads map[string]time.Duration) time.Duration {
	folder := fmt.Sprintf("/proc/%d/task/", pid)
	tasks, _ := os.ReadDir(folder) // a process that has ended waits no more
	for _, task := range tasks {
		stat, err := os.ReadFile(folder + task.Name() + "/schedstat")
		if err != nil {
			continue
		}
		var ran, waited time.Duration
		if _, err := fmt.Sscan(string(stat), &ran, &waited); err == nil {
			threads[task.Name()] = waited
		}
	}
	sum := time.Duration(0)
	for _, d := range threads {
		sum += d
	}
	return sum
}

func (w *cpuWaits) note(at time.Time, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.wait = append(w.at, at), append(w.wait, wait)
}

// between returns how long the process waited for a CPU in a stretch of time, by the samples
// around it.
func (w *cpuWaits) between(from, to time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var first, last time.Duration
	for i, at := range w.at {
		if i == 0 || !at.After(from) {
			first = w.wait[i]
		}
		last = w.wait[i]
		if at.After(to) {
			break
		}
	}
	return last - first
}
