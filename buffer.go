package longwire

import "sync"

// keepCap is the size of the largest buffer that is kept for reuse.
const keepCap = 64 << 10

// A buffer is bytes to send.
type buffer struct{ b []byte }

// buffers and batches keep what connections need while something goes on, so that
// an idle one holds none.
var (
	buffers = pool[buffer]{reset: func(b *buffer) (keep bool) {
		b.b = b.b[:0]
		return cap(b.b) <= keepCap
	}}
	batches = pool[batch]{reset: func(b *batch) (keep bool) {
		b.bytes, b.msgs = b.bytes[:0], b.msgs[:0]
		return cap(b.bytes) <= keepCap && cap(b.msgs) <= 1024
	}}
)

// workers are those that have nothing to do.
var workers = pool[worker]{reset: func(w *worker) (keep bool) {
	*w = worker{scratch: w.scratch[:0]}
	return true
}}

// A pool is a sync.Pool of one type that drops what has grown too large.
type pool[T any] struct {
	reset func(*T) (keep bool)
	sync.Pool
}

func (p *pool[T]) get() *T {
	if v, ok := p.Get().(*T); ok {
		return v
	}
	return new(T)
}

func (p *pool[T]) put(v *T) {
	if p.reset(v) {
		p.Put(v)
	}
}
