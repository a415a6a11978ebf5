package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
)

// board connects a board, which says hello where id is not empty.
func (r *running) board(id, token string, h longwire.Handler) (*longwire.Conn, error) {
	cl := &longwire.Client{Addr: "127.0.0.1:10302", DialContext: r.network.DialContext, Handler: h}
	if id != "" {
		cl.Hello = &longwire.Hello{ID: id, Token: token}
	}
	return cl.Dial(r.t.Context())
}

// wantBoard connects a board that must be let in.
func (r *running) wantBoard(id, token string, h longwire.Handler) *longwire.Conn {
	r.t.Helper()
	c, err := r.board(id, token, h)
	if err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
	return c
}

// visit has a board say its name, and go.
func visit(tb testing.TB, c net.Conn, id string) {
	tb.Helper()
	defer c.Close()
	if err := frame.NewWriter(c, nil).WriteFrame(longwire.TypeHello, fmt.Appendf(nil, `{"id":%q}`, id)); err != nil {
		tb.Fatal(err)
	}
	if _, err := frame.NewReader(c, nil).Next(); err != nil {
		tb.Fatal(err)
	}
}

// wantRefused connects a board that must be refused with a status.
func (r *running) wantRefused(id, token, status string) {
	r.t.Helper()
	c, err := r.board(id, token, nil)
	e, is := errors.AsType[*longwire.RemoteError](err)
	if !is || e.Status != status {
		r.t.Errorf("%s: %v, want status %s", id, err, status)
	}
	if err == nil {
		c.Close(longwire.ReasonClosed)
	}
	synctest.Wait()
}

// want returns what is known of a device, which must be online or not.
func (r *running) want(id string, online bool) Device {
	r.t.Helper()
	d, err := r.Device(id)
	if err != nil || d.Online != online {
		r.t.Fatalf("%s: online %v, %v; want online %v", id, d.Online, err, online)
	}
	return d
}

// events returns all that is remembered.
func (r *running) eventNames(name EventName) (found []Event) {
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Millisecond)
	defer cancel()
	events, _, _ := r.Events(0).Next(ctx, keepEvents)
	for _, e := range events {
		if e.Name == name {
			found = append(found, e)
		}
	}
	return found
}

func tokens(of ...string) map[string][sha256.Size]byte {
	hashed := make(map[string][sha256.Size]byte)
	for i := 0; i < len(of); i += 2 {
		hashed[of[i]] = sha256.Sum256([]byte(of[i+1]))
	}
	return hashed
}

// answering is a board that answers every question with its own name and the question's
// data.
func answering(name string) longwire.Handler {
	return longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
		return map[string]any{"from": name, "to": string(m.Payload())}, nil
	})
}
