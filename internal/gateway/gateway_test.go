package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/longwiretest"
)

func TestEveryMessageIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, &Config{})
		c := g.dial()
		defer c.Close()
		w, r := frame.NewWriter(c, nil), frame.NewReader(c, nil)
		for _, data := range []string{"66666", "", "\xc8\xc9", `{"call_back_key":"k","data":1}`} {
			if err := w.WriteFrame(16, []byte(data)); err != nil {
				t.Fatal(err)
			}
			answer, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			var e struct{ Status string }
			if err := json.Unmarshal(answer.Data, &e); err != nil || answer.Type != 16 || e.Status != "200" {
				t.Errorf("%q is answered with %q", data, answer.Data)
			}
		}
		g.stop()
		lines := g.lines("message")
		if len(lines) != 4 {
			t.Fatalf("%d lines for 4 messages: %v", len(lines), lines)
		}
		if got := lines[0]; got["type"] != "0x0010" || got["size"] != 5.0 || got["data"] != "66666" || got["key"] != nil {
			t.Errorf("%v", got)
		}
		if got := lines[2]["data_hex"]; got != "c8c9" {
			t.Errorf("%v", lines[2])
		}
		if got := lines[3]["key"]; got != "k" {
			t.Errorf("%v", lines[3])
		}
	})
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, &Config{Heartbeat: time.Minute})
		g.dial().Close()
		c := g.dial()
		defer c.Close()
		time.Sleep(3*time.Minute + time.Second)
		g.stop()
		alive := g.lines("alive")
		if len(alive) != 3 {
			t.Fatalf("alive %d times in 3 minutes", len(alive))
		}
		closed, _ := alive[0]["closed"].(map[string]any)
		if alive[0]["connections"] != 1.0 || alive[0]["opened"] != 2.0 || closed["peer_closed"] != 1.0 {
			t.Errorf("%v", alive[0])
		}
		if stopped := g.lines("stopped"); len(stopped) != 1 || stopped[0]["connections"] != 0.0 {
			t.Errorf("%v", stopped)
		}
	})
}

func TestNoHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, &Config{})
		time.Sleep(time.Hour)
		g.stop()
		if alive := g.lines("alive"); len(alive) != 0 {
			t.Errorf("%v", alive)
		}
	})
}

// A heartbeat that a reload changes does not wait for the one that was due before, which may be never.
func TestHeartbeatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, &Config{})
		for _, every := range []time.Duration{time.Minute, time.Hour, 20 * time.Second, 0} {
			synctest.Wait()
			conf := *g.settings.Load().Config
			conf.Heartbeat = every
			for range 2 {
				if err := g.Reload(&conf); err != nil {
					t.Fatal(err)
				}
			}
			before := len(g.lines("alive"))
			time.Sleep(time.Minute + time.Second)
			want := map[time.Duration]int{time.Minute: 1, 20 * time.Second: 3}[every]
			if n := len(g.lines("alive")) - before; n != want {
				t.Errorf("every %v: alive %d times in a minute, want %d", every, n, want)
			}
		}
		g.stop()
	})
}

// A peer that takes none of its answers must not keep the gateway from stopping.
func TestDrain(t *testing.T) {
	for _, test := range []struct {
		name  string
		abort time.Duration // when, after it was told to stop; 0 means never
		want  time.Duration // when it has stopped
		cause string
	}{
		{"until the timeout", 0, 3 * time.Second, "the drain timeout has passed"},
		{"until it is aborted", time.Second, time.Second, "enough"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := start(t, &Config{DrainTimeout: 3 * time.Second})
				c := g.dial()
				defer c.Close()
				go func() {
					w := frame.NewWriter(c, nil)
					for w.WriteFrame(16, nil) == nil {
					}
				}()
				synctest.Wait()
				if test.abort > 0 {
					time.AfterFunc(test.abort, func() { g.abort(errors.New("enough")) })
				}
				before := time.Now()
				g.stop()
				if took := time.Since(before); took != test.want {
					t.Errorf("stopped after %v, want %v", took, test.want)
				}
				cut := g.lines("connections were still busy and have been cut off")
				if len(cut) != 1 || cut[0]["because"] != test.cause {
					t.Errorf("%v", cut)
				}
			})
		})
	}
}

func TestListenerThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network longwiretest.Network
		l, err := network.Listen("127.0.0.1:10302")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		g, err := New(&Config{Listeners: []Listener{{Socket: l}}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		err = g.Serve(t.Context(), t.Context())
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestListen(t *testing.T) {
	for _, test := range []struct {
		address string
		anybody bool
		want    error
	}{
		{"127.0.0.1:0", false, nil},
		{"127.0.0.1:0", true, nil},
		{"localhost:0", false, nil},
		{":0", true, nil},
		{":0", false, ErrOpen},
		{"0.0.0.0:0", false, ErrOpen},
		{"[::]:0", false, ErrOpen},
		{"192.0.2.1:0", false, ErrOpen},
	} {
		l, err := Listen(t.Context(), test.address, test.anybody)
		if !errors.Is(err, test.want) {
			t.Errorf("%q, anybody %v: %v, want %v", test.address, test.anybody, err, test.want)
		}
		if err == nil {
			l.Close()
		}
	}
}

// running is a gateway that serves a network in memory.
type running struct {
	*Gateway
	t       *testing.T
	network longwiretest.Network
	log     buffer
	stop    func()
	abort   context.CancelCauseFunc
}

// start begins to serve; stop ends it and waits, abort ends the waiting.
func start(t *testing.T, c *Config) *running {
	r := &running{t: t}
	r.network.BufferSize = 4 << 10
	l, err := r.network.Listen("127.0.0.1:10302")
	if err != nil {
		t.Fatal(err)
	}
	if c.Listeners == nil {
		c.Listeners = []Listener{{Name: "boards"}}
	}
	c.Listeners[0].Socket = l
	c.Listeners[0].Library.PoisonData = true
	if r.Gateway, err = New(c, slog.New(slog.NewJSONHandler(&r.log, nil))); err != nil {
		t.Fatal(err)
	}
	stop, cancel := context.WithCancel(t.Context())
	abort, cancelNow := context.WithCancelCause(t.Context())
	r.abort = cancelNow
	served := make(chan error, 1)
	go func() { served <- r.Serve(stop, abort) }()
	r.stop = func() {
		t.Helper()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
	return r
}

func (r *running) dial() net.Conn {
	r.t.Helper()
	c, err := r.network.Dial(r.t.Context(), "127.0.0.1:10302")
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// lines returns the log lines with a message.
func (r *running) lines(msg string) (lines []map[string]any) {
	r.t.Helper()
	for line := range strings.Lines(r.log.String()) {
		var attrs map[string]any
		if err := json.Unmarshal([]byte(line), &attrs); err != nil {
			r.t.Fatalf("%q: %v", line, err)
		}
		if attrs["msg"] == msg {
			lines = append(lines, attrs)
		}
	}
	return lines
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
