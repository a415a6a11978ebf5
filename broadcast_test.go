package longwire_test

import (
	"errors"
	"iter"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
)

func TestBroadcast(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: echo})
		var peers []*peer
		for range 50 {
			p := b.peer()
			p.sendFrame(1, "here")
			p.wantFrame(1)
			peers = append(peers, p)
		}
		large := strings.Repeat("x", 5000)
		for _, data := range []string{"small", large, "small again", large} {
			if queued, err := longwire.Broadcast(b.srv.Conns(), 7, longwire.Raw(data)); queued != len(peers) || err != nil {
				t.Fatalf("queued on %d connections: %v", queued, err)
			}
		}
		for _, p := range peers {
			for _, want := range []string{"small", large, "small again", large} {
				if got := p.wantFrame(7); got != want {
					t.Fatalf("got %.20q (%d bytes)", got, len(got))
				}
			}
			p.sendFrame(1, "and an answer") // nothing of it stays in buffers that are used again
			p.wantFrame(1)
		}
	})
}

func TestBroadcastThatFits(t *testing.T) {
	small := serve(t, tcp(), &longwire.Server{Handler: echo, Config: &longwire.Config{MaxFrame: 100}})
	large := serve(t, tcp(), &longwire.Server{Handler: echo})
	both := []*peer{small.peer(), large.peer()}
	for _, p := range both {
		p.sendFrame(1, "here")
		p.wantFrame(1)
	}
	all := func(yield func(*longwire.Conn) bool) {
		for _, conns := range []iter.Seq[*longwire.Conn]{small.srv.Conns(), large.srv.Conns()} {
			for c := range conns {
				if !yield(c) {
					return
				}
			}
		}
	}
	queued, err := longwire.Broadcast(all, 7, longwire.Raw(make([]byte, 200)))
	if _, ok := errors.AsType[*frame.Error](err); !ok || queued != 1 {
		t.Errorf("queued on %d connections, want 1; %v", queued, err)
	}
	if both[1].wantFrame(7) != string(make([]byte, 200)) {
		t.Error("got something else")
	}
	if queued, err := longwire.Broadcast(all, longwire.TypePing, nil); queued != 0 || err == nil {
		t.Errorf("a reserved type: %d, %v", queued, err)
	}
	if queued, err := longwire.Broadcast(all, 7, func() {}); queued != 0 || err == nil {
		t.Errorf("a function: %d, %v", queued, err)
	}
}

// A broadcast that waits on many connections is in memory once, and one that peers
// do not read does not wait for them.
func TestBroadcastIsInMemoryOnce(t *testing.T) {
	const conns, size = 400, 1 << 20
	b := serve(t, tcp(), &longwire.Server{Handler: echo})
	for range conns {
		p := b.peer()
		p.nc.(*net.TCPConn).SetReadBuffer(4 << 10)
		p.sendFrame(1, "here")
		p.wantFrame(1)
	}
	data := longwire.Raw(make([]byte, size-8))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	passed := 0
	for range 20 {
		queued, err := longwire.Broadcast(b.srv.Conns(), 7, data)
		if err != nil {
			t.Fatal(err)
		}
		passed += conns - queued
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 20*(size+conns*1000) {
		t.Errorf("20 broadcasts of %d bytes to %d connections allocated %d bytes", size, conns, grown)
	}
	if passed == 0 {
		t.Error("nobody was passed over, though nobody reads")
	}
}
