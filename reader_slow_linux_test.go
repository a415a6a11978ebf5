//go:build slow

package longwire_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/machine"
	"github.com/longwire/longwire/longwiretest"
)

// Faults row 31: a healthy reader, 50 ms away, of 1,000 bursts of 1,000 frames each is not cut
// off and gets all of them, in order: when they come one behind the other, and with fake time
// when it has read one before the next comes.
func TestHealthyReaderFarAway(t *testing.T) {
	both(t, func(t *testing.T, portable bool) {
		n := tcp()
		n.portable = portable
		readBursts(t, n, 0)
	})
	for name, pause := range map[string]time.Duration{"memory": 0, "memory with pauses": 100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { readBursts(t, memory(new(longwiretest.Network)), pause) })
		})
	}
}

func readBursts(t *testing.T, n network, pause time.Duration) {
	const bursts, frames, size, delay = 1000, 1000, 64, 50 * time.Millisecond
	b := serve(t, n, &longwire.Server{Config: &longwire.Config{WriteTimeout: 2 * time.Second}})
	p := b.through(delay).peer()
	p.nc.SetReadDeadline(time.Now().Add(10 * time.Minute))
	c := b.only()
	began := time.Now()
	pushed := make(chan error, 1)
	go func() {
		data := make([]byte, size)
		for i := range uint64(bursts * frames) {
			binary.BigEndian.PutUint64(data, i)
			if err := c.Push(t.Context(), 1, longwire.Raw(data)); err != nil {
				pushed <- err
				return
			}
			if i%frames == frames-1 && pause > 0 {
				time.Sleep(pause) // between two bursts
			}
		}
		pushed <- nil
	}()
	for i := range uint64(bursts * frames) {
		if got := binary.BigEndian.Uint64([]byte(p.wantFrame(1))); got != i {
			t.Fatalf("frame %d came in place of %d", got, i)
		}
	}
	if err := <-pushed; err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	t.Logf("all frames are there after %v", took)
	if took < delay+pause*(bursts-1) {
		t.Error("it was not far away")
	}
	if err := c.Err(); err != nil {
		t.Errorf("over: %v", err)
	}
}

// through returns the same server, behind a long cable.
func (b *bench) through(delay time.Duration) *bench {
	b.t.Helper()
	far := *b
	far.net.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		server, err := b.net.dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		client, here := longwiretest.Pipe()
		go cable(here, server, delay)
		go cable(server, here, delay)
		return client, nil
	}
	return &far
}

// cable passes on what arrives at one end, later, at the other.
func cable(from, to net.Conn, delay time.Duration) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	under := make(chan piece, 10_000) // way: enough that the delay does not make it slow
	go func() {
		defer close(under)
		for buf := make([]byte, 64<<10); ; {
			n, err := from.Read(buf)
			if n > 0 {
				under <- piece{bytes.Clone(buf[:n]), time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range under {
		time.Sleep(time.Until(p.due))
		to.Write(p.bytes) // when it fails, the other direction ends too
	}
	to.Close()
}

// Faults rows 28 and 29: a peer that never reads is cut off when it has taken nothing for
// WriteTimeout, and until then MaxOutbox bytes wait for it, not many fewer and not many more.
func TestPeerThatNeverReadsIsCut(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		if n.slow {
			t.Skip("megabytes")
		}
		t.Parallel()
		m := machine.Watch(t)
		const timeout, outbox = time.Second, 8 << 20 // of which one buffer may have been taken already
		b := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{WriteTimeout: timeout, MaxOutbox: outbox}})
		b.peer().here()
		c := b.only()
		pushed := make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				err = c.Push(t.Context(), 1, longwire.Raw(make([]byte, 1000)))
			}
			pushed <- err
		}()
		most, taken, since := int64(0), int64(0), time.Now()
		for c.Err() == nil && time.Since(since) < 30*time.Second {
			s := b.srv.Stats()
			if most = max(most, s.Unsent); s.BytesOut > taken {
				taken, since = s.BytesOut, time.Now()
			}
			time.Sleep(time.Millisecond) // a poll
		}
		after := time.Since(since)
		c.Close(longwire.ReasonKicked) // a guard: it is over
		t.Logf("it took %d bytes, and was cut off %v later, with %.3f of what may wait", taken, after, float64(most)/outbox)
		if e, ok := errors.AsType[*longwire.CloseError](<-pushed); !ok || e.Reason != longwire.ReasonWriteTimeout {
			t.Errorf("it is over with %v", e)
		}
		m.Want(after >= timeout-machine.Busy && after <= timeout+time.Second+machine.Busy, "it was cut off after %v, want %v and a second at most", after, timeout)
		if most < outbox*99/100 || most > outbox*11/10 {
			t.Errorf("%d bytes have waited at most, of %d that may", most, outbox)
		}
	})
}
