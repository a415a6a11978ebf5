//go:build slow

package longwire_test

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/machine"
)

func init() {
	roles["memory"] = func() {
		srv := &longwire.Server{Handler: echo, Config: &longwire.Config{Portable: os.Getenv("PORTABLE") != ""}}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		go srv.Serve(l)
		fmt.Println("listening", l.Addr())
		var word string
		fmt.Scanln(&word)
		fmt.Println("closed", srv.Stats().Closed)
	}
}

// Faults row 27: with GOMEMLIMIT at 96 MiB, 500 peers that send 20 MB/s of questions and
// read no answers do not take the process beyond 128 MiB, or with the portable driver, which
// has a buffer for each, beyond 192, and an honest peer is answered.
func TestMemoryLimit(t *testing.T) {
	for driver, limit := range map[string]int{"": 128 << 20, "portable": 192 << 20} {
		t.Setenv("PORTABLE", driver)
		t.Setenv("GOMEMLIMIT", "96MiB")
		server := start(t, "memory")
		addr := server.hear("listening")
		honest, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer honest.Close()
		answers := frame.NewReader(honest, nil)
		flood := wire(1, string(make([]byte, 100_000)))
		for range 500 {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			go func() {
				for {
					if _, err := nc.Write(flood); err != nil {
						return
					}
				}
			}()
		}
		m, worst, most := machine.Watch(t), time.Duration(0), 0
		for range 100 {
			began := time.Now()
			honest.Write(wire(2, "here"))
			if _, err := answers.Next(); err != nil {
				t.Fatal(err)
			}
			worst = max(worst, time.Since(began))
			most = max(most, server.memory("VmRSS"))
			time.Sleep(50 * time.Millisecond) // the pace of the honest one
		}
		server.tell("count")
		t.Logf("%s: %d MiB at most, the honest peer was answered within %v; over: %s", driver, most>>20, worst, server.hear("closed"))
		m.Want(worst <= time.Second, "%s: the honest peer has waited for %v", driver, worst)
		if most > limit {
			t.Errorf("%s: %d bytes of memory, more than %d", driver, most, limit)
		}
	}
}
