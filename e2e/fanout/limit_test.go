package fanout

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// limitEnv makes the test's binary the thread that only writes: "viewers picture sound interval".
const limitEnv = "FANOUT_LIMIT"

func TestMain(m *testing.M) {
	if args := os.Getenv(limitEnv); args != "" {
		if err := onlyWrite(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// startLimit starts that process and returns it with its address.
func startLimit(b *testing.B, s stream, viewers int, latency time.Duration) (pid int, addr string, stop func()) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %d %d", limitEnv, viewers, s.picture, s.sound, latency))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	b.Cleanup(stop)
	addr, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return cmd.Process.Pid, strings.TrimSpace(addr), stop
}

func onlyWrite(args string) error {
	var v [4]int
	for i, field := range strings.Fields(args) {
		v[i], _ = strconv.Atoi(field)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	var fds []uintptr
	var conns []net.Conn
	for range v[0] {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		raw, err := nc.(*net.TCPConn).SyscallConn()
		if err != nil {
			return err
		}
		if err := raw.Control(func(fd uintptr) { fds = append(fds, fd) }); err != nil {
			return err
		}
		conns = append(conns, nc)
	}
	defer runtime.KeepAlive(conns)
	runtime.LockOSThread()
	writeAll(fds, stream{v[1], v[2]}, time.Duration(v[3]))
	return nil
}

// writeAll writes each message to all, or what has gathered since the first one's interval began.
func writeAll(fds []uintptr, s stream, interval time.Duration) {
	buf := make([]byte, 16<<20)
	began := time.Now()
	sleep := func(until time.Duration) {
		if d := time.Until(began.Add(until)); d > 0 {
			ts := syscall.NsecToTimespec(int64(d))
			_ = syscall.Nanosleep(&ts, nil)
		}
	}
	waiting, due := 0, time.Duration(-1)
	s.messages(func(m message) bool {
		for due >= 0 && m.at >= due {
			sleep(due)
			for _, fd := range fds {
				_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(waiting))
			}
			waiting, due = 0, -1
		}
		waiting += m.size + 27
		if due < 0 {
			due = m.at + interval
		}
		return true
	})
}
