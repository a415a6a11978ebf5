package longwire_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/longwiretest"
)

// A network is something that a server can listen on.
type network struct {
	slow     bool // bytes arrive one by one: no place for megabytes
	portable bool // the server is to use the portable driver
	listen   func(t *testing.T) net.Listener
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// overNetworks runs a test of behaviour over TCP and in memory: what a peer sees
// must not depend on what carries the bytes.
func overNetworks(t *testing.T, test func(t *testing.T, n network)) {
	t.Run("tcp", func(t *testing.T) { test(t, tcp()) })
	t.Run("portable", func(t *testing.T) {
		n := tcp()
		n.portable = true
		test(t, n)
	})
	t.Run("memory", func(t *testing.T) { test(t, memory(&longwiretest.Network{})) })
	t.Run("bytewise", func(t *testing.T) {
		n := memory(&longwiretest.Network{MaxRead: 1})
		n.slow = true
		test(t, n)
	})
}

func tcp() network {
	return network{
		listen: func(t *testing.T) net.Listener {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return l
		},
		dial: new(net.Dialer).DialContext,
	}
}

func memory(n *longwiretest.Network) network {
	return network{
		listen: func(t *testing.T) net.Listener {
			l, err := n.Listen("server:1")
			if err != nil {
				t.Fatal(err)
			}
			return l
		},
		dial: n.DialContext,
	}
}

// A bench is a server at work, and what it needs to be looked at.
type bench struct {
	t    *testing.T
	srv  *longwire.Server
	addr string
	net  network
	log  *logbook
}

// serve starts a server, which ends with the test.
func serve(t *testing.T, n network, srv *longwire.Server) *bench {
	t.Helper()
	l := n.listen(t)
	b := &bench{t: t, srv: srv, addr: l.Addr().String(), net: n, log: new(logbook)}
	if srv.Config == nil {
		srv.Config = &longwire.Config{}
	}
	if srv.Config.Logger == nil {
		srv.Config.Logger = slog.New(slog.NewJSONHandler(b.log, nil))
	}
	conf := *srv.Config
	conf.PoisonData, conf.Portable = true, n.portable
	srv.Config = &conf
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-served; !errors.Is(err, longwire.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("something of the server goes on: %v", err)
		}
	})
	return b
}

// conn returns a library connection to the server.
func (b *bench) conn(h longwire.Handler) *longwire.Conn {
	b.t.Helper()
	cl := &longwire.Client{Addr: b.addr, Handler: h, DialContext: b.net.dial}
	c, err := cl.Dial(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		c.Close(longwire.ReasonClosed)
		<-c.Done()
	})
	return c
}

// peer returns a connection of bytes to the server.
func (b *bench) peer() *peer {
	b.t.Helper()
	nc, err := b.net.dial(b.t.Context(), "tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { nc.Close() })
	nc.SetReadDeadline(time.Now().Add(2 * time.Minute)) // a guard; no test waits for it
	return &peer{t: b.t, nc: nc, r: frame.NewReader(nc, &frame.Config{MaxFrame: -1})}
}

// wantClosed waits until exactly the given number of connections are over for the
// reason.
func (b *bench) wantClosed(reason longwire.Reason, n int64) {
	b.t.Helper()
	for range 10_000 {
		if b.srv.Stats().Closed[reason] >= n {
			break
		}
		time.Sleep(5 * time.Millisecond) // a poll; nothing is decided by its length
	}
	if got := b.srv.Stats().Closed[reason]; got != n {
		b.t.Errorf("closed with reason %v: %d, want %d (all: %v)", reason, got, n, b.srv.Stats().Closed)
	}
}

// A peer is a board without the library: it sends bytes and reads frames.
type peer struct {
	t  *testing.T
	nc net.Conn
	r  *frame.Reader
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

func (p *peer) sendFrame(typ longwire.Type, data string) {
	p.t.Helper()
	p.send(wire(typ, data))
}

// closeWrite ends the peer's stream; it may still read.
func (p *peer) closeWrite() {
	p.t.Helper()
	if err := p.nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// wantFrame reads one frame and returns its data.
func (p *peer) wantFrame(typ longwire.Type) string {
	p.t.Helper()
	f, err := p.r.Next()
	if err != nil {
		p.t.Fatalf("no frame: %v", err)
	}
	if f.Type != typ {
		p.t.Fatalf("a frame of type %v (%q), want %v", f.Type, f.Data, typ)
	}
	return string(f.Data)
}

// envelope is what a board sees of one.
type envelope struct {
	DataType    *string         `json:"data_type"`
	CallBackKey *string         `json:"call_back_key"`
	Status      string          `json:"status"`
	Message     string          `json:"message"`
	Data        json.RawMessage `json:"data"`
}

// wantAnswer reads one answer with the given key and status.
func (p *peer) wantAnswer(typ longwire.Type, key, status string) envelope {
	p.t.Helper()
	data := p.wantFrame(typ)
	var e envelope
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		p.t.Fatalf("answer %q: %v", data, err)
	}
	if e.DataType == nil || e.CallBackKey == nil || e.Data == nil {
		p.t.Fatalf("answer %s lacks a field", data)
	}
	if *e.CallBackKey != key || e.Status != status {
		p.t.Fatalf("answer %s, want key %q and status %q", data, key, status)
	}
	return e
}

// wantEnd reads the end of the stream, with nothing before it.
func (p *peer) wantEnd() {
	p.t.Helper()
	if f, err := p.r.Next(); !errors.Is(err, io.EOF) {
		p.t.Fatalf("frame %v %.80q, error %v; want the end of the stream", f.Type, f.Data, err)
	}
}

// wire returns a frame of the default format.
func wire(typ longwire.Type, data string) []byte {
	b, err := frame.Default.Append(nil, typ, []byte(data))
	if err != nil {
		panic(err)
	}
	return b
}

// question returns the data of a question.
func question(key, data string) string {
	return fmt.Sprintf(`{"data_type":"t","call_back_key":%q,"data":%s}`, key, data)
}

// A logbook keeps log lines.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// lines returns the lines that contain all of the words.
func (l *logbook) lines(words ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
lines:
	for line := range strings.Lines(l.buf.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue lines
			}
		}
		found = append(found, line)
	}
	return found
}

// echo answers every message with its own data.
var echo = longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
	return longwire.Raw(m.Data), nil
})

// rawEcho does the same and allocates nothing.
var rawEcho = longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
	return m.Raw(m.Data), nil
})

// ok answers every message with status "200".
var ok = longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) {
	return longwire.Envelope{}, nil
})
