package longwire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limits bounds what the connections of one [Server] or [Client] may use together, and
// how fast one of them may be. What one connection may hold is in [Config]: MaxFrame,
// MaxInbox, MaxOutbox.
type Limits struct {
	// Conns is how many connections a Server has at most. One over it ends at once,
	// with [ReasonTooMany]. Zero means as many as the process may open files
	// (RLIMIT_NOFILE), less 64 or half of them; negative means no limit.
	Conns int

	// ConnsPerAddr is how many of them may come from one IP address, or from one
	// /64 network of IPv6. Zero and negative mean no limit: fleets share addresses.
	ConnsPerAddr int

	// Strangers is how many peers may be waiting for Server.Admit. When there are as
	// many, no more are accepted until one is admitted; after a second of that, those
	// that have taken longer than a second end, with [ReasonTooMany]. Zero means
	// 1,000; negative means no limit.
	Strangers int

	// Handshakes is how many TLS handshakes are worked on at a time, when TLS is set;
	// others wait. Zero and negative mean 64.
	Handshakes int

	// AcceptRate is how many connections are accepted per second, a tenth of that
	// at once. The others wait in the listener's queue. Zero and negative mean no
	// limit.
	AcceptRate int

	// FrameRate and ByteRate are how many frames and bytes per second are taken from
	// one connection. When there are more, reading pauses until the next second, or
	// after a frame of more than ByteRate for as many seconds as it is worth, 30 at most;
	// nobody ends for that, and what else the peer sends stays with it, but for a
	// little that is bounded by Unfinished. Zero and negative mean no limit.
	FrameRate, ByteRate int

	// Questions is how many questions of this side may wait for their answers on one
	// connection, with those of AskByType that wait for their turn; Ask returns
	// [ErrTooManyQuestions] beyond. Zero means 1,024; negative means no limit.
	Questions int

	// Handlers is how many handlers may run at a time; messages wait for their turn.
	// Zero and negative mean no limit.
	Handlers int

	// Waiting is how many bytes of messages may wait for their handlers, on all
	// connections, with those that are being handled and those behind them. When there
	// are more, nothing is read from connections on which some wait, but where an Ask
	// waits for its answer. Zero means 256 MiB, or a quarter of GOMEMLIMIT if that is
	// less; negative means no limit.
	Waiting int

	// Unfinished is how many bytes of frames that have begun to arrive, and have not
	// ended, may be in memory. When there are more, the connections with the most of
	// them end, with [ReasonOverload]. Zero means 64 MiB, or an eighth of GOMEMLIMIT
	// if that is less; negative means no limit.
	//
	// As much again may be held of what peers over FrameRate or ByteRate have sent ahead,
	// for which nobody ends. When there is more, nothing is read ahead, and every read is
	// of at most 4 KiB; so 20,000 peers over their rate hold 64 MiB and 4 KiB each. Reads that have begun before may still bring 64 KiB: one on
	// each processor, or, with TLS or Config.Portable, one for each connection that has
	// been busy.
	Unfinished int

	// Unsent is how many bytes may wait to be sent to peers that have stopped
	// reading, without the larger frames of a Broadcast, which are in memory once for all of
	// them. When there are more, the connections with the most of them end, with
	// [ReasonOverload]. Zero means 256 MiB, or a quarter of GOMEMLIMIT if that is
	// less; negative means no limit.
	Unsent int
}

// ErrTooManyQuestions is the error of Ask when [Limits.Questions] are waiting for their
// answers.
var ErrTooManyQuestions = errors.New("longwire: too many questions wait for their answers")

func (l *Limits) build() {
	if l.Conns == 0 {
		files := filesLimit()
		l.Conns = max(files-64, files/2)
	}
	orDefault(&l.Strangers, 1000)
	if l.Handshakes <= 0 {
		l.Handshakes = 64
	}
	orDefault(&l.Questions, 1024)
	memory := int(min(debug.SetMemoryLimit(-1), math.MaxInt))
	orDefault(&l.Waiting, min(256<<20, memory/4))
	orDefault(&l.Unfinished, min(64<<20, memory/8))
	orDefault(&l.Unsent, min(256<<20, memory/4))
	for _, limit := range []*int{&l.Conns, &l.ConnsPerAddr, &l.Strangers, &l.FrameRate, &l.ByteRate, &l.Questions, &l.Waiting, &l.Unfinished, &l.Unsent} {
		if *limit <= 0 {
			*limit = math.MaxInt
		}
	}
}

// load is what the connections of an endpoint use of what Limits bounds.
type load struct {
	strangers  atomic.Int64
	fullSince  atomic.Uint32 // tick since when there have been as many as there may be, but for moments
	waiting    atomic.Int64
	unfinished atomic.Int64
	ahead      atomic.Int64 // memory of what peers over their rate have sent ahead
	unsent     atomic.Int64
	admitted   chan struct{}        // holds a token when a stranger has become none
	addrs      map[netip.Prefix]int // connections by source; guarded by endpoint.mu
	pace       *rate.Limiter        // of accepting, over all listeners; nil when there is no limit
	handshakes slots                // taken by handshakes that are worked on
	pressure   atomic.Bool          // so much memory is in use that no more is accepted
}

// crowdedLocked counts a new connection. It returns why it must end at once, if it
// must. e.mu is held.
func (e *endpoint) crowdedLocked(c *Conn) error {
	if e.dials {
		return nil
	}
	if e.Limits.ConnsPerAddr != math.MaxInt {
		if e.load.addrs == nil {
			e.load.addrs = make(map[netip.Prefix]int)
		}
		from := sourceOf(c.RemoteAddr())
		if e.load.addrs[from]++; e.load.addrs[from] > e.Limits.ConnsPerAddr {
			return fmt.Errorf("there are %d connections from %v, as many as there may be", e.Limits.ConnsPerAddr, from)
		}
	}
	if len(e.conns) > e.Limits.Conns {
		return fmt.Errorf("there are %d connections, as many as there may be", e.Limits.Conns)
	}
	return nil
}

// leftLocked takes back what crowdedLocked has counted.
func (e *endpoint) leftLocked(c *Conn) {
	if e.load.addrs == nil {
		return
	}
	from := sourceOf(c.RemoteAddr())
	if e.load.addrs[from]--; e.load.addrs[from] <= 0 {
		delete(e.load.addrs, from)
	}
}

// sourceOf returns what an address is counted as.
func sourceOf(a net.Addr) netip.Prefix {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{} // a network without such addresses is one source
	}
	ip := ap.Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(ip, bits).Masked()
}

// noStranger is told when a peer has been admitted, or its connection is over first.
func (e *endpoint) noStranger() {
	e.load.strangers.Add(-1)
	select {
	case e.load.admitted <- struct{}{}:
	default:
	}
}

// waitForRoom waits until another connection may be accepted. It returns false when
// stop is closed.
func (e *endpoint) waitForRoom(stop <-chan struct{}) bool {
	if !e.tooManyStrangers() {
		e.load.fullSince.Store(0)
	}
	for e.load.pressure.Load() || e.tooManyStrangers() {
		now := e.now()
		e.load.fullSince.CompareAndSwap(0, uint32(now))
		if since := tick(e.load.fullSince.Load()); since != 0 && late(now, since, time.Second) {
			e.load.fullSince.Store(0)
			e.endOldStrangers()
			continue
		}
		timer := time.NewTimer(time.Second)
		select {
		case <-e.load.admitted:
		case <-timer.C:
		case <-stop:
			timer.Stop()
			return false
		}
		timer.Stop()
	}
	return true
}

// tooManyStrangers reports whether there are as many as there may be.
func (e *endpoint) tooManyStrangers() bool {
	return e.load.strangers.Load() >= int64(e.Limits.Strangers)
}

// endOldStrangers makes room for others who want to be admitted.
func (e *endpoint) endOldStrangers() {
	if !e.tooManyStrangers() {
		return
	}
	now := e.now()
	for _, c := range e.snapshot(nil) {
		if since := c.strangerSince(); since != 0 && late(now, since, time.Second) {
			c.close(&CloseError{Reason: ReasonTooMany, Err: errors.New("others want to be admitted")}, true)
		}
	}
}

// shed ends the connections that use the most, until use is a tenth under the limit.
func (e *endpoint) shed(use *atomic.Int64, limit int, what string, of func(*rare) int) {
	type user struct {
		c *Conn
		n int
	}
	var users []user
	for _, c := range e.snapshot(nil) {
		c.mu.Lock()
		if c.rare != nil && c.phase != over && of(c.rare) > 0 {
			users = append(users, user{c, of(c.rare)})
		}
		c.mu.Unlock()
	}
	slices.SortFunc(users, func(a, b user) int { return cmp.Compare(b.n, a.n) })
	for _, u := range users {
		if use.Load() <= int64(limit-limit/10) {
			return
		}
		u.c.close(&CloseError{Reason: ReasonOverload, Err: fmt.Errorf("%d bytes %s, of all there may be %d", u.n, what, limit)}, false)
	}
}

func (e *endpoint) shedUnfinished(limit int) {
	e.shed(&e.load.unfinished, limit, "of an unfinished frame", func(r *rare) int { return r.unfinished })
}

func (e *endpoint) shedUnsent(limit int) {
	e.shed(&e.load.unsent, limit, "are not read", func(r *rare) int { return r.unsent })
}

// countHeldLocked notes how many bytes have arrived and are no whole frame yet, or how
// many are held as they have been sent ahead.
func (c *Conn) countHeldLocked(unfinished, ahead int) (tooMuch bool) {
	if c.rare == nil && unfinished == 0 && ahead == 0 {
		return false
	}
	r := c.rareLocked()
	uses(&c.end.load.ahead, &r.ahead, ahead, math.MaxInt)
	return uses(&c.end.load.unfinished, &r.unfinished, unfinished, c.end.Limits.Unfinished)
}

// muchAhead reports whether peers over their rate have sent so much ahead that
// connections read little at a time, and nothing ahead. What one read brings cannot be
// left with its sender any more, and it may be many frames for a peer that may send few.
func (e *endpoint) muchAhead() bool { return e.load.ahead.Load() >= int64(e.Limits.Unfinished) }

// countUnsentLocked notes how many bytes wait for a peer that has stopped reading, without those
// that others have too: these are in memory once, and to end the connection would not free them.
func (c *Conn) countUnsentLocked() (tooMuch bool) {
	n := 0
	if c.sendFrom != 0 && c.phase != over {
		if n, _ = c.queuedLocked(); c.out != nil {
			n -= c.out.shares
		}
		if !c.common {
			n += c.sending
		}
	}
	if c.rare == nil && n == 0 {
		return false
	}
	return uses(&c.end.load.unsent, &c.rareLocked().unsent, n, c.end.Limits.Unsent)
}

// uses changes what a connection uses of something to n. It reports whether that is
// more than before, and all connections use more than the limit.
func uses(all *atomic.Int64, mine *int, n, limit int) (tooMuch bool) {
	more := n - *mine
	if more == 0 {
		return false
	}
	*mine = n
	return all.Add(int64(more)) > int64(limit) && more > 0
}

// inboxFullLocked reports whether no more messages should join those that wait for the
// handler.
func (c *Conn) inboxFullLocked() bool {
	return c.inbox.full(c.end.MaxInbox) || c.inbox != nil && c.end.load.waiting.Load() >= int64(c.end.Limits.Waiting)
}

// throttledLocked reports whether the peer has sent all that it may in this second.
func (c *Conn) throttledLocked() bool {
	l := &c.end.Limits
	return c.rare != nil && (int(c.rare.frames) >= l.FrameRate || c.rare.bytes >= l.ByteRate)
}

// rateLeftLocked returns how much may still be taken from the peer in this second.
func (c *Conn) rateLeftLocked() (frames, bytes int) {
	frames, bytes = c.end.Limits.FrameRate, c.end.Limits.ByteRate
	if c.rare != nil {
		frames, bytes = frames-int(c.rare.frames), bytes-c.rare.bytes
	}
	return frames, bytes
}

// countRateLocked counts what has been taken from the peer in this second.
func (c *Conn) countRateLocked(frames, bytes int) {
	if c.end.rated {
		r := c.rareLocked()
		r.frames += int32(frames)
		r.bytes += bytes
	}
}

// mostOwed is for how many seconds a large frame may hold up what comes behind it: a peer whose pings
// are not read for longer would give this side up.
const mostOwed = 30

// owed returns how much of what has been taken in this second counts in the next one.
func owed(bytes, rate int) int {
	return min(max(bytes-rate, 0), max(rate, rate*mostOwed)) // a rate of no limit overflows
}

// limited is a handler of which so many run at a time.
type limited struct {
	Handler
	slots chan struct{}
}

func (l limited) Handle(ctx context.Context, m *Message) (any, error) {
	select {
	case l.slots <- struct{}{}:
	default:
		yield(ctx)
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	defer func() { <-l.slots }()
	return l.Handler.Handle(ctx, m)
}

// relieve looks at the memory of the process, once a second, when it has a limit
// (GOMEMLIMIT). Over 80 % of it nothing more is accepted, over 90 % the connections end
// that use the most. The idea is Envoy's overload manager.
func (e *endpoint) relieve() {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return
	}
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	used := int64(samples[0].Value.Uint64() + samples[1].Value.Uint64()) // and not what is garbage
	high := used > limit/10*8
	if e.load.pressure.Swap(high) != high {
		e.Logger.Warn("memory", "used", used, "limit", limit, "accepting", !high)
	}
	if used > limit/10*9 {
		e.shedUnfinished(int(e.load.unfinished.Load()) / 2)
		e.shedUnsent(int(e.load.unsent.Load()) / 2)
	}
}
