package bench

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/longwire/longwire/frame"
)

// ConnsOptions say what [Conns] does. Only Addr or DialContext has to be there.
type ConnsOptions struct {
	// Addr, Conns, Type, Timeout and DialContext are those of [Options]; so is
	// Progress, which is called while connections are being opened.
	Addr        string
	Conns       int
	Type        frame.Type
	Timeout     time.Duration
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	Progress    func(Progress)

	// Silent opens the connections and sends nothing. Otherwise one frame with 64
	// bytes of data is exchanged on each, before they rest.
	Silent bool

	// Hold is how long the connections rest. Zero means not at all.
	Hold time.Duration

	// PID, if not zero, is the server's process on this machine, whose resident
	// memory is looked at before the first connection and after they have rested.
	PID int
}

// A ConnsReport is what [Conns] has measured.
type ConnsReport struct {
	Connect time.Duration // how long it took to open the connections
	Held    time.Duration // how long they rested
	Closed  int           // how many were over then

	// With a PID: its resident memory in bytes.
	MemoryBefore, MemoryAfter int64
}

// exchanged is how many bytes of data the frame of Conns has.
const exchanged = 64

// Conns opens connections, lets them rest, and closes them. When ctx ends they rest
// no longer. The error is a *MemoryError when the memory of the process cannot be
// read, a *[dial.LimitError] or a *ConnectError when the connections could not be opened,
// a *Failure when a frame was not echoed, and the cause of ctx when it ended before
// the connections could rest.
func Conns(ctx context.Context, o ConnsOptions) (*ConnsReport, error) {
	run := Options{
		Addr:        o.Addr,
		Conns:       o.Conns,
		Size:        exchanged,
		Type:        o.Type,
		Timeout:     o.Timeout,
		DialContext: o.DialContext,
		Progress:    o.Progress,
	}.withDefaults()
	var rep ConnsReport
	var err error
	if o.PID != 0 {
		if rep.MemoryBefore, err = memory(o.PID); err != nil {
			return nil, err
		}
	}
	begun := time.Now()
	conns, err := open(ctx, run)
	if err != nil {
		return nil, err
	}
	defer closeConns(conns)
	rep.Connect = time.Since(begun)
	if !o.Silent {
		if err := exchange(ctx, run, conns); err != nil {
			return nil, err
		}
	}

	resting := time.Now()
	select {
	case <-time.After(o.Hold):
	case <-ctx.Done():
	}
	rep.Held = time.Since(resting)
	if o.PID != 0 {
		if rep.MemoryAfter, err = memory(o.PID); err != nil {
			return nil, err
		}
	}
	rep.Closed = countClosed(conns)
	return &rep, nil
}

// exchange sends a frame on every connection and receives it again.
func exchange(ctx context.Context, o Options, ncs []net.Conn) error {
	sample, err := newSample(o.Type, o.Size)
	if err != nil {
		return err
	}
	r := newRun(o, sample)
	r.start = time.Now()
	return each(ctx, len(ncs), 64, func(ctx context.Context, i int) error {
		ncs[i].SetDeadline(time.Now().Add(o.Timeout))
		stop := context.AfterFunc(ctx, func() { ncs[i].SetDeadline(time.Now()) })
		defer stop()
		c := newConn(r, i, ncs[i])
		c.write(1)
		for c.answered.Load() == 0 {
			_, _, err := c.receive()
			if err == nil {
				continue
			}
			if f, ok := errors.AsType[*Failure](err); ok {
				f.Conn = i
				return f
			}
			if isTimeout(err) {
				return &Failure{i, Unanswered, "its frame was not answered within " + o.Timeout.String()}
			}
			return &Failure{i, Closed, ended(err)}
		}
		return nil
	}, func() { o.Progress(Progress{Opened: o.Conns}) })
}

// countClosed returns how many connections the server has ended.
func countClosed(conns []net.Conn) int {
	var closed atomic.Int64
	each(context.Background(), len(conns), 256, func(_ context.Context, i int) error {
		// A read that finds nothing at once finds nothing. The time is for a
		// machine that is busy.
		conns[i].SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		for rest := make([]byte, 512); ; {
			if _, err := conns[i].Read(rest); isTimeout(err) {
				return nil
			} else if err != nil {
				closed.Add(1)
				return nil
			}
		}
	}, func() {})
	return int(closed.Load())
}
