package httpapi_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

// The same question over TCP on the loopback interface: asked over HTTP, asked of the gateway, and
// asked with the library alone.

const benchData = `{"rom":"status"}`

// benchGateway serves on ports of its own, with a board.
func benchGateway(b *testing.B) (g *gateway.Gateway, url string) {
	b.Helper()
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		return l
	}
	boards, web := listen(), listen()
	g, err := gateway.New(&gateway.Config{Listeners: []gateway.Listener{{Name: "boards", Socket: boards}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	api, err := httpapi.New(g, httpapi.Config{Loopback: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 2)
	go func() { served <- g.Serve(ctx, ctx) }()
	go func() { served <- api.Serve(ctx, web) }()
	c, err := (&longwire.Client{Addr: boards.Addr().String(), Hello: &longwire.Hello{ID: "a"}, Handler: echo}).Dial(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		<-served
		<-served
		<-c.Done()
	})
	return g, "http://" + web.Addr().String()
}

func BenchmarkAskHTTP(b *testing.B) {
	_, url := benchGateway(b)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for b.Loop() {
		r, err := client.Post(url+"/v1/devices/a/ask", "application/json", strings.NewReader(`{"type":16,"data":`+benchData+`}`))
		if err != nil || r.StatusCode != 200 {
			b.Fatal(r, err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
}

func BenchmarkAskGateway(b *testing.B) {
	g, _ := benchGateway(b)
	for b.Loop() {
		if _, err := g.Ask(b.Context(), "a", gateway.Question{Type: 16, Data: json.RawMessage(benchData)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAskLibrary(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	conns := make(chan *longwire.Conn, 1)
	srv := &longwire.Server{Admit: func(_ context.Context, c *longwire.Conn) (func(error), error) {
		conns <- c
		return nil, nil
	}}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	board, err := longwire.Dial(b.Context(), l.Addr().String(), echo)
	if err != nil {
		b.Fatal(err)
	}
	c := <-conns
	if err := board.Push(b.Context(), 1, nil); err != nil { // which is handled when it has been let in
		b.Fatal(err)
	}
	var answer json.RawMessage
	for b.Loop() {
		if err := c.Ask(b.Context(), 16, json.RawMessage(benchData), &answer); err != nil {
			b.Fatal(err)
		}
	}
	srv.Close()
	<-served
	<-board.Done()
}
