package load

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of times in /proc: USER_HZ, which is 100 on every architecture that Go runs on.
const tick = time.Second / 100

// UsageOf returns what a process and all of its descendants use: servers such as nginx do their work in
// children. A child that ends takes its CPU time with it, so that the time may seem to go back.
func UsageOf(pid int) (Usage, error) {
	if _, err := os.Stat(procPath(pid, "stat")); err != nil {
		return Usage{}, fmt.Errorf("read the usage of process %d: %w", pid, err)
	}
	children, err := allChildren()
	if err != nil {
		return Usage{}, fmt.Errorf("list processes: %w", err)
	}
	var sum Usage
	seen := map[int]bool{}
	for next := []int{pid}; len(next) > 0; {
		p := next[0]
		next = next[1:]
		if seen[p] {
			continue
		}
		seen[p] = true
		next = append(next, children[p]...)
		u, err := usageOfOne(p)
		if err != nil && p == pid {
			return Usage{}, fmt.Errorf("read the usage of process %d: %w", pid, err)
		}
		sum.CPU += u.CPU
		sum.RSS += u.RSS
		sum.PSS += u.PSS
	}
	return sum, nil
}

// ownUsage is of this process alone: the server may be a child of it.
func ownUsage() (Usage, error) { return usageOfOne(os.Getpid()) }

func procPath(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

// allChildren returns the children of every process that has any.
func allChildren() (map[int][]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := readStat(pid)
		if err != nil {
			continue // it has ended meanwhile
		}
		children[stat.parent] = append(children[stat.parent], pid)
	}
	return children, nil
}

func usageOfOne(pid int) (Usage, error) {
	stat, err := readStat(pid)
	if err != nil {
		return Usage{}, err
	}
	u := Usage{CPU: stat.cpu, RSS: stat.rss}
	// Of other users' processes it is not readable: then it stays unknown.
	if rollup, err := os.ReadFile(procPath(pid, "smaps_rollup")); err == nil {
		u.PSS = pssOf(rollup)
	}
	return u, nil
}

type procStat struct {
	parent int
	cpu    time.Duration
	rss    int64
}

// readStat reads /proc/PID/stat (proc(5)): the command's name, in parentheses, may hold anything, so the fields
// are counted from the last of these.
func readStat(pid int) (procStat, error) {
	b, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(b)
}

func parseStat(b []byte) (procStat, error) {
	const parent, userTime, systemTime, pages = 1, 11, 12, 21 // fields behind the name, from 0
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) <= pages {
		return procStat{}, errors.New("too few fields")
	}
	var s procStat
	var ticks, held int64
	for _, f := range []struct {
		at int
		to *int64
	}{{userTime, &ticks}, {systemTime, &ticks}, {pages, &held}} {
		n, err := strconv.ParseInt(string(fields[f.at]), 10, 64)
		if err != nil {
			return procStat{}, err
		}
		*f.to += n
	}
	n, err := strconv.Atoi(string(fields[parent]))
	if err != nil {
		return procStat{}, err
	}
	s.parent, s.cpu, s.rss = n, time.Duration(ticks)*tick, held*int64(os.Getpagesize())
	return s, nil
}

// pssOf finds the line "Pss: N kB".
func pssOf(rollup []byte) int64 {
	for line := range bytes.Lines(rollup) {
		fields := bytes.Fields(line)
		if len(fields) >= 2 && string(fields[0]) == "Pss:" {
			n, _ := strconv.ParseInt(string(fields[1]), 10, 64) // 0 is unknown
			return n << 10
		}
	}
	return 0
}
