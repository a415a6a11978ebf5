//go:build slow

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/longwire/longwire/internal/queue"
)

// mountOrSkip mounts a file system for the test. Where that is not possible the test is skipped.
func mountOrSkip(t *testing.T, dir string, args ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	if _, err := mount(t, dir, args...); err != nil {
		t.Skipf("file systems cannot be mounted here: %v", err)
	}
}

// mount mounts a file system until the end of the test, or until it is unmounted.
func mount(t *testing.T, dir string, args ...string) (unmount func(), err error) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", append(args, dir)...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mount %s: %s", strings.Join(args, " "), out)
	}
	unmount = sync.OnceFunc(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %s", out)
		}
	})
	t.Cleanup(unmount)
	return unmount, nil
}

// TestPowerCut cuts the power again and again: what is on the disk at that moment, and not in
// the caches, is all that there is afterwards. The disk is an image in a file, and what the
// file system has not written yet is not in it. LONGWIRE_CUTS says how often.
func TestPowerCut(t *testing.T) {
	const boards, workers = 20, 8
	cuts := intFromEnv(t, "LONGWIRE_CUTS", 100)
	dir := t.TempDir()
	image := filepath.Join(dir, "disk")
	if err := exec.Command("truncate", "-s", "48M", image).Run(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
		t.Skipf("there is no mkfs.ext4: %s", out)
	}
	disk := filepath.Join(dir, "mounted")
	mountOrSkip(t, disk, "-o", "loop", image)

	f := newFleet(t, boards)
	var now atomic.Pointer[served]
	s := serveIn(t, disk+"/data", durable+"  max_size: 16MiB\nevents: {max_size: 4MiB}\nstore: {reserve: 4MiB}\n")
	f.address.Store(&s.boards)
	now.Store(s)
	var acked []ack
	for cut := range cuts {
		stop := make(chan struct{})
		result := make(chan []ack)
		var told atomic.Int64
		go func() { result <- clients(workers, boards, now.Load, stop, &told) }()
		if cut > 0 { // the first comes before anything may be on the disk
			time.Sleep(50*time.Millisecond + rand.N(100*time.Millisecond)) // the moment is what is tried
			wantTold(t, &told, 10)
		}
		cutAt := time.Now()
		s.cmd.Process.Signal(syscall.SIGSTOP)
		after := snapshot(t, image, filepath.Join(dir, fmt.Sprint("after", cut))) // a loop device may keep what was in the last one
		close(stop)
		s.cmd.Process.Signal(syscall.SIGCONT)
		for _, a := range <-result {
			if a.at.Before(cutAt) {
				acked = append(acked, a)
			}
		}
		wantAfterCut(t, after, filepath.Join(dir, fmt.Sprint("cut", cut)), acked, boards)
		if t.Failed() {
			t.Fatalf("after cut %d", cut)
		}
	}
	t.Logf("%d commands were acknowledged before %d cuts", len(acked), cuts)
}

// wantAfterCut checks that what was acknowledged is in the image of a disk.
func wantAfterCut(t *testing.T, image, dir string, acked []ack, boards int) {
	t.Helper()
	unmount, err := mount(t, dir, "-o", "loop", image)
	if err != nil {
		t.Fatal(err)
	}
	s := serveIn(t, dir+"/data", durable)
	commands := make(map[string]queue.Command)
	for i := range boards {
		for _, c := range s.commands(fmt.Sprint("board", i)) {
			commands[c.ID] = c
		}
	}
	s.kill()
	unmount()
	os.Remove(image)
	for _, a := range acked {
		switch c, there := commands[a.ID]; {
		case !there:
			t.Errorf("command %s of %s was acknowledged and is lost", a.ID, a.device)
		case a.cancelled && c.State != queue.Cancelled:
			t.Errorf("command %s of %s was cancelled and is %s", a.ID, a.device, c.State)
		}
	}
}

// snapshot copies an image as it is at one moment: twice, until both are the same.
func snapshot(t *testing.T, image, to string) string {
	t.Helper()
	for range 100 {
		a, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(a, b) {
			if err := os.WriteFile(to, a, 0o600); err != nil {
				t.Fatal(err)
			}
			return to
		}
	}
	t.Fatal("the image changes all the time")
	return ""
}

// TestFullDisk fills the disk to the last byte, once with and once without room that is kept free:
// commands are refused at once, boards and what is acknowledged stay, and when there is room
// again commands are taken again.
func TestFullDisk(t *testing.T) {
	for _, reserve := range []string{"4MiB", "off"} {
		t.Run("reserve "+reserve, func(t *testing.T) {
			disk := filepath.Join(t.TempDir(), "disk")
			mountOrSkip(t, disk, "-t", "tmpfs", "-o", "size=32m", "none")
			s := serveIn(t, disk+"/data", durable+"  max_size: 16MiB\nevents: {max_size: 4MiB}\nstore: {reserve: "+reserve+"}\n")
			f := newFleet(t, 5)
			f.calm.Store(true)
			f.address.Store(&s.boards)
			put := func(n int) (id string, status int, took time.Duration) {
				began := time.Now()
				var c queue.Command
				status, err := s.do("POST", "/v1/devices/away/commands", fmt.Sprintf(`{"type":16,"data":{"worker":0,"n":%d,"fill":"%s"}}`, n, strings.Repeat("x", 4000)), &c)
				if err != nil {
					t.Fatal(err)
				}
				return c.ID, status, time.Since(began)
			}
			acked := make(map[string]bool)
			n := 0
			for ; n < 100; n++ {
				id, status, _ := put(n)
				if status != http.StatusAccepted {
					t.Fatalf("status %d", status)
				}
				acked[id] = true
			}
			online := devicesOnline(t, s)
			if online == 0 {
				t.Fatal("the boards do not come")
			}

			fill(t, filepath.Join(disk, "fill"))
			refused, slowest := 0, time.Duration(0)
			over, elsewhere := make(chan struct{}), make(chan time.Duration)
			go func() { // what needs no disk
				worst := time.Duration(0)
				for {
					began := time.Now()
					s.do("GET", "/v1/devices/board1", "", nil)
					worst = max(worst, time.Since(began))
					select {
					case <-time.After(5 * time.Millisecond):
					case <-over:
						elsewhere <- worst
						return
					}
				}
			}()
			for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); n++ {
				id, status, took := put(n)
				switch status {
				case http.StatusAccepted: // there was still room in what the store had
					acked[id] = true
				case http.StatusInsufficientStorage, http.StatusServiceUnavailable:
					refused++
					slowest = max(slowest, took)
				default:
					t.Errorf("status %d", status)
				}
				if refused > 50 {
					time.Sleep(20 * time.Millisecond) // that it goes on is what is tried
				}
			}
			close(over)
			if machine := <-elsewhere; refused == 0 || slowest > 100*time.Millisecond+machine {
				t.Errorf("%d were refused, the slowest after %v, where what needs no disk took up to %v", refused, slowest, machine)
			}
			if got := devicesOnline(t, s); got != online {
				t.Errorf("%d of %d boards are connected", got, online)
			}
			if status, err := s.do("POST", "/v1/devices/board1/ask", `{"type":16,"data":{"worker":0,"n":0}}`, nil); err != nil || status != 200 {
				t.Errorf("a board is asked meanwhile: %d, %v", status, err)
			}

			if err := os.Remove(filepath.Join(disk, "fill")); err != nil {
				t.Fatal(err)
			}
			again := time.Now()
			for status := 0; status != http.StatusAccepted; n++ {
				var id string
				if id, status, _ = put(n); status == http.StatusAccepted {
					acked[id] = true
				}
				if time.Since(again) > 5*time.Second {
					t.Fatalf("%v after there is room again the status is %d", time.Since(again), status)
				}
			}
			t.Logf("%d refused, the slowest after %v; taken again after %v", refused, slowest, time.Since(again))
			s.kill()
			s = serveIn(t, disk+"/data", durable)
			for _, c := range s.commands("away") {
				delete(acked, c.ID)
			}
			if len(acked) > 0 {
				t.Errorf("%d commands were acknowledged and are lost", len(acked))
			}
		})
	}
}

// fill writes a file until there is no room any more.
func fill(t *testing.T, name string) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; {
		if _, err := file.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// devicesOnline returns how many boards are connected.
func devicesOnline(t *testing.T, s *served) int {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; {
		var page struct{ Devices []struct{ ID string } }
		if status, err := s.do("GET", "/v1/devices?online=true", "", &page); err != nil || status != 200 {
			t.Fatalf("status %d, %v", status, err)
		}
		if len(page.Devices) >= 5 {
			return len(page.Devices)
		}
		time.Sleep(5 * time.Millisecond) // a poll; nothing is decided by its length
	}
	return 0
}
