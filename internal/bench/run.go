// Package bench is the load side of "longwire bench": connections that send frames
// to a server that echoes them, verify every answer, and measure.
//
// Its connections are plain ones with package frame on top, not the library's, so
// that a machine which runs both ends spends its time on the server. When it is done
// it resets them.
package bench

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/latency"
)

// Options say what [Run] does. Only Addr or DialContext has to be there.
type Options struct {
	// Addr is the server's TCP address.
	Addr string

	// Conns is how many connections to open. Zero means 1.
	Conns int

	// Depth is how many frames are in flight on each connection: the next is sent
	// when an answer has come. Zero means 1. It has no meaning with a Rate.
	Depth int

	// Rate, if not zero, is how many frames per second to send, over all
	// connections: each at its time, whether or not answers have come. Latency is
	// then measured from that time on, so that what waits because the server, or
	// this side, is slow is not left out.
	Rate int

	// Size is how many bytes of data a frame has. With 8 and more they begin with
	// the number of the frame on its connection, so that an answer that is lost,
	// repeated or out of order is noticed.
	Size int

	// Type is the type of the frames.
	Type frame.Type

	// Warmup is how long to send before the measuring begins.
	Warmup time.Duration

	// Duration is how long to measure. Zero means 10 s.
	Duration time.Duration

	// Timeout is how long a connection may take to open, and how long after the
	// end answers may come that are missing. Zero means 10 s.
	Timeout time.Duration

	// DialContext connects, in place of a [net.Dialer]; for tests.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// Progress, if not nil, is called once a second.
	Progress func(Progress)
}

const (
	defaultDuration = 10 * time.Second
	defaultTimeout  = 10 * time.Second
)

func (o Options) withDefaults() Options {
	o.Conns = max(o.Conns, 1)
	o.Depth = max(o.Depth, 1)
	if o.Duration == 0 {
		o.Duration = defaultDuration
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return o
}

// Progress is how far a run has come.
type Progress struct {
	Opened    int           // connections
	Elapsed   time.Duration // since the first frame was sent; 0 before
	Warmup    bool          // the measuring has not begun
	Frames    int64         // answers so far, those of the warmup too
	PerSecond float64       // answers per second since the last call
	Errors    int64
}

// A Report is what a run has measured.
type Report struct {
	FrameSize int           // bytes of a frame, head to tail
	Connect   time.Duration // how long it took to open the connections
	Elapsed   time.Duration // how long it was measured
	Frames    int64         // right answers that came in that time
	Latency   latency.Percentiles
	Schedule  *Schedule // nil without a rate
	Errors    map[Kind]int64
	First     *Failure // nil when there is no error
}

// A Schedule says how well the frames of a run with a rate were sent at their times.
type Schedule struct {
	Late   int64         // sent more than LateBy after their time
	Unsent int64         // not sent at all
	MaxLag time.Duration // the longest time after its time that a frame was sent
}

// Kept reports whether all frames were sent at their times.
func (s *Schedule) Kept() bool { return s.Late == 0 && s.Unsent == 0 }

// FramesPerSecond returns the rate of right answers.
func (r *Report) FramesPerSecond() float64 { return perSecond(r.Frames, r.Elapsed) }

// BytesPerSecond returns how many bytes of right answers have come per second. As
// many went the other way.
func (r *Report) BytesPerSecond() float64 {
	return perSecond(r.Frames*int64(r.FrameSize), r.Elapsed)
}

// ErrorCount returns how many errors there were, of all kinds.
func (r *Report) ErrorCount() (n int64) {
	for _, of := range r.Errors {
		n += of
	}
	return n
}

func perSecond(n int64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(n) / in.Seconds()
}

// Run opens connections, loads them, and returns what it has measured. Wrong and
// missing answers are in the report: a connection that brought one sends no more,
// the others go on. When ctx ends, Run ends early, with the report of what was
// measured by then.
//
// The error is a *[dial.LimitError] or a *ConnectError when the connections could not be
// opened, and the cause of ctx when it ended before anything was measured.
func Run(ctx context.Context, o Options) (*Report, error) {
	o = o.withDefaults()
	sample, err := newSample(o.Type, o.Size)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	ncs, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	connect := time.Since(begun)
	defer closeConns(ncs)
	r := newRun(o, sample)
	for i, nc := range ncs {
		r.conns = append(r.conns, newConn(r, i, nc))
	}
	r.load(ctx)
	report := r.report()
	report.Connect = connect
	if report.Elapsed == 0 && len(report.Errors) == 0 && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return report, nil
}

// newSample returns the frame that is sent, with zeros where its number stands.
func newSample(t frame.Type, size int) ([]byte, error) {
	data := bytes.Repeat([]byte{'6'}, size)
	if numbered(data) {
		clear(data[:numberSize])
	}
	return frame.Default.Append(nil, t, data)
}

const (
	dataAt     = 7 // head, length and type of the default frame stand before the data
	numberSize = 8
)

func numbered(data []byte) bool { return len(data) >= numberSize }

// run is a run at work. Times are nanoseconds since its start.
type run struct {
	Options
	sample []byte // a whole frame
	config *frame.Config
	conns  []*conn
	shards []shard
	start  time.Time

	until       atomic.Int64  // when sending ends
	interrupted chan struct{} // closed when ctx has ended

	mu       sync.Mutex
	errors   map[Kind]int64
	first    *Failure
	schedule Schedule
}

// A shard is what some of the connections have measured. One for each would be
// memory, and one for all a lock that all of them wait for.
type shard struct {
	mu       sync.Mutex
	latency  latency.Histogram
	answers  int64 // all
	measured int64 // those that count for the rate
}

func newRun(o Options, sample []byte) *run {
	r := &run{
		Options:     o,
		sample:      sample,
		config:      &frame.Config{MaxFrame: max(frame.DefaultMaxFrame, len(sample))},
		shards:      make([]shard, min(4*runtime.GOMAXPROCS(0), o.Conns)),
		interrupted: make(chan struct{}),
		errors:      make(map[Kind]int64),
	}
	for i := range r.shards {
		r.shards[i].latency = latency.New()
	}
	return r
}

func (r *run) now() int64 { return int64(time.Since(r.start)) }

// load sends until it is time, and waits until everything is answered or overdue.
func (r *run) load(ctx context.Context) {
	r.start = time.Now()
	planned := r.Warmup + r.Duration
	r.until.Store(int64(planned))
	for _, c := range r.conns {
		c.nc.SetDeadline(r.start.Add(planned + r.Timeout))
	}
	stop := context.AfterFunc(ctx, r.interrupt)
	defer stop()

	var wg sync.WaitGroup
	for _, c := range r.conns {
		if r.Rate > 0 {
			wg.Go(c.sendOnTime)
			wg.Go(c.receiveOnTime)
		} else {
			wg.Go(func() { c.keepInFlight(&wg) })
		}
	}
	var last Progress
	wait(&wg, func() {
		last = r.progress(last)
		r.Progress(last)
	})
	r.endAt(r.now()) // when no connection was left
}

// endAt makes the run end earlier than it would, if it would.
func (r *run) endAt(now int64) bool {
	until := r.until.Load()
	return now < until && r.until.CompareAndSwap(until, now)
}

// interrupt ends the sending now.
func (r *run) interrupt() {
	if !r.endAt(r.now()) {
		return
	}
	for _, c := range r.conns {
		c.nc.SetDeadline(time.Now().Add(r.Timeout))
		if c.allAnswered() { // and endOfSchedule may have said so just before
			c.nc.SetReadDeadline(time.Now())
		}
	}
	close(r.interrupted)
}

func (r *run) progress(last Progress) Progress {
	p := Progress{Opened: r.Conns, Elapsed: time.Duration(r.now())}
	p.Warmup = p.Elapsed < r.Warmup
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		p.Frames += s.answers
		s.mu.Unlock()
	}
	p.PerSecond = perSecond(p.Frames-last.Frames, p.Elapsed-last.Elapsed)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.errors {
		p.Errors += n
	}
	return p
}

// report sums up, when nothing is at work any more.
func (r *run) report() *Report {
	rep := &Report{
		FrameSize: len(r.sample),
		Elapsed:   max(0, time.Duration(r.until.Load())-r.Warmup),
		Errors:    maps.Clone(r.errors),
		First:     r.first,
	}
	all := latency.New()
	for i := range r.shards {
		rep.Frames += r.shards[i].measured
		all.Merge(r.shards[i].latency)
	}
	rep.Latency = all.Percentiles()
	if r.Rate > 0 {
		rep.Schedule = &r.schedule
	}
	return rep
}

// fail counts what ended a connection on which some frames were not answered.
func (r *run) fail(index int, err error, unanswered int64) {
	f := &Failure{Conn: index, Kind: Closed, Problem: ended(err)}
	n := int64(1)
	if wrong, ok := errors.AsType[*Failure](err); ok {
		f = wrong
		f.Conn = index
	} else if isTimeout(err) {
		n = unanswered
		f.Kind, f.Problem = Unanswered, unansweredText(unanswered, r.Timeout)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors[f.Kind] += n
	if r.first == nil {
		r.first = f
	}
}
