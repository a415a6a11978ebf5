//go:build slow

package longwire_test

import (
	"context"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

// Faults row 35: Close, Push, Ask and pings race on both ends of 100,000 connections. Nothing
// panics, blocks or is left.
func TestCloseRacesForLong(t *testing.T) {
	for _, test := range []struct {
		name    string
		network network
		rounds  int
	}{
		{"memory", memory(new(longwiretest.Network)), 100_000},
		{"tcp", tcp(), 25_000}, // ports that have been used are not free again at once
	} {
		if underRaceDetector() {
			test.rounds /= 10 // it takes ten times as long
		}
		t.Run(test.name, func(t *testing.T) {
			b := serve(t, test.network, &longwire.Server{Handler: ok})
			const workers = 4
			var all sync.WaitGroup
			for worker := range workers {
				all.Go(func() {
					for i := worker; i < test.rounds && !t.Failed(); i += workers {
						b.race(i)
					}
				})
			}
			all.Wait()
			if s := b.srv.Stats(); s.FramesIn < int64(test.rounds) || s.FramesOut < int64(test.rounds)/2 {
				t.Errorf("little has happened: %+v", s)
			}
		})
	}
}

// race makes one connection of which everything happens at the same time.
func (b *bench) race(i int) {
	var raw net.Conn
	cl := &longwire.Client{Addr: b.addr, Handler: ok, DialContext: func(ctx context.Context, network, addr string) (nc net.Conn, err error) {
		raw, err = b.net.dial(ctx, network, addr)
		return raw, err
	}}
	c, err := cl.Dial(b.t.Context())
	if err != nil {
		b.t.Error(err)
		return
	}
	after := func(turns int, f func()) func() { // so that not always the same comes first
		return func() {
			for range turns {
				runtime.Gosched()
			}
			f()
		}
	}
	var all sync.WaitGroup
	all.Go(after(i%2, func() { c.Push(b.t.Context(), 1, i) }))
	all.Go(after(i%3, func() { c.Ask(b.t.Context(), 2, i, nil) }))
	all.Go(after(i%5, func() { raw.Write(wire(longwire.TypePing, "")) })) // in one piece, as all is that is so small
	all.Go(after(i%7, func() {
		for s := range b.srv.Conns() { // this one, and those of the others
			s.Push(b.t.Context(), 3, i)
			switch {
			case s.RemoteAddr().String() != raw.LocalAddr().String():
			case i%4 == 0:
				s.Close(longwire.ReasonKicked)
			default:
				s.Ask(b.t.Context(), 4, i, nil)
			}
		}
	}))
	all.Go(after(i%31, func() { c.Close(longwire.ReasonClosed) }))
	all.Wait()
	<-c.Done()
}
