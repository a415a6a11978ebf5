package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/config"
)

// A wire is a connection without the library: it can do what that would not.
type wire struct {
	b    *board
	nc   *net.TCPConn
	ctx  context.Context // ends with the connection
	over context.CancelCauseFunc
	deaf atomic.Bool // reads no more
	work sync.WaitGroup

	writing sync.Mutex

	mu     sync.Mutex
	reason longwire.Reason // why it is over, 0 while it is not
	last   int
	byKey  map[string]chan frame.Frame
	byType map[longwire.Type]chan frame.Frame
}

// slowBuffer is how many bytes the system holds for a board that reads slowly. It takes more.
const slowBuffer = 2 << 10

func newWire(ctx context.Context, b *board, nc *net.TCPConn) *wire {
	w := &wire{b: b, nc: nc, byKey: make(map[string]chan frame.Frame), byType: make(map[longwire.Type]chan frame.Frame)}
	w.ctx, w.over = context.WithCancelCause(ctx)
	context.AfterFunc(w.ctx, func() { nc.Close() })
	if b.g.conf.Fault.Kind == config.Slow {
		nc.SetReadBuffer(slowBuffer) // or the system would read what the board does not
	}
	w.work.Go(w.read)
	return w
}

// end ends the connection, and waits until nothing of it is left. The first reason counts.
func (w *wire) end(why longwire.Reason) {
	w.ended(why)
	w.work.Wait()
}

func (w *wire) ended(why longwire.Reason) {
	w.mu.Lock()
	first := w.reason == 0
	if first {
		w.reason = why
	}
	w.mu.Unlock()
	if first {
		w.b.g.tally.end(why)
		w.over(&longwire.CloseError{Reason: why})
	}
}

// read reads until the connection is over.
func (w *wire) read() {
	tally := w.b.g.tally
	r := frame.NewReader(countingReader{w}, &frame.Config{Codec: w.b.g.f.codec, MaxFrame: w.b.g.f.MaxFrame})
	for {
		f, err := r.Next()
		switch _, broken := errors.AsType[*frame.Error](err); {
		case err == nil:
			tally.framesIn.Add(1)
			w.arrived(f)
			continue
		case w.deaf.Load():
			<-w.ctx.Done()
			return
		case err == io.EOF:
			w.ended(longwire.ReasonPeerClosed)
		case broken && errors.Is(err, io.ErrUnexpectedEOF):
			w.ended(longwire.ReasonTruncated)
		case broken:
			w.ended(longwire.ReasonBadFrame)
		case errors.Is(err, net.ErrClosed):
			w.ended(longwire.ReasonClosed)
		default:
			w.ended(longwire.ReasonLost)
		}
		return
	}
}

// countingReader reads as fast as the board is to read.
type countingReader struct{ w *wire }

func (c countingReader) Read(p []byte) (int, error) {
	w := c.w
	if fault := w.b.g.conf.Fault; fault.Kind == config.Slow {
		n := max(1, int(fault.Bytes)/10)
		if !sleep(w.ctx, time.Second*time.Duration(n)/time.Duration(fault.Bytes)) {
			return 0, net.ErrClosed
		}
		p = p[:min(len(p), n)]
	}
	n, err := w.nc.Read(p)
	w.b.g.tally.bytesIn.Add(int64(n))
	return n, err
}

// An envelope is what there is to know of one.
type envelope struct {
	Key     string          `json:"call_back_key"`
	Status  string          `json:"status"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

// arrived deals with a frame.
func (w *wire) arrived(f frame.Frame) {
	if f.Type == longwire.TypePing && w.b.g.f.hello {
		if len(f.Data) == 0 {
			pong := strconv.FormatInt(time.Now().UnixMilli(), 10)
			w.work.Go(func() { w.writeFrame(longwire.TypePing, []byte(pong)) })
		}
		return
	}
	var e envelope
	if json.Unmarshal(f.Data, &e) != nil {
		e = envelope{}
	}
	f.Data = append([]byte(nil), f.Data...)
	w.mu.Lock()
	waits, isAnswer := w.byKey[e.Key]
	if isAnswer = isAnswer && e.Status != ""; isAnswer {
		delete(w.byKey, e.Key)
	} else if waits, isAnswer = w.byType[f.Type]; isAnswer && (e.Key == "" || e.Status != "") {
		delete(w.byType, f.Type)
	} else {
		isAnswer = false
	}
	w.mu.Unlock()
	switch {
	case isAnswer:
		waits <- f
	case w.b.g.f.hello && f.Type >= longwire.TypeHello && f.Type <= 0xFFFF, e.Key != "" && e.Status != "": // what nobody waits for any more
	default:
		w.work.Go(func() { w.reply(f, e) })
	}
}

// reply answers a message of the gateway as the scenario says.
func (w *wire) reply(f frame.Frame, e envelope) {
	asked, payload := e.Key != "", f.Data
	if asked {
		payload = e.Data
	}
	r := w.b.answer(w.ctx, f.Type, asked, payload)
	if r.silent {
		return
	}
	data := r.data
	if !r.raw {
		data = encode(map[string]any{"data_type": "", "call_back_key": e.Key, "status": r.status, "message": messageFor(r.status), "data": value(r.data)})
	}
	w.writeFrame(f.Type, data)
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and JSON that New has looked at
	}
	return data
}

// hello says who the board is, and waits for the answer.
func (w *wire) hello(ctx context.Context, h *longwire.Hello) error {
	return w.wait(ctx, longwire.TypeHello, "", encode(h))
}

// send implements line.
func (w *wire) send(ctx context.Context, t longwire.Type, match config.Match, data []byte) error {
	switch match {
	case config.MatchKey:
		w.mu.Lock()
		w.last++
		key := fmt.Sprintf("%s-%d-%d", w.b.g.conf.Name, w.b.n, w.last)
		w.mu.Unlock()
		return w.wait(ctx, t, key, encode(map[string]any{"data_type": "", "call_back_key": key, "data": value(data)}))
	case config.MatchType:
		return w.wait(ctx, t, "", data)
	}
	return w.writeFrame(t, data)
}

// wait sends a message and waits for its answer: the one with the key, or without a key the next
// message of the type.
func (w *wire) wait(ctx context.Context, t longwire.Type, key string, data []byte) error {
	answer := make(chan frame.Frame, 1)
	w.mu.Lock()
	if key != "" {
		w.byKey[key] = answer
	} else {
		w.byType[t] = answer
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.byKey, key)
		if key == "" {
			delete(w.byType, t)
		}
		w.mu.Unlock()
	}()
	if err := w.writeFrame(t, data); err != nil {
		return err
	}
	select {
	case f := <-answer:
		var e envelope
		if json.Unmarshal(f.Data, &e) == nil && e.Status != "" && e.Status[0] != '2' {
			return &longwire.RemoteError{Status: e.Status, Message: e.Message}
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// writeFrame writes a frame, in pieces where that is the fault.
func (w *wire) writeFrame(t longwire.Type, data []byte) error {
	whole, err := w.b.g.f.codec.Append(nil, t, data)
	if err != nil {
		return err
	}
	if w.deaf.Load() {
		return &longwire.CloseError{Reason: longwire.ReasonClosed}
	}
	piece := 0
	if fault := w.b.g.conf.Fault; fault.Kind == config.Split {
		piece = int(fault.Bytes)
	}
	if err := w.write(whole, piece); err != nil {
		return err
	}
	w.b.g.tally.framesOut.Add(1)
	return nil
}

// write writes bytes, in pieces of a size; 0 means in one.
func (w *wire) write(all []byte, piece int) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	pause := time.Duration(w.b.g.conf.Fault.Pause)
	w.nc.SetWriteDeadline(time.Now().Add(time.Duration(w.b.g.f.Scenario.Timeout) + pause*time.Duration(len(all))))
	for len(all) > 0 {
		n := len(all)
		if piece > 0 {
			n = min(n, piece)
		}
		m, err := w.nc.Write(all[:n])
		w.b.g.tally.bytesOut.Add(int64(m))
		if err != nil {
			why := longwire.ReasonLost
			if errors.Is(err, net.ErrClosed) {
				why = longwire.ReasonClosed
			}
			w.ended(why)
			return &longwire.CloseError{Reason: why, Err: err}
		}
		if all = all[n:]; len(all) > 0 && pause > 0 && !sleep(w.ctx, pause) {
			return context.Cause(w.ctx)
		}
	}
	return nil
}
