package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/longwire/longwire/internal/store"
)

func init() { roles["fsync"] = appendWithoutSync }

// TestSyncFails has every fsync of a process fail. Nothing that was appended then may
// be acknowledged, not even later.
func TestSyncFails(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, appenders := range []string{"1", "32"} {
		c := exec.Command(self)
		c.Dir = t.TempDir()
		c.Env = append(os.Environ(), "LONGWIRE_TEST_ROLE=fsync", "LONGWIRE_TEST_APPENDERS="+appenders)
		out, err := c.CombinedOutput()
		if bytes.Contains(out, []byte("cannot: ")) {
			t.Skipf("%s", out)
		}
		if err != nil || string(out) != "PASS\n" {
			t.Errorf("with %s at once: %v\n%s", appenders, err, out)
		}
	}
}

// appendWithoutSync appends to a store in the current directory, first with fsync and
// then without, and prints what it finds wrong.
func appendWithoutSync() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := store.Open(ctx, store.Config{Dir: ".", Logs: []store.LogConfig{{Name: "log"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	l := s.Log("log")
	if _, err := l.Append(ctx, record("k", "")); err != nil {
		fmt.Println("with fsync:", err)
	}
	if err := failSyncs(); err != nil {
		fmt.Println("cannot:", err)
		return
	}
	appenders := 0
	fmt.Sscan(os.Getenv("LONGWIRE_TEST_APPENDERS"), &appenders)
	var wg sync.WaitGroup
	var slowest atomic.Int64
	late := lateness()
	for i := range appenders {
		wg.Go(func() {
			for n := range 5 {
				// One record alone is written in another way than several.
				records := []store.Record{record(fmt.Sprint("k", i, "/", n), "")}
				if appenders > 1 {
					records = append(records, record(fmt.Sprint("k", i), ""))
				}
				began := time.Now()
				_, err := l.Append(ctx, records...)
				if !errors.Is(err, store.ErrUnavailable) {
					fmt.Println("without fsync:", err)
				}
				for took := int64(time.Since(began)); ; {
					if before := slowest.Load(); took <= before || slowest.CompareAndSwap(before, took) {
						break
					}
				}
				if n == 3 {
					time.Sleep(500 * time.Millisecond) // in which it tries to recover
				}
			}
		})
	}
	wg.Wait()
	if took := time.Duration(slowest.Load()); took > 250*time.Millisecond+late() {
		fmt.Println("to say so took", took)
	}
	if err := s.Err(); !errors.Is(err, store.ErrUnavailable) {
		fmt.Println("Err:", err)
	}
	if _, err := l.Get(ctx, "k"); err != nil {
		fmt.Println("reading:", err)
	}
	fmt.Println("PASS")
}

// failSyncs lets every fsync of this process, of all its threads, return EIO.
func failSyncs() error {
	const (
		setFilter  = 1 // SECCOMP_SET_MODE_FILTER
		allThreads = 1 // SECCOMP_FILTER_FLAG_TSYNC
		load       = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal      = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret        = unix.BPF_RET | unix.BPF_K
	)
	filter := []unix.SockFilter{
		{Code: load, K: 0}, // the number of the system call
		{Code: equal, K: unix.SYS_FSYNC, Jt: 2},
		{Code: equal, K: unix.SYS_FDATASYNC, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EIO)},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, setFilter, allThreads, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return nil
}
