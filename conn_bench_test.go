package longwire

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire/frame"
)

// BenchmarkConn measures what a connection does with each frame that it echoes, without a
// driver: what it costs beside the system calls. One iteration is one frame.
func BenchmarkConn(b *testing.B) {
	for name, data := range map[string]string{
		"raw":      strings.Repeat("6", 64),
		"envelope": `{"data_type":"status","call_back_key":"a-12345","data":{"v":123}}`,
	} {
		for _, depth := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/depth=%d", name, depth), func(b *testing.B) {
				e, err := newEndpoint(nil, HandlerFunc(func(_ context.Context, m *Message) (any, error) { return m.Raw(m.Data), nil }))
				if err != nil {
					b.Fatal(err)
				}
				c, w := new(Conn), new(worker)
				c.init(e, &wrote{c: c}, nil)
				var frames []byte
				for range depth {
					frames, _ = frame.Default.Append(frames, 0x10, []byte(data))
				}
				b.ReportAllocs()
				for left := 0; b.Loop(); left-- {
					if left == 0 {
						c.feed(frames, e.now(), w)
						if out := w.handleInline(keepsTurn{}); out != nil {
							c.link.flush(out)
						}
						left = depth
					}
				}
			})
		}
	}
}

// A wrote is a driver whose writes are done at once.
type wrote struct {
	noLink
	c *Conn
}

func (l *wrote) flush(b *buffer) {
	for b != nil {
		b = l.c.wrote(b, nil)
	}
}

// A keepsTurn is a turn that no handler loses.
type keepsTurn struct{}

func (keepsTurn) Enter(func())                 {}
func (keepsTurn) Leave() (bool, time.Duration) { return true, 0 }
