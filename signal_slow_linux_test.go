//go:build slow

package longwire_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/machine"
)

const crowd = 1997 // idle peers; with the others there are 2,000

func init() {
	// Idle peers, every other one of which knows pings and so goaway.
	roles["crowd"] = func() {
		var mu sync.Mutex // guards what follows
		goaways, strayed, lost := 0, 0, 0
		var ended sync.WaitGroup
		for i := range crowd {
			nc, err := net.Dial("tcp", os.Getenv("LONGWIRE_TEST_ADDR"))
			if err != nil {
				panic(err)
			}
			r, polite := frame.NewReader(nc, nil), i%2 == 0
			if polite {
				nc.Write(wire(longwire.TypePing, ""))
				if _, err := r.Next(); err != nil {
					panic(err)
				}
			}
			ended.Go(func() {
				for {
					f, err := r.Next()
					mu.Lock()
					switch {
					case errors.Is(err, io.EOF):
					case err != nil:
						lost++
					case polite && f.Type == longwire.TypeGoaway:
						goaways++
					default:
						strayed++
					}
					mu.Unlock()
					if err != nil {
						nc.Close()
						return
					}
				}
			})
		}
		fmt.Println("there")
		ended.Wait()
		fmt.Println("ended", goaways, strayed, lost)
	}
}

// Faults row 48: a process with 2,000 connections is told to end. One handler waits for the
// end of its connection and one for ever, and one peer does not read the megabytes that are
// queued for it; all others leave in good order, and the process ends when its time is up, with
// status 0.
func TestSignalEndsAProcess(t *testing.T) {
	both(t, func(t *testing.T, portable bool) {
		const drain = 3 * time.Second
		t.Setenv("GORACE", "atexit_sleep_ms=0") // or the race detector ends no process within a second
		server := startServer(t, setup{Portable: portable, Drain: drain, MaxOutbox: 4 << 20})
		t.Setenv("LONGWIRE_TEST_ADDR", server.addr)
		others := start(t, "crowd")
		others.hear("there")
		server.dial().Write(wire(typeStuck, ""))
		server.dial().Write(wire(typeForEver, ""))
		deaf, err := overEthernet.Dial("tcp", server.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer deaf.Close()
		deaf.Write(wire(typeFill, ""))
		server.wait(func(s counted) bool { return s.Open == crowd+3 && s.FramesIn == crowd/2+1+3 && s.Unsent > 3<<20 })

		m, told := machine.Watch(t), time.Now()
		server.cmd.Process.Signal(syscall.SIGTERM)
		var goaways, strayed, lost int
		if _, err := fmt.Sscan(others.hear("ended"), &goaways, &strayed, &lost); err != nil {
			t.Fatal(err)
		}
		left := time.Since(told)
		err = server.cmd.Wait()
		took := time.Since(told)
		t.Logf("the idle ones have left after %v, %d of them with a goaway; the process has ended after %v", left, goaways, took)
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
		if strayed != 0 || took < drain {
			t.Errorf("%d frames that nobody expects; it has ended after %v, though a handler is stuck", strayed, took)
		}
		m.Want(left <= drain && goaways == crowd/2+1 && lost == 0, "the idle ones have left after %v, with %d goaways, and %d were reset", left, goaways, lost)
		m.Want(took <= drain+time.Second, "it has ended after %v, told to within %v", took, drain)
	})
}
