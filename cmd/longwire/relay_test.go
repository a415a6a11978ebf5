package main

import (
	"io"
	"net"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// A relay stands between the command and an API: its own address stays the same when the
// connections are cut, and when another gateway takes the place of the first.
type relay struct {
	l net.Listener

	mu    sync.Mutex
	to    string
	conns []net.Conn
}

// cmdRelay puts a relay before the API that is asked, or has the one that is there go to
// it; or it cuts the connections of the relay:
//
//	relay [cut]
func cmdRelay(ts *testscript.TestScript, neg bool, args []string) {
	r := ts.Value((*relay)(nil)).(*relay)
	switch {
	case neg || len(args) > 1 || len(args) == 1 && args[0] != "cut":
		ts.Fatalf("usage: relay [cut]")
	case len(args) == 1:
		r.cut()
		return
	case r.l == nil:
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		r.l = l
		var all sync.WaitGroup
		all.Go(func() { r.serve(&all) })
		ts.Defer(func() {
			l.Close()
			r.cut()
			all.Wait()
		})
	}
	r.mu.Lock()
	r.to = strings.TrimPrefix(ts.Getenv("LONGWIRE_API"), "http://")
	r.mu.Unlock()
	ts.Setenv("LONGWIRE_API", "http://"+r.l.Addr().String())
}

func (r *relay) serve(all *sync.WaitGroup) {
	for {
		from, err := r.l.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		to, err := net.Dial("tcp", r.to)
		if err != nil {
			from.Close()
		} else {
			r.conns = append(r.conns, from, to)
			all.Go(func() { pass(from, to) })
			all.Go(func() { pass(to, from) })
		}
		r.mu.Unlock()
	}
}

func pass(from, to net.Conn) {
	io.Copy(to, from)
	from.Close()
	to.Close()
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}
