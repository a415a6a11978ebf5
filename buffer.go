package longwire

import "sync"

// keepCap is the size of the largest buffer that is kept for reuse.
const keepCap = 64 << 10

// A buffer is bytes: a piece of what is to be sent, or the beginning of a frame that
// has arrived.
type buffer struct {
	b      []byte
	shared []byte // in place of b: a whole frame, which must never change
	common bool   // other connections have shared too
	frames int

	next      *buffer    // behind this one in Conn.out
	gathering *gathering // a worker adds to it: see Conn.takeGatheredLocked

	// Of all in Conn.out, in the first of them.
	last   *buffer
	size   int // bytes
	shares int // bytes of them that other connections have too
	count  int // frames
}

func (b *buffer) bytes() []byte {
	if b.shared != nil {
		return b.shared
	}
	return b.b
}

// commonSize returns how many bytes other connections have too.
func (b *buffer) commonSize() int {
	if b.common {
		return len(b.shared)
	}
	return 0
}

// takes reports whether n bytes more may be added.
func (b *buffer) takes(n int) bool { return b.shared == nil && len(b.b)+n <= keepCap }

// buffers and batches keep what connections need while something goes on, so that
// an idle one holds none.
var (
	buffers = pool[buffer]{reset: func(b *buffer) (keep bool) {
		*b = buffer{b: b.b[:0]}
		return cap(b.b) <= keepCap
	}}
	batches = pool[batch]{reset: (*batch).reset}
)

// workers are those that have nothing to do.
var workers = pool[worker]{reset: (*worker).reset}

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
